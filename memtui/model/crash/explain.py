"""Why a program died: the sentence, and step by step what the processor and the kernel did."""

from __future__ import annotations

from typing import Final, NamedTuple

from memtui.kernel.files import Gap
from memtui.kernel.segfaults import Access
from memtui.model.crash.crash import Crash, Frame, Place
from memtui.model.crash.finding import Finding, culprit, find
from memtui.model.crash.steps import Step, steps_of
from memtui.model.crash.symbolname import readable
from memtui.model.crash.target import neighbours

__all__ = ["Explained", "Step", "explain", "where"]

_SIGNAL_STATUS: Final = 128  # as a shell's


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
    finding = find(crash)
    row = below = above = None
    if finding.address is not None and not isinstance(crash.map, Gap):
        row = crash.map.row_at(finding.address)
        if row is None:
            below, above = neighbours(crash.map, finding.address)
    return Explained(
        _sentence(crash, finding),
        finding.access,
        finding.address,
        row,
        below,
        above,
        steps_of(crash, finding),
        _SIGNAL_STATUS + crash.siginfo.signal,
    )


def where(place: Place) -> str:
    """`main at segv.c:9, segv+0x1136`; what is not known is left out, and of nothing the address."""
    name = place.file.removesuffix(" (deleted)").rpartition("/")[2]
    words = readable(place.symbol)
    if place.source:
        line = "" if place.line is None else f":{place.line}"
        words += f"{' at ' if words else ''}{place.source.rpartition('/')[2]}{line}"
    if name:
        offset = "" if place.file_offset is None else f"+{place.file_offset:#x}"
        words += f"{', ' if words else ''}{name}{offset}"
    return words or f"{place.address:#x}"


def _sentence(crash: Crash, finding: Finding) -> str:
    """What was done, and where: the innermost function, and who of the program's own called it."""
    if not crash.frames:
        if isinstance(crash.registers, Gap) or finding.access == "execute":
            return finding.words
        return f"{finding.words}; at {crash.registers.instruction_pointer:#x}"
    first, caller = crash.frames[0], culprit(crash)
    if finding.how in ("abort", "sent"):
        return f"{finding.words}; in {where((caller or first).place)}"
    if finding.access == "execute" and not _is_code(first, finding):
        caller = caller or (crash.frames[1] if len(crash.frames) > 1 else None)
        return finding.words + (f"; called from {where(caller.place)}" if caller else "")
    words = f"{finding.words}; in {where(first.place)}"
    if caller is not None and caller is not first:
        words += f", called from {where(caller.place)}"
    return words


def _is_code(frame: Frame, finding: Finding) -> bool:
    return frame.place.address != finding.address
