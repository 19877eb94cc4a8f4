"""`Replay`: the Samples of a recording, made by the Sampler that makes the live ones."""

from __future__ import annotations

from memtui.live.look import look
from memtui.live.machine import machine_of
from memtui.live.plan import Plan
from memtui.live.sampler import Sampler
from memtui.model.machine import Machine
from memtui.model.sample import Sample
from memtui.model.system.metrics import METRICS
from memtui.recording.files import RecordedFiles
from memtui.recording.moment import Moment
from memtui.recording.recording import Recording, Stretch

_SIGHT = "maps that were recorded"


class ReplayClock:
    """The recording's: it stands where the replay does, and reading takes no time of it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s

    def boot_s(self) -> float:
        return self.now_s

    def cpu_s(self) -> float:
        return 0.0


class Replay:
    """One place in a recording, which moves: forward with little effort, anywhere with a little more.

    For one thread, that of its recording. `files` are those of the moment of the last sample.
    """

    def __init__(self, recording: Recording, *, details: bool = True) -> None:
        """Without `details` samples have of processes what statm says. Raises Unusable."""
        self.recording = recording
        self._details = details
        self._clock = ReplayClock()
        self._now: Moment | None = None
        self.files: RecordedFiles | None = None
        self._sampler: Sampler | None = None

    def machine(self, moment: Moment) -> Machine:
        """The machine that was recorded. Raises Unusable."""
        run = self.recording.run_of(moment)
        return machine_of(self.recording.files_at(moment))._replace(
            name=run.machine,
            booted_s=moment.time_s - moment.boot_s,
            ticks_per_s=run.ticks_per_s or None,
            architecture=run.architecture,
            sight=_SIGHT,
        )

    def sample(self, moment: Moment, plan: Plan = Plan()) -> Sample:  # noqa: B008
        """The sample of a moment, as the plan wants it. Raises Unusable."""
        sampler = self._moved(moment)
        return sampler.sample(self.recording.run_of(moment).interval_s, plan)

    def _moved(self, moment: Moment) -> Sampler:
        now, files, sampler = self._now, self.files, self._sampler
        view = self.recording.view(moment)
        goes_on = now is not None and now.run == moment.run and now.boot_s <= moment.boot_s
        if files is None or sampler is None or not goes_on:
            files = self.files = RecordedFiles(
                self.recording.path, self.recording.run_of(moment).page_bytes, view
            )
            sampler = self._sampler = Sampler(files, self._clock, reads_all=self._details)
        else:
            files.move_to(view)
        self._clock.now_s = moment.boot_s
        self._now = moment
        return sampler


def figures_of(recording: Recording, moments: list[Moment]) -> list[Stretch]:
    """Every metric at each of some moments: for what blocks' summaries are too coarse. Raises Unusable.

    A moment takes half a millisecond.
    """
    found = []
    before: Sample | None = None
    last: Moment | None = None
    for moment in moments:
        sample = look(recording.files_at(moment))._replace(time_s=moment.boot_s)
        if last is not None and last.run != moment.run:
            before = None
        values = {name: metric.value(sample, before) for name, metric in METRICS.items()}
        figures = {name: (each, each, each) for name, each in values.items() if each is not None}
        found.append(Stretch(moment, moment, figures))
        before, last = sample, moment
    return found
