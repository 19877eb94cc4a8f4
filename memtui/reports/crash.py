"""A crash as JSON and as lines for people: of `memtui run` and `memtui core`."""

from __future__ import annotations

import textwrap
from itertools import groupby
from typing import Any, Final

from memtui.kernel.files import Gap
from memtui.model.crash.crash import FRAMES_AT_MOST, Crash, Frame
from memtui.model.crash.explain import Explained, explain, where
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.labels import label
from memtui.units import fit, printable

_NARROWEST: Final = 24
_CALLS_SHOWN: Final = 16  # of which those of a recursion are one


def crash_document(crash: Crash) -> dict[str, Any]:
    """The object `crash` of `memtui run --json` and `memtui core --json`; null is not known."""
    explained = explain(crash)
    instruction, registers = crash.instruction, crash.registers
    neighbours = [row for row in (explained.below, explained.above) if row is not None]
    pointer = None if isinstance(registers, Gap) else registers.instruction_pointer
    return {
        "signal": crash.siginfo.name,
        "code": crash.siginfo.code_name,
        "address": _hex(explained.address),
        "access": explained.access or "unknown",
        "instruction": _hex(pointer),
        "mapping": None if explained.row is None else _mapping(crash.map, explained.row),
        "neighbours": [_mapping(crash.map, row) for row in neighbours],
        "sentence": explained.sentence,
        "instruction_text": None if isinstance(instruction, Gap) else instruction.text,
        "registers": None
        if isinstance(registers, Gap)
        else {name: f"{value:#x}" for name, value in registers.values.items()},
        "frames": [_frame(each) for each in crash.frames],
        "lines_missed": crash.lines_missed,
        "steps": [{"words": each.words, "term": each.term} for each in explained.steps],
        "tid": crash.tid,
        "exit_status": explained.exit_status,
    }


def _hex(value: int | None) -> str | None:
    return None if value is None else f"{value:#x}"


def _mapping(map_: AddressMap | Gap, row: int) -> dict[str, Any] | None:
    """As `memtui maps --json` has a mapping, without its usage."""
    if isinstance(map_, Gap):
        return None
    mappings = map_.mappings
    start, end = mappings.starts[row], mappings.ends[row]
    return {
        "start": f"{start:#x}",
        "end": f"{end:#x}",
        "size_bytes": end - start,
        "perms": mappings.perms[row],
        "offset_bytes": mappings.offsets[row],
        "dev": mappings.devs[row] if mappings.has_inodes else None,
        "inode": mappings.inodes[row] if mappings.has_inodes else None,
        "path": mappings.paths[row],
        "kind": map_.kind(row).name,
        "label": label(map_, row).words,
    }


def _frame(frame: Frame) -> dict[str, Any]:
    place = frame.place
    return {
        "address": f"{place.address:#x}",
        "function": place.symbol or None,
        "offset": place.symbol_offset if place.symbol else None,
        "file": place.file or None,
        "file_offset": place.file_offset,
        "source": place.source or None,
        "line": place.line,
        "how": frame.how,
    }


def crash_lines(crash: Crash, width: int) -> list[str]:
    """The sentence, what happened step by step, the instruction with the registers that it uses, and
    the calls: lines of at most `width` cells.
    """
    width = max(width, _NARROWEST)
    explained = explain(crash)
    lines = _wrapped(printable(explained.sentence), width, "")
    lines += ["", *_steps(explained, width), "", *_instruction(crash, width)]
    if crash.frames:
        lines += ["", *_calls(crash, width)]
    return lines


def _steps(explained: Explained, width: int) -> list[str]:
    lines = []
    for number, step in enumerate(explained.steps, 1):
        term = f"  ({printable(step.term)})" if step.term else ""
        head, *rest = _wrapped(printable(step.words) + term, width - 3, "")
        lines += [f"{number:<3}{head}", *(f"   {each}" for each in rest)]
    return lines


def _instruction(crash: Crash, width: int) -> list[str]:
    if isinstance(crash.instruction, Gap):
        gap = crash.instruction
        return _wrapped(f"{gap.source}: {gap.words}", width, "  ")
    values = "".join(f"   {name} {value:#x}" for name, value in crash.instruction.uses)
    return _wrapped(
        f"{crash.instruction.address:#x}: {crash.instruction.text}{values}", width, "  "
    )


def _calls(crash: Crash, width: int) -> list[str]:
    """The frames, innermost first, the calls of a recursion together; of many the first ones."""
    lines: list[str] = []
    first = 0
    for _, same in groupby(crash.frames, key=lambda frame: frame.place.address):
        frames = list(same)
        if len(lines) == _CALLS_SHOWN:
            return [*lines, f"   and {len(crash.frames) - first} more"]
        lines.append(_call(first, frames, width))
        first += len(frames)
    if len(crash.frames) == FRAMES_AT_MOST:
        lines.append("   and what called them")
    if crash.lines_missed:
        lines.append(fit("   not all lines of the source were found in time", width).rstrip())
    return lines


def _call(number: int, frames: list[Frame], width: int) -> str:
    place = frames[0].place
    words = printable(where(place)) if place.file or place.symbol else "no code is there"
    times = f", {len(frames)} times" if len(frames) > 1 else ""
    return fit(f"#{number:<2} {place.address:#014x}  {words}{times}", width).rstrip()


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False) or [""]
