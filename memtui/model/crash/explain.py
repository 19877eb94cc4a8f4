"""Why a program died: the sentence, and step by step what the processor and the kernel did."""

from __future__ import annotations

from typing import NamedTuple

from memtui.kernel.segfaults import Access
from memtui.model.crash.crash import Crash


class Step(NamedTuple):
    """One thing that happened, and the kernel's or the processor's word for it."""

    words: str
    term: str = ""


class Explained(NamedTuple):
    """What a view, a report and JSON say of a crash: one truth.

    `sentence` is one line: what was done at which address, what is there or why not, and where in the
    program. `row` is the mapping that holds the address, `below` and `above` the nearest where none
    does: rows of the crash's map. Names are raw: whoever shows them makes them printable.
    """

    sentence: str
    access: Access | None
    address: int | None
    row: int | None
    below: int | None
    above: int | None
    steps: tuple[Step, ...]
    exit_status: int


def explain(crash: Crash) -> Explained:
    """Never raises; what is not known is left out of the words."""
    raise NotImplementedError
