"""The columns of a mapping: the one table of them, and their values for a row or for all rows.

All of smaps, what is derived from it, and what has changed. A line of smaps that is not in the
table (a newer kernel's, a vendor's) becomes a column too, named after it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence, Set
from functools import lru_cache
from typing import Final, NamedTuple

from memtui.kernel.maps import UNKNOWN
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.change import Trail, gain, gains
from memtui.model.map.kinds import KINDS
from memtui.model.map.labels import label
from memtui.model.query import Choice, FieldType, Measure, Value


class MappingColumn(NamedTuple):
    """One figure of a mapping: its name in filters, its heading, a definition, its key in JSON.

    `key` is the line of smaps that it is, "" where it is none of them.
    """

    name: str
    title: str
    words: str
    type: Measure
    json_name: str
    key: str = ""


def _column(name: str, title: str, type_: Measure, words: str, key: str = "") -> MappingColumn:
    unit = "_bytes" if type_ in ("bytes", "change") else ""
    return MappingColumn(name, title, words, type_, name + unit, key)


def _smaps(key: str, title: str, words: str) -> MappingColumn:
    return _column(_snake(key), title, "bytes", words, key)


def _snake(key: str) -> str:
    """A key of smaps as a name: HugePFNMap is huge_pfn_map."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", key)
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")


def _gain(figure: str, since: str, words: str) -> MappingColumn:
    name, title = f"{figure}_gain", f"Δ {figure.upper()}"
    if since != "previous":
        name, title = f"{name}_{since}", f"{title} {since.upper()}"
    return _column(name, title, "change", f"how much {figure.upper()} has grown {words}")


_SINCE: Final = {
    "previous": "since the reading before",
    "minute": "in about a minute",
    "mark": "since the mark was set",
}
# Which reading a gain is counted from, and the line of smaps that has grown.
_GAINS: Final = {
    _gain(figure, since, words): (since, key)
    for since, words in _SINCE.items()
    for figure, key in (("rss", "Rss"), ("pss", "Pss"), ("swap", "Swap"))
}

_TABLE: Final = (
    _column("start", "START", "address", "where it begins"),
    _column("end", "END", "address", "the first address behind it"),
    _column("size", "SIZE", "bytes", "address space it takes, in use or not"),
    _column("perms", "PERM", "text", "read, write, execute; s shared, p private: copied on write"),
    _column("offset", "OFFSET", "bytes", "where in the file or object it begins"),
    _column("dev", "DEV", "text", "the device of its file, major:minor"),
    _column("inode", "INODE", "count", "the inode of its file; 0 has none"),
    _column("path", "NAME", "text", "its file, or the name that the kernel or the program gave it"),
    _column("kind", "KIND", "text", "what it is for, one of a closed set"),
    _column("label", "WHAT", "text", "what it is, told from its name and its neighbours"),
    _smaps("Rss", "RSS", "what of it is in memory, shared pages in full"),
    _smaps("Pss", "PSS", "what of it is in memory, each page divided by its sharers"),
    _smaps("Shared_Clean", "SHCLEAN", "in memory, mapped more than once, not written to"),
    _smaps("Shared_Dirty", "SHDIRTY", "in memory, mapped more than once, written to"),
    _smaps("Private_Clean", "PRCLEAN", "in memory, mapped here alone, not written to"),
    _smaps("Private_Dirty", "PRDIRTY", "in memory, mapped here alone, written to"),
    _smaps("Referenced", "REFD", "in memory and marked as accessed since that was last cleared"),
    _smaps("Anonymous", "ANON", "in memory without a file: a private file's written pages too"),
    _smaps("Swap", "SWAP", "swapped out: anonymous memory, and pages of shared memory objects"),
    _smaps(
        "SwapPss", "SWAPPSS", "its swapped out anonymous memory, each page divided by its sharers"
    ),
    _smaps("Locked", "LOCKED", "PSS of what is locked into memory; kernels 4.14 to 4.18: all PSS"),
    _smaps("Pss_Dirty", "PSSDIRTY", "the written part of PSS"),
    _smaps("Pss_Anon", "PSSANON", "the anonymous part of PSS"),
    _smaps("Pss_File", "PSSFILE", "the part of PSS that is pages of files"),
    _smaps("Pss_Shmem", "PSSSHMEM", "the part of PSS that is shared memory and tmpfs"),
    _smaps("KSM", "KSM", "pages merged with equal ones by the kernel's same-page merging"),
    _smaps("LazyFree", "LAZYFREE", "given back with MADV_FREE, to be taken when memory is short"),
    _smaps("AnonHugePages", "ANONHUGE", "anonymous memory in transparent huge pages"),
    _smaps("ShmemPmdMapped", "SHMHUGE", "shared memory mapped in huge pages"),
    _smaps("FilePmdMapped", "FILEHUGE", "pages of files mapped in huge pages"),
    _smaps("Shared_Hugetlb", "SHHUGETLB", "hugetlb pages mapped more than once, in no RSS"),
    _smaps("Private_Hugetlb", "PRHUGETLB", "hugetlb pages mapped here alone, in no RSS"),
    _smaps("KernelPageSize", "KPAGE", "bytes a page for the kernel"),
    _smaps("MMUPageSize", "MMUPAGE", "bytes a page for the processor"),
    _column("kernel_size", "KSIZE", "bytes", "its size as smaps has it", "Size"),
    _smaps("Dumped", "DUMPED", "what of it is in the core dump"),
    # Lines without a kB.
    _column("thp_eligible", "THP", "count", "1: may get transparent huge pages", "THPeligible"),
    _column("protection_key", "PKEY", "count", "its memory protection key", "ProtectionKey"),
    _column("vm_flags", "FLAGS", "text", "the kernel's flags, two letters each", "VmFlags"),
    _column("private", "PRIVATE", "bytes", "private clean and private dirty"),
    _column("shared", "SHARED", "bytes", "shared clean and shared dirty"),
    _column("huge", "HUGE", "bytes", "in huge pages, transparent and hugetlb"),
    _column("resident_pct", "RES%", "percent", "what of it is in memory, hugetlb pages too"),
    *_GAINS,
)
COLUMNS: Final = {column.name: column for column in _TABLE}

_KNOWN_KEYS: Final = {column.key for column in _TABLE}
_KIND_NAMES: Final = [kind.name for kind in KINDS]
_KIND_FIELD: Final = Choice(
    {kind.name: kind.name for kind in KINDS} | {kind.letter: kind.name for kind in KINDS}
)


def _both(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _offered(*parts: int | None) -> int | None:
    """The sum of those that this kernel has: more with each release."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def _share(
    rss: int | None, shared_hugetlb: int | None, private_hugetlb: int | None, whole: int
) -> float | None:
    """Of the whole, what is in memory: hugetlb pages are in no RSS."""
    if rss is None:
        return None
    return 100 * (rss + (shared_hugetlb or 0) + (private_hugetlb or 0)) / whole


_Combine = Callable[..., Value]
_DERIVED: Final[dict[str, tuple[tuple[str, ...], _Combine]]] = {
    "private": (("private_clean", "private_dirty"), _both),
    "shared": (("shared_clean", "shared_dirty"), _both),
    "huge": (
        (
            *("anon_huge_pages", "shmem_pmd_mapped", "file_pmd_mapped"),
            *("shared_hugetlb", "private_hugetlb"),
        ),
        _offered,
    ),
    "resident_pct": (("rss", "shared_hugetlb", "private_hugetlb", "size"), _share),
}


def fields(map_: AddressMap | None) -> dict[str, FieldType]:
    """What a filter may name, for `parse_query`: the whole table, read yet or not, and extras."""
    types: dict[str, FieldType] = {column.name: column.type for column in _TABLE}
    types["kind"] = _KIND_FIELD
    if map_ is not None:
        types |= {column.name: column.type for column in _extras(map_).values()}
    return types


def available(map_: AddressMap) -> list[MappingColumn]:
    """The columns that this map has, in the table's order, then what the table does not know."""
    mappings = map_.mappings
    lines = mappings.usage.keys() | mappings.texts.keys()
    found = [column for column in _TABLE if _is_offered(column, lines)]
    return found + list(_extras(map_).values())


def named(map_: AddressMap, name: str) -> MappingColumn | None:
    """A column by its name; None where neither the table nor this map has it."""
    return COLUMNS.get(name) or _extras(map_).get(name)


def value(map_: AddressMap, row: int, name: str, trail: Trail | None = None) -> Value:
    """A column's value for one mapping; None where it is not known, or there is no such column."""
    of_row = _OF_ROW.get(name)
    if of_row is not None:
        return of_row(map_, row, trail)
    extra = _extras(map_).get(name)
    return None if extra is None else _readers(extra)[0](map_, row, trail)


def column(map_: AddressMap, name: str, trail: Trail | None = None) -> Sequence[Value]:
    """A column's values for all mappings, None as in `value`; the map's own where it can be."""
    of_all = _OF_ALL.get(name)
    if of_all is not None:
        return of_all(map_, trail)
    extra = _extras(map_).get(name)
    return [None] * len(map_) if extra is None else _readers(extra)[1](map_, trail)


_OfRow = Callable[[AddressMap, int, Trail | None], Value]
_OfAll = Callable[[AddressMap, Trail | None], Sequence[Value]]


def _line(key: str) -> _OfRow:
    return lambda map_, row, _: map_.mappings.get(row, key)


def _lines(key: str) -> _OfAll:
    def of_all(map_: AddressMap, _: Trail | None) -> Sequence[Value]:
        usage = map_.mappings.usage.get(key)
        if usage is None:
            return [None] * len(map_)
        if UNKNOWN in usage:
            return [None if each == UNKNOWN else each for each in usage]
        return usage

    return of_all


def _text_line(key: str) -> _OfRow:
    def of_row(map_: AddressMap, row: int, _: Trail | None) -> Value:
        texts = map_.mappings.texts.get(key)
        return texts[row] if texts else None

    return of_row


def _text_lines(key: str) -> _OfAll:
    return lambda map_, _: map_.mappings.texts.get(key) or [None] * len(map_)


def _readers(column: MappingColumn) -> tuple[_OfRow, _OfAll]:
    """Of a line of smaps; a number where a text belongs, or the reverse, is not known."""
    if column.type == "text":
        return _text_line(column.key), _text_lines(column.key)
    return _line(column.key), _lines(column.key)


def _derived(name: str) -> tuple[_OfRow, _OfAll]:
    names, combine = _DERIVED[name]

    def of_row(map_: AddressMap, row: int, trail: Trail | None) -> Value:
        return combine(*[_OF_ROW[part](map_, row, trail) for part in names])

    def of_all(map_: AddressMap, trail: Trail | None) -> Sequence[Value]:
        return list(map(combine, *[_OF_ALL[part](map_, trail) for part in names]))

    return of_row, of_all


def _gained(since: str, key: str) -> tuple[_OfRow, _OfAll]:
    def of_row(map_: AddressMap, row: int, trail: Trail | None) -> Value:
        then = getattr(trail, since, None)
        return None if then is None else gain(then, map_.mappings, row, key)

    def of_all(map_: AddressMap, trail: Trail | None) -> Sequence[Value]:
        then = getattr(trail, since, None)
        return [None] * len(map_) if then is None else gains(then, map_.mappings, key)

    return of_row, of_all


def _if_told(map_: AddressMap, values: Sequence[Value]) -> Sequence[Value]:
    return values if map_.mappings.has_inodes else [None] * len(map_)


_OF_ROW: Final[dict[str, _OfRow]] = {
    "start": lambda map_, row, _: map_.mappings.starts[row],
    "end": lambda map_, row, _: map_.mappings.ends[row],
    "size": lambda map_, row, _: map_.mappings.ends[row] - map_.mappings.starts[row],
    "perms": lambda map_, row, _: map_.mappings.perms[row],
    "offset": lambda map_, row, _: map_.mappings.offsets[row],
    "dev": lambda map_, row, _: map_.mappings.devs[row] if map_.mappings.has_inodes else None,
    "inode": lambda map_, row, _: map_.mappings.inodes[row] if map_.mappings.has_inodes else None,
    "path": lambda map_, row, _: map_.mappings.paths[row],
    "kind": lambda map_, row, _: _KIND_NAMES[map_.kinds[row]],
    "label": lambda map_, row, _: label(map_, row).words,
}
_OF_ALL: Final[dict[str, _OfAll]] = {
    "start": lambda map_, _: map_.mappings.starts,
    "end": lambda map_, _: map_.mappings.ends,
    "size": lambda map_, _: list(map(operator.sub, map_.mappings.ends, map_.mappings.starts)),
    "perms": lambda map_, _: map_.mappings.perms,
    "offset": lambda map_, _: map_.mappings.offsets,
    "dev": lambda map_, _: _if_told(map_, map_.mappings.devs),
    "inode": lambda map_, _: _if_told(map_, map_.mappings.inodes),
    "path": lambda map_, _: map_.mappings.paths,
    "kind": lambda map_, _: [_KIND_NAMES[index] for index in map_.kinds],
    "label": lambda map_, _: [label(map_, row).words for row in range(len(map_))],
}
for _each in _TABLE:
    if _each.key:
        _OF_ROW[_each.name], _OF_ALL[_each.name] = _readers(_each)
for _each, (_since, _key) in _GAINS.items():
    _OF_ROW[_each.name], _OF_ALL[_each.name] = _gained(_since, _key)
for _name in _DERIVED:
    _OF_ROW[_name], _OF_ALL[_name] = _derived(_name)


def _is_offered(column: MappingColumn, lines: Set[str]) -> bool:
    """Whether there are lines of smaps to make a column of."""
    if column in _GAINS:
        return _GAINS[column][1] in lines
    if column.name in _DERIVED:
        return any(COLUMNS[part].key in lines for part in _DERIVED[column.name][0])
    return not column.key or column.key in lines


def _extras(map_: AddressMap) -> dict[str, MappingColumn]:
    """Columns of the lines that the table does not know, by name."""
    mappings = map_.mappings
    return _unknown_lines(tuple(mappings.usage), tuple(mappings.texts), frozenset(mappings.counts))


@lru_cache(maxsize=64)
def _unknown_lines(
    usage: tuple[str, ...], texts: tuple[str, ...], counts: frozenset[str]
) -> dict[str, MappingColumn]:
    found: dict[str, MappingColumn] = {}
    for key in (*usage, *texts):
        if key in _KNOWN_KEYS:
            continue
        name = _snake(key) or "line"
        while name in COLUMNS or name in found:
            name += "_"
        type_: Measure = "count" if key in counts else "bytes" if key in usage else "text"
        found[name] = _column(name, key, type_, f"{key} of smaps, a line of this kernel's", key)
    return found
