"""Opens a recording's file to be read."""

from __future__ import annotations

import os
import sqlite3
from typing import Final
from urllib.parse import quote

from memtui.recording.store import DAMAGE, Unusable, check, words_of

_WAIT_S: Final = 5.0
_SHARED: Final = "mode=ro"  # SQLite makes files beside it to share it, and leaves them there
_ALONE: Final = "mode=ro&immutable=1"


class Reader:
    """The file, to be read alone. As long as nobody writes it no file is made beside it."""

    def __init__(self, path: str) -> None:
        """Raises Unusable."""
        self._path = path
        self._state = _state_of(path)
        self._database = self._connected()

    def database(self) -> sqlite3.Connection:
        """As the file is now: another one after somebody has begun to write it. Raises Unusable."""
        if self._is_alone and (state := _state_of(self._path)) != self._state and state is not None:
            before, self._state = self._database, state
            self._database = self._connected()
            before.close()
        return self._database

    def close(self) -> None:
        self._database.close()

    def _connected(self) -> sqlite3.Connection:
        path = self._path
        _check_head(path)
        failed: sqlite3.Error | UnicodeDecodeError | None = None
        # Where there is no log nobody writes it. Nor does anybody where nothing may be written beside it.
        has_log = self._state is None or self._state[-1] > 0
        for how in (_SHARED, _ALONE) if has_log else (_ALONE,):
            self._is_alone = how == _ALONE
            database = sqlite3.connect(
                f"file:{quote(path)}?{how}",
                uri=True,
                timeout=_WAIT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                check(database, path)
                return database
            except DAMAGE as error:
                failed = failed or error
            except BaseException:
                database.close()
                raise
            database.close()
        assert failed is not None
        raise Unusable(f"{path} cannot be read: {words_of(failed)}")


def _state_of(path: str) -> tuple[int, ...] | None:
    """What becomes another where the file is written: which it is, its size and time, and the size of
    SQLite's log beside it, which is there while it is written, and after a recorder was killed."""
    try:
        own = os.stat(path)
    except (OSError, ValueError):
        return None
    try:
        log_bytes = os.stat(f"{path}-wal").st_size
    except OSError:
        log_bytes = 0
    return own.st_dev, own.st_ino, own.st_size, own.st_mtime_ns, log_bytes


def _check_head(path: str) -> None:
    """Raises Unusable where it is no database, or cannot be read."""
    try:
        with open(path, "rb") as file:
            begin = file.read(16)
    except OSError as error:
        raise Unusable(
            f"{path}: {error.strerror}", is_denied=isinstance(error, PermissionError)
        ) from None
    except ValueError:
        raise Unusable(f"{path!r} is no name for a file") from None
    if begin != b"SQLite format 3\0":
        raise Unusable(f"{path} is no recording of memtui's")
