"""Neighbours that look alike, as one row: an allocator's pages, of which node has a thousand."""

from __future__ import annotations

from collections.abc import Collection

from memtui.model.map.addressmap import AddressMap
from memtui.model.map.labels import ALLOCATORS, has_allocator, label

_AT_MOST = 8_000  # mappings: telling what so many are takes 10 ms, and a key waits for it
_AT_LEAST = 4  # fewer are no longer as rows than what says that they are folded


def folds(map_: AddressMap, opened: Collection[int] = ()) -> dict[int, int]:
    """Runs of mappings that one allocator made alike: their first row, and the one behind the last.

    `opened`: addresses at which those begin that are to stay as they are.
    """
    if len(map_) > _AT_MOST or not has_allocator(map_):
        return {}
    found = {}
    first, run = 0, ""
    for row in range(len(map_) + 1):
        words = ""
        if row < len(map_) and map_.mappings.perms[row] == "rw-p" and not map_.mappings.paths[row]:
            words = label(map_, row).words
        if words == run:
            continue
        if run in ALLOCATORS and row - first >= _AT_LEAST:
            found[first] = row
        first, run = row, words
    return {row: end for row, end in found.items() if map_.mappings.starts[row] not in opened}


def folded(map_: AddressMap, found: dict[int, int]) -> list[int]:
    """The rows of a map in their order, of each run only the first."""
    rows: list[int] = []
    at = 0
    for first, end in found.items():
        rows += range(at, first + 1)
        at = end
    return [*rows, *range(at, len(map_))]
