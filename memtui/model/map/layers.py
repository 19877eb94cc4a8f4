"""What the picture of an address space is shaded by: layers over it, and their words.

A new layer is one entry here.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Final, NamedTuple

from memtui.kernel.maps import HUGETLB, UNKNOWN, Mappings
from memtui.model.map.pages import resident_share


class Layer(NamedTuple):
    """How much of a range of addresses is something, 0 to 1; `words` is what captions call that.

    `of_mappings` gives the share of the mapping in a row, or None where the mappings do not tell;
    `of_pages` the share of each run of so many pages, the last of which may be shorter, from
    pagemap's entries.
    """

    name: str
    words: str
    of_mappings: Callable[[Mappings], Callable[[int], float] | None]
    of_pages: Callable[[array[int], int], list[float]]


def _resident(mappings: Mappings) -> Callable[[int], float] | None:
    column, starts, ends = mappings.usage.get("Rss"), mappings.starts, mappings.ends
    if column is None:
        return None

    def share(row: int) -> float:
        rss, size = column[row], ends[row] - starts[row]
        return 0.0 if rss == UNKNOWN else 1.0 if rss >= size else rss / size

    def share_with_hugetlb(row: int) -> float:
        return min(1.0, (mappings.in_memory(row) or 0) / (ends[row] - starts[row]))

    has_hugetlb = any(any(mappings.usage.get(key, ())) for key in HUGETLB)
    return share_with_hugetlb if has_hugetlb else share


RESIDENT: Final = Layer("resident", "shades", _resident, resident_share)
