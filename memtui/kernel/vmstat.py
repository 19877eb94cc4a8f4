"""Counters and gauges of the memory management, about 200 of them, different with each kernel.

Source: /proc/vmstat. Document: mm/vmstat.c's vmstat_text. Since: 2.6. Permission: anyone.
Cost: some 50 µs.
"""

from __future__ import annotations

from memtui.frozen import FrozenDict
from memtui.kernel.files import Malformed


def parse_vmstat(data: bytes) -> dict[str, int]:
    """Every key verbatim, in the kernel's own units (mostly pages, kernel counters pass 2^32).

    Raises Malformed where a line is not a name and a number, or there are none.
    """
    try:
        words = data.decode("ascii").split()
        values = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    except UnicodeDecodeError:
        raise Malformed("not ASCII") from None
    except ValueError as error:
        raise Malformed(str(error)[:80]) from None
    if not values:
        raise Malformed("empty")
    return FrozenDict(values)
