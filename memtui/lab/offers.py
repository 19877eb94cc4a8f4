"""Which experiments can be had here and now: asked for, as that takes reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from memtui.kernel.files import Files, Gap
from memtui.lab.bench import Bench
from memtui.lab.catalogue import catalogue
from memtui.lab.experiment import Experiment, Need
from memtui.model.machine import Machine
from memtui.ondemand.question import GoOn, Question


class Offer(NamedTuple):
    """An experiment. `why_not`: what is in its way, "" for nothing; `lacks`: what steps of it need
    that there is not, so that they are left out."""

    files: Files
    experiment: Experiment
    readonly: bool
    why_not: str
    lacks: frozenset[Need]

    def bench(self) -> Bench:
        """For a run of it, not started yet."""
        return Bench(self.files, self.experiment, readonly=self.readonly)


@dataclass(frozen=True, slots=True)
class Offers(Question[tuple[Offer, ...]]):
    """All there are. `readonly`: none that changes the machine can be had."""

    readonly: bool

    @property
    def source(self) -> str:
        return "lab"

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> tuple[Offer, ...] | Gap:
        return tuple(self._offer(files, each) for each in catalogue())

    def _offer(self, files: Files, experiment: Experiment) -> Offer:
        bench, gap = Bench(files, experiment, readonly=self.readonly), None
        gap = bench.available
        every = frozenset(need for step in experiment.steps for need in step.needs)
        why_not = (gap.detail or gap.reason) if gap else ""
        return Offer(files, experiment, self.readonly, why_not, every - bench.run.stage.has)
