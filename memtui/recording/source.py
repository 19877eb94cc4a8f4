"""`RecordedSource`: a recording where a live machine could be, as it was at the moment it begins with.

It hands on nothing by itself: whoever shows it goes to its moments (session.past).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memtui.live.plan import Plan
from memtui.live.sampler import Sampler
from memtui.live.source import Reading
from memtui.model.sample import Sample
from memtui.ondemand.question import Asked, Question, begin
from memtui.recording.files import RecordedFiles
from memtui.recording.moment import Moment
from memtui.recording.recording import Recording
from memtui.recording.replay import Replay, ReplayClock


def _to_nobody(_reading: Reading) -> None:
    """Where answers go before there is a start."""


class ReplayedFiles(RecordedFiles):
    """A recording that is to be replayed, at the moment that is begun with."""

    def __init__(self, recording: Recording, moment: Moment) -> None:
        """Raises Unusable."""
        page_bytes = recording.run_of(moment).page_bytes
        super().__init__(recording.path, page_bytes, recording.view(moment))
        self.recording = recording
        self.moment = moment


class RecordedSource:
    """The moment that it begins with."""

    def __init__(self, files: ReplayedFiles) -> None:
        """Raises Unusable."""
        recording, moment = files.recording, files.moment
        self.files = files
        self.recording = recording
        self.moment = moment
        self.machine = Replay(recording).machine(moment)
        self._interval_s = recording.run_of(moment).interval_s
        self._post: Callable[[Reading], None] = _to_nobody

    @property
    def interval_s(self) -> float:
        """That of the recorder."""
        return self._interval_s

    @interval_s.setter
    def interval_s(self, _value: float) -> None:
        """It was chosen when it was recorded."""

    @property
    def silent_s(self) -> float:
        return 0.0

    def first(self, pid: int | None, *most: int) -> Sample:
        """The moment as it is first shown: see `Sampler.first`."""
        clock = ReplayClock()
        clock.now_s = self.moment.boot_s
        return Sampler(self.files, clock).first(self.interval_s, pid, *most)

    def start(self, post: Callable[[Reading], None]) -> None:
        self._post = post

    def look_at(self, plan: Plan) -> None:
        """What is wanted of it is read when somebody goes to a moment."""

    def ask(self, question: Question[Any]) -> Asked:
        files, machine = self.files, self.machine
        return begin(question, lambda go_on: question.answer(files, machine, go_on), self._post)

    def may_look_again(self) -> bool:
        """The moment has only one answer."""
        return False

    def stop(self) -> None:
        """Nothing goes on."""
