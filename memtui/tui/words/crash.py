"""A crash in words: the sentence, what happened step by step, the instruction, the way there."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from memtui import units
from memtui.kernel.files import Gap
from memtui.kernel.registers import Registers
from memtui.model.crash.crash import FRAMES_AT_MOST, Crash
from memtui.model.crash.explain import Explained, where
from memtui.model.crash.symbolname import readable
from memtui.model.map.addressmap import AddressMap
from memtui.tui import theme
from memtui.tui.words.cells import Line, Part, fits, fitted, spread

_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)
_ACCENT = theme.style(theme.ACCENT, bold=True)
_ALARM = theme.style(theme.ALARM, bold=True)

_TERM: Final = 24  # cells of the kernel's word beside a step
_STEP: Final = 84  # cells of a step at most: beyond that its term would be far off
_TERM_FROM: Final = 64  # cells of a line that have room for it
LETS_DIE: Final = "lets it die"  # what Enter does to what is held


def crash_title(crash: Crash, after_s: float | None) -> list[Part]:
    """Who died of what; the left end of the first line."""
    took = "" if after_s is None else f" after {units.elapsed(after_s)}"
    return [
        (f" {units.printable(crash.name)}", _BRIGHT),
        (f" ({crash.key.pid})", _DIM),
        *([(f", thread {crash.tid}", _DIM)] if crash.tid != crash.key.pid else []),
        (" · ", _DIM),
        (f"{crash.siginfo.name}{took}", _ALARM),
    ]


def held_line(left: list[Part], exit_status: int, width: int, more: str = "") -> Line:
    """A line about what is held, and what may be done about it: as much of that as there is room for."""
    ends: list[list[Part]] = [
        [
            ("held", _ACCENT),
            (f"{more} · Enter {LETS_DIE} · ", _DIM),
            (f"exit {exit_status} ", _PLAIN),
        ],
        [("held", _ACCENT), (f"{more} · Enter {LETS_DIE} ", _DIM)],
        [("held", _ACCENT), (f" · Enter {LETS_DIE} ", _DIM)],
        [("held ", _ACCENT)],
    ]
    right = next((end for end in ends if fits(left, end, width)), [])
    return spread(left, right, width)


def crash_head(
    crash: Crash, found: Explained, width: int, after_s: float | None, held: bool
) -> list[Line]:
    """The title, and the sentence in as many lines as it takes."""
    left = crash_title(crash, after_s)
    if held:
        title = held_line(left, found.exit_status, width)
    else:
        title = spread(left, [(f"exit {found.exit_status} ", _DIM)], width)
    sentence = units.printable(found.sentence)
    lines = textwrap.wrap(sentence, max(20, width - 2))
    return [title, *([(f" {line}", _BRIGHT)] for line in lines)]


def crash_lines(crash: Crash, found: Explained, width: int) -> list[Line]:
    """All below the sentence, for `width` cells."""
    lines: list[Line] = [*_steps(found, width)]
    for title, block in (
        ("WHERE", list(_neighbours(crash, found, width))),
        ("THE INSTRUCTION", list(_instruction(crash, width))),
        ("THE WAY THERE", list(_frames(crash, width))),
        ("REGISTERS", list(_registers(crash.registers, width))),
    ):
        if block:
            lines += [[], [(f" {title}", _DIM)], *block]
    return lines


def _steps(found: Explained, width: int) -> Iterator[Line]:
    yield [(" WHAT HAPPENED", _DIM)]
    has_terms = width >= _TERM_FROM and any(step.term for step in found.steps)
    room = min(_STEP, width - 5 - (_TERM + 2 if has_terms else 0))
    for number, step in enumerate(found.steps, start=1):
        term = units.printable(step.term)
        words = units.printable(step.words)
        if term and not has_terms:
            words += f" ({term})"
        for at, piece in enumerate(textwrap.wrap(words, max(16, room))):
            line: list[Part] = [(f" {'' if at else number:>2}  ", _ACCENT), (piece, _PLAIN)]
            if has_terms and not at and term:
                line += [(" " * (room + 2 - units.width(piece)), _PLAIN)]
                line += [(units.fit(term, _TERM).rstrip(), _DIM)]
            yield line


def _neighbours(crash: Crash, found: Explained, width: int) -> Iterator[Line]:
    """The address between what is mapped around it, the lowest first."""
    map_, address = crash.map, found.address
    if isinstance(map_, Gap):
        yield [(f" the map n/a: {units.printable(map_.words)}", _DIM)]
    if address is None:
        return
    here: Line = [(f" {units.address(address)} ", _ALARM), ("✖ here", _ALARM)]
    if isinstance(map_, Gap):
        yield here
        return
    starts, ends = map_.mappings.starts, map_.mappings.ends
    if found.row is not None:
        into = address - starts[found.row]
        yield _mapping(map_, found.row, width)
        yield [*here, (f", {units.size(into)} into it", _DIM)]
        return
    if found.below is not None:
        yield _mapping(map_, found.below, width)
        yield [(f" {'':12} {units.size(address - ends[found.below])} not mapped", _DIM)]
    yield here
    if found.above is not None:
        yield [(f" {'':12} {units.size(starts[found.above] - address)} not mapped", _DIM)]
        yield _mapping(map_, found.above, width)


def mark(map_: AddressMap, address: int | None) -> Line:
    """The address above its picture, which has no cell for what lies beyond all mappings."""
    if address is None or not len(map_):
        return []
    words = ""
    if address < map_.mappings.starts[0]:
        words = " below it all"
    elif address >= map_.mappings.ends[-1]:
        words = " above it all"
    return [("✖ ", _ALARM), (units.address(address), _ALARM), (words, _DIM)]


def _mapping(map_: AddressMap, row: int, width: int) -> Line:
    vma, kind = map_.mappings.vma(row), map_.kind(row)
    size = units.size(vma.end - vma.start)
    name = units.printable(vma.path) or kind.words
    return fitted(
        [
            (f" {units.address(vma.start)} ", _PLAIN),
            (kind.letter, theme.style(kind.colour, bold=True)),
            (f" {size:>8} {vma.perms} ", _DIM),
            (name, _PLAIN),
        ],
        width - 1,
    )


def _instruction(crash: Crash, width: int) -> Iterator[Line]:
    instruction = crash.instruction
    if isinstance(instruction, Gap):
        words = units.printable(instruction.words)
        yield [(f" n/a: {line}", _DIM) for line in textwrap.wrap(words, max(20, width - 7))[:1]]
        return
    yield [(f" {units.address(instruction.address)} ", _DIM), (instruction.text, _BRIGHT)]
    for each in instruction.operands:
        yield [
            (f" {'':12} {each.access} of {units.size(each.size_bytes)} at ", _DIM),
            (f"{each.text} = {each.address:#x}", _PLAIN),
        ]
    if instruction.uses:
        values = " · ".join(f"{name} {value:#x}" for name, value in instruction.uses)
        yield fitted([(f" {'':12} {values}", _PLAIN)], width - 1)


def _frames(crash: Crash, width: int) -> Iterator[Line]:
    """The calls, the innermost first; one that calls itself again and again is one line."""
    frames, first = crash.frames, 0
    for place, run in groupby(frames, key=lambda frame: frame.place):
        number, first = first, first + len(list(run))
        numbers = f"{number}" if first == number + 1 else f"{number}–{first - 1}"
        symbol = units.printable(readable(place.symbol)) or f"{place.address:#x}"
        line: list[Part] = [(f" {numbers:>3} ", _DIM), (symbol, _BRIGHT)]
        where_ = units.printable(where(place._replace(symbol="")))
        if place.source or place.file:
            line.append((f"  {where_}", _PLAIN if place.source else _DIM))
        elif not place.symbol:
            line.append(("  no code is there", _DIM))
        yield fitted(line, width - 1)
    if len(frames) == FRAMES_AT_MOST:
        yield [(f" {'…':>3} and what called them", _DIM)]
    if crash.lines_missed:
        yield [(f" {'…':>3} not all lines of the source have been found yet", _DIM)]


def _registers(registers: Registers | Gap, width: int) -> Iterator[Line]:
    if isinstance(registers, Gap):
        yield [(f" n/a: {units.printable(registers.words)}", _DIM)]
        return
    across = max(1, (width - 1) // 28)
    items = list(registers.values.items())
    for at in range(0, len(items), across):
        line: list[Part] = [(" ", _PLAIN)]
        for name, value in items[at : at + across]:
            line += [(f"{name:>8} ", _DIM), (f"{value:<#18x} ", _PLAIN)]
        yield line
