"""`memtui cgroups`: the tree of memory cgroups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from memtui import units
from memtui.kernel.cgroups import MemoryGroup, read_tree
from memtui.kernel.files import Files, Gap
from memtui.kernel.pressure import Pressure, Stall
from memtui.model.cgroups.tree import GroupRow, event_words, group_rows, parts
from memtui.reports.output import (
    Form,
    Options,
    TextColumn,
    csv_document,
    form_of,
    list_document,
    table,
    unreadable,
)

_KEYS: Final = (
    *("path", "version", "current_bytes", "peak_bytes", "max_bytes", "high_bytes"),
    *("swap_bytes", "swap_max_bytes", "stat", "events", "pressure"),
)
_INDENT: Final = "  "
_NO_LIMIT: Final = "none"


def run(files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui cgroups`."""
    return cgroups(files, form_of(options))


def cgroups(files: Files, form: Form) -> Iterator[str]:
    """Every group, those in it after it. Fails where there is no memory controller."""
    tree = read_tree(files)
    if isinstance(tree, Gap):
        raise unreadable(files, tree)
    if form == "json":
        yield list_document(list(map(_json, tree.groups)))
        return
    if form == "csv":
        rows = list(map(_json, tree.groups))
        yield from csv_document(_columns(rows), rows)
        return
    yield from _text(group_rows(tree))
    if tree.is_cut:
        yield f"\nthe first {units.count(len(tree.groups))} groups; there are more\n"


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    """The fixed columns, then each counter that any group has."""
    plain = [key for key in _KEYS if key not in ("stat", "events", "pressure")]
    inner = {
        f"{outer}.{key}": None
        for outer in ("stat", "events")
        for row in rows
        for key in row[outer] or ()
    }
    figures = ("avg10", "avg60", "avg300", "total_us")
    return [
        *plain,
        *inner,
        *(f"pressure.{line}.{key}" for line in ("some", "full") for key in figures),
    ]


def _json(group: MemoryGroup) -> dict[str, Any]:
    values = group._asdict()
    for key in ("stat", "events"):
        values[key] = None if isinstance(values[key], Gap) else dict(values[key])
    values["pressure"] = _pressure(group.pressure)
    return {key: values[key] for key in _KEYS}


def _pressure(pressure: Pressure | Gap) -> Mapping[str, Any] | None:
    if isinstance(pressure, Gap):
        return None
    return {"some": _stall(pressure.some), "full": _stall(pressure.full)}


def _stall(stall: Stall | None) -> dict[str, float | int] | None:
    if stall is None:
        return None
    return {
        "avg10": stall.avg10_pct,
        "avg60": stall.avg60_pct,
        "avg300": stall.avg300_pct,
        "total_us": stall.total_us,
    }


def _text(rows: list[GroupRow]) -> Iterator[str]:
    made = [parts(row.group) for row in rows]

    def limit(value: int | None, row: GroupRow) -> str:
        if value is not None:
            return units.size(value)
        return units.UNKNOWN if row.group.path == "/" and row.group.version == 2 else _NO_LIMIT

    yield from table(
        [
            TextColumn("GROUP", "<", [_INDENT * row.depth + _name(row) for row in rows]),
            TextColumn("NOW", ">", [units.size(row.group.current_bytes) for row in rows]),
            TextColumn("PEAK", ">", [units.size(row.group.peak_bytes) for row in rows]),
            TextColumn("LIMIT", ">", [limit(row.group.max_bytes, row) for row in rows]),
            *_optional(rows),
            TextColumn("HEADROOM", ">", [_headroom(row) for row in rows]),
            TextColumn("SWAP", ">", [units.size(row.group.swap_bytes) for row in rows]),
            TextColumn("ANON", ">", [units.size(each["anon"]) for each in made]),
            TextColumn("FILE", ">", [units.size(each["file"]) for each in made]),
            TextColumn("KERNEL", ">", [units.size(each["kernel"]) for each in made]),
            TextColumn("SOME 10s", ">", [_avg10(row.group) for row in rows]),
            TextColumn("EVENTS", "<", [event_words(row.group) for row in rows]),
        ]
    )
    bound = [row for row in rows if row.limited_by not in (None, row.group.path)]
    if bound:
        yield "\n* a group above it is tighter than its own limit\n"


def _optional(rows: list[GroupRow]) -> Iterator[TextColumn]:
    """What few groups have: what reclaim leaves them, and the limit it is to keep them below."""
    for head, values in (
        ("MIN", [row.group.min_bytes for row in rows]),
        ("LOW", [row.group.low_bytes for row in rows]),
        ("SOFT" if rows[0].group.version == 1 else "HIGH", [row.group.high_bytes for row in rows]),
    ):
        if any(values):
            yield TextColumn(head, ">", [units.size(value) if value else "" for value in values])


def _name(row: GroupRow) -> str:
    return units.printable(row.name)


def _headroom(row: GroupRow) -> str:
    if row.headroom_bytes is None:
        return _NO_LIMIT if row.group.current_bytes is not None else units.UNKNOWN
    mark = "" if row.limited_by == row.group.path else " *"
    return units.size(row.headroom_bytes) + mark


def _avg10(group: MemoryGroup) -> str:
    if isinstance(group.pressure, Gap) or group.pressure.some is None:
        return units.UNKNOWN
    return units.percent(group.pressure.some.avg10_pct, 1)
