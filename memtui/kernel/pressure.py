"""Pressure stall information: the share of time in which tasks waited.

Source: /proc/pressure/{memory,io,cpu,irq}, memory.pressure of a cgroup. Document:
Documentation/accounting/psi.rst. Since: 4.20; cpu's full 5.13, irq (full only) 6.1.
Permission: anyone. Absent with CONFIG_PSI=n; EOPNOTSUPP with psi=0. Cost: some 10 µs.
"""

from __future__ import annotations

from typing import NamedTuple

from memtui.kernel.files import Malformed
from memtui.kernel.values import number

_AVERAGES = (b"avg10", b"avg60", b"avg300")


class Stall(NamedTuple):
    """One line: averages over 10, 60 and 300 s in per cent, and the sum since boot."""

    avg10_pct: float
    avg60_pct: float
    avg300_pct: float
    total_us: int


class Pressure(NamedTuple):
    """`some`: at least one task waited; `full`: all that could have run did. None: no such line."""

    some: Stall | None
    full: Stall | None


def parse_pressure(data: bytes) -> Pressure:
    """Both lines; a later kernel's others are left out. Raises Malformed where one of both is none,
    or there are none: never a zero that lies.
    """
    stalls: dict[bytes, Stall] = {}
    for line in data.splitlines():
        try:
            name, *words = line.split()
            if name not in (b"some", b"full"):
                continue
            fields = dict(word.split(b"=") for word in words)
            avg10, avg60, avg300 = (float(fields[key]) for key in _AVERAGES)
            # NaN compares false with everything.
            if not all(0 <= value <= 100 for value in (avg10, avg60, avg300)):
                raise ValueError
            total = number(fields[b"total"])
            if total is None:
                raise ValueError
            stalls[name] = Stall(avg10, avg60, avg300, total)
        except (ValueError, KeyError):
            raise Malformed(repr(line[:60].decode("ascii", "backslashreplace"))) from None
    if not stalls:
        raise Malformed(repr(data[:60])[1:] if data.strip() else "empty")
    return Pressure(stalls.get(b"some"), stalls.get(b"full"))
