"""Numbers as the kernel writes them, and files of one value each, of which /sys and /proc/sys are made.

Source: see the callers. Permission: mostly anyone. Cost: some 5 µs a file.

Whether a number can be is decided here. A counter that went below zero is written as 2^64 − n, or in
kB as that or 2^54 − n, and says nothing; no size in bytes and no count is as large in truth.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from memtui.frozen import FrozenDict
from memtui.kernel.files import Files, Gap, Malformed

# Counts and bytes from here on are not known.
BELOW_ZERO: Final = 1 << 63
# Twenty digits hold any 64-bit number; Python refuses to convert thousands of them.
_DIGITS: Final = 20
_SIGNED = re.compile(rb"-?\d{1,19}")
_CHOSEN = re.compile(rb"\[([^\s\[\]]+)\]")


class Counters(FrozenDict[str, int]):
    """Numbers by the kernel's own keys. `impossible`: the keys whose number cannot be, left out."""

    __slots__ = ("impossible",)

    def __init__(self, known: Iterable[Any], impossible: Iterable[str] = ()) -> None:
        super().__init__(known)
        self.impossible = frozenset(impossible)

    def __reduce__(self) -> tuple[Any, ...]:
        return Counters, (dict(self), self.impossible)


def number(digits: bytes, unit: int = 1) -> int | None:
    """A count or a size, times `unit`; None where it is no such number, or one that cannot be."""
    if not digits.isdigit() or len(digits) > _DIGITS:
        return None
    value = int(digits) * unit
    return value if value < BELOW_ZERO else None


def parse_counters(data: bytes) -> Counters:
    """`name number` lines verbatim: memory.stat, memory.events, memory.oom_control.

    Lines of another shape (memory.numa_stat has some) are left out. Raises Malformed where there is
    no line at all.
    """
    values: dict[str, int] = {}
    impossible = []
    for line in data.splitlines():
        key, _, digits = line.partition(b" ")
        name, word = key.decode("ascii", "surrogateescape"), digits.strip()
        value = number(word)
        if value is not None:
            values[name] = value
        elif word.removeprefix(b"-").isdigit():
            impossible.append(name)
    if not values and not impossible:
        raise Malformed(repr(data[:60])[1:] if data.strip() else "empty")
    return Counters(values, impossible)


def part(value: int | None, whole: int | None) -> int | None:
    """A part of something; None where it is larger than that, and so cannot be."""
    return None if value is not None and whole is not None and value > whole else value


def signed(data: bytes) -> int | None:
    """A number that may be negative; None where it is none that fits into 64 bits."""
    word = data.strip()
    value = int(word) if _SIGNED.fullmatch(word) else BELOW_ZERO
    return value if -BELOW_ZERO <= value < BELOW_ZERO else None


def read_number(files: Files, name: str) -> int | None:
    """A file that is one count or size, in whatever unit it has; None where it is not."""
    data = files.read(name)
    return None if isinstance(data, Gap) else number(data.strip())


def read_signed(files: Files, name: str) -> int | None:
    """A file that is one number, which may be negative; None where it is not."""
    data = files.read(name)
    return None if isinstance(data, Gap) else signed(data)


def read_numbers(files: Files, name: str) -> tuple[int | None, ...]:
    """A file of numbers between blanks, None for one that cannot be; empty where it is anything else."""
    data = files.read(name)
    words = [] if isinstance(data, Gap) else data.split()
    return tuple(map(number, words)) if all(map(bytes.isdigit, words)) else ()


def read_word(files: Files, name: str) -> str | None:
    """A file that is one word."""
    data = files.read(name)
    words = [] if isinstance(data, Gap) else data.split()
    return words[0].decode("utf-8", "surrogateescape") if len(words) == 1 else None


def read_choice(files: Files, name: str) -> str | None:
    """The word in brackets of a file that lists the choices: `always [madvise] never`."""
    data = files.read(name)
    match = None if isinstance(data, Gap) else _CHOSEN.search(data)
    return match[1].decode("utf-8", "surrogateescape") if match else None
