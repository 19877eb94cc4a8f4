"""What the dashboard opens on: the process that was asked for, or the largest whose map may be read."""

from __future__ import annotations

from collections.abc import Callable

from memtui.kernel.files import Gap
from memtui.model.keys import ProcessKey
from memtui.model.sample import ProcessSample
from memtui.ondemand.questions import FirstReadable
from memtui.session.session import Session
from memtui.targets import Target, largest_first
from memtui.tui.asking import look_up
from memtui.tui.widgets.processes import ProcessList

# The first sample has only the largest processes: where none of them may be read, the next one,
# which has all, decides.
_SAMPLES: int = 2


class Opening:
    """Chooses for as long as nobody has. `first` is a process that may be read, told beforehand."""

    def __init__(self, session: Session, first: ProcessKey | None, target: Target | None) -> None:
        self._session = session
        self._first = first
        self._target = target
        self._tries = 0
        self.is_done = False

    @property
    def is_asked(self) -> bool:
        """Whether somebody has named the process that it opens on, or several."""
        return self._target is not None and not self._target.view

    @property
    def page(self) -> str:
        """The page of the view that was asked for, by its name; "" for none."""
        return self._target.page if self._target else ""

    @property
    def view(self) -> str | None:
        """The view for what was asked for; None: nothing was."""
        if self._target is None:
            return None
        if self._target.view:
            return self._target.view
        return "map" if self._target.pid is not None and self._asked() else "overview"

    def _asked(self) -> ProcessSample | None:
        """The process that was asked for, or told beforehand, where it is there."""
        moment = self._session.moment
        if moment is None:
            return None
        processes = moment.sample.processes
        if self._target is not None and self._target.pid is not None:
            pid = self._target.pid
            return next((each for each in processes.values() if each.pid == pid), None)
        return processes.get(self._first) if self._first is not None else None

    def try_on(self, listed: ProcessList, choose: Callable[[ProcessSample], None]) -> None:
        """Chooses from the moment, in the list too; it may take a while until that is known."""
        moment = self._session.moment
        if moment is None or self.is_done:
            return
        self._tries += 1
        if self._target is not None and self._target.filter and not listed.filter:
            listed.update(moment)
            listed.set_filter(self._target.filter)
        if (asked := self._asked()) is not None:
            self._settle(asked, listed, choose)
            return
        candidates = largest_first(moment.sample.processes.values(), listed.filter)
        if not candidates:
            return
        if self._session.chosen.process is None:
            choose(candidates[0])
            listed.select(candidates[0].key, reveal=False)

        def found(key: ProcessKey | Gap | None) -> None:
            now = self._session.moment
            if now is None or self.is_done:
                return
            process = now.sample.processes.get(key) if isinstance(key, ProcessKey) else None
            if process is not None:
                self._settle(process, listed, choose)
            self.is_done = self.is_done or self._tries >= _SAMPLES

        keys = tuple(each.key for each in candidates if each.rss_bytes)
        look_up(listed, FirstReadable(keys), found)

    def _settle(
        self, process: ProcessSample, listed: ProcessList, choose: Callable[[ProcessSample], None]
    ) -> None:
        self.is_done = True
        choose(process)
        listed.select(process.key, reveal=self.is_asked)
