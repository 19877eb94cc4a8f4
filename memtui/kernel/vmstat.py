"""Counters and gauges of the memory management, about 200 of them, different with each kernel.

Source: /proc/vmstat. Document: mm/vmstat.c's vmstat_text. Since: 2.6. Permission: anyone.
Cost: some 50 µs.
"""

from __future__ import annotations

from memtui.kernel.values import BELOW_ZERO, Counters, parse_counters


def parse_vmstat(data: bytes) -> Counters:
    """Every key verbatim, in the kernel's own units (mostly pages, kernel counters pass 2^32).

    A line of another shape costs that line alone. Raises Malformed where there are no others.
    """
    try:
        words = data.decode("ascii").split()
        values = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    except ValueError:
        return parse_counters(data)
    if not values or min(values.values()) < 0 or max(values.values()) >= BELOW_ZERO:
        return parse_counters(data)
    return Counters(values)
