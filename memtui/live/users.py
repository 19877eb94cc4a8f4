"""The names of this machine's users, asked for on a thread: a directory server may be slow."""

from __future__ import annotations

import queue
import threading

from memtui import units


def user_name(uid: int) -> str:
    """This machine's name for a user, else the number. Waits for the name service."""
    import pwd  # where names are wanted: it is on the way of every report

    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError, OSError):
        return str(uid)


class KnownUsers:
    """Names as they become known: a number until then, and for good where there is no name."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._unknown: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def name(self, uid: int | None) -> str:
        if uid is None:
            return "?"
        known = self._names.get(uid)
        if known is None:
            known = self._names[uid] = str(uid)
            self._unknown.put(uid)
            if self._thread is None:
                self._thread = threading.Thread(target=self._ask, name="names", daemon=True)
                self._thread.start()
        return known

    def _ask(self) -> None:
        while True:
            uid = self._unknown.get()
            self._names[uid] = units.printable(user_name(uid))
