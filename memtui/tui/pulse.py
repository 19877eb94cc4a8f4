"""Whether samples come, and whether they are taken as fast as they do."""

from __future__ import annotations

import time
from typing import Final

from memtui.session.inbox import Inbox
from memtui.session.session import Session

_LOST_SHOWN_S: Final = 60.0
_SILENT_S: Final = 5.0  # and three intervals: so long without a sample is worth a word


class Pulse:
    """A source's, felt once a second."""

    def __init__(self, session: Session, inbox: Inbox) -> None:
        self._session = session
        self._inbox = inbox
        self._lost_at_s = -_LOST_SHOWN_S
        self._lost = 0
        self.is_silent = False

    def feel(self) -> bool:
        """Looks whether samples come; whether there is something to say of it, or no longer."""
        before, moment, source = self.is_silent, self._session.moment, self._session.source
        interval_s = moment.sample.interval_s if moment else 0.0
        self.is_silent = source.silent_s > 3 * max(source.interval_s, interval_s) + _SILENT_S
        return self.is_silent or before

    def lost_lately(self) -> int:
        """Samples that came faster than they could be taken, for as long as that is news."""
        now_s, lost = time.monotonic(), self._inbox.lost
        if lost != self._lost:
            self._lost, self._lost_at_s = lost, now_s
        return lost if now_s - self._lost_at_s < _LOST_SHOWN_S else 0
