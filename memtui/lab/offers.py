"""Which experiments can be had here and now: asked for, as that takes reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from memtui.kernel.files import Files, Gap
from memtui.lab.bench import Bench
from memtui.lab.catalogue import catalogue
from memtui.lab.experiment import Experiment, Need
from memtui.model.machine import Machine
from memtui.ondemand.question import GoOn, Question


class Offer(NamedTuple):
    """An experiment, and what makes a bench for a run of it.

    `why_not`: what is in its way, "" for nothing; `lacks`: what steps of it need that there is not,
    so that they are left out.
    """

    experiment: Experiment
    why_not: str
    lacks: frozenset[Need]
    bench: Callable[[], Bench]


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
        make = partial(Bench, files, experiment, readonly=self.readonly)
        bench = make()
        gap = bench.available
        why_not = gap.words if gap else ""
        needs = frozenset(need for step in experiment.steps for need in step.needs)
        return Offer(experiment, why_not, needs - bench.run.stage.has, make)
