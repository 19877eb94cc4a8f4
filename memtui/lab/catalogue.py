"""Which experiments there are: every module in `experiments` that has an EXPERIMENT."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from memtui.lab import experiments
from memtui.lab.experiment import Experiment


def names() -> list[str]:
    """Those of the modules, by letter, without importing one."""
    return sorted(module.name for module in pkgutil.iter_modules(experiments.__path__))


def catalogue() -> tuple[Experiment, ...]:
    """All, in the order in which they are best taken."""
    found = (import_module(f"{experiments.__name__}.{name}").EXPERIMENT for name in names())
    return tuple(sorted(found, key=lambda each: (each.order, each.name)))


def experiment_of(name: str) -> Experiment | None:
    """The one of that name."""
    return next((each for each in catalogue() if each.name == name), None)
