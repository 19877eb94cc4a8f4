"""What tells of deaths in one sample, and what is remembered of processes in case they die."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from memtui.kernel.deaths import Death
from memtui.kernel.files import Gap
from memtui.kernel.oom import OomTask
from memtui.model.keys import ProcessKey


class Remembered(NamedTuple):
    """A process as it was lately: for the OOM killer, and its command line, None where it was not
    to be read."""

    task: OomTask
    command: str | None


class Signs(NamedTuple):
    """What was new since the sample before, in the kernel's log and in the groups' counts.

    `log` says why the log is not read, None where it is. `kills` are the groups' counts of kills by
    their paths, and `totals` the pages of those whose count grew, as the killer counts them; both
    are only read without a log. `known` are those processes that would likely die first, and those
    on the screen. `suspended_s` is how much longer the machine is up than the log's clock ran.
    """

    deaths: tuple[Death, ...]
    log: Gap | None
    kills: Mapping[str, int]
    totals: Mapping[str, int]
    known: Mapping[ProcessKey, Remembered]
    suspended_s: float = 0.0
