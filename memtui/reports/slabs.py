"""`memtui slabs`: the kernel's caches of objects, as slabtop has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from memtui import units
from memtui.kernel.files import Files, Gap
from memtui.kernel.slabs import Slab, parse_slabinfo
from memtui.live.machine import page_bytes_of
from memtui.reports.output import (
    NOT_PERMITTED,
    Failure,
    Form,
    Options,
    TextColumn,
    csv_document,
    form_of,
    list_document,
    place,
    shown,
    table,
    unreadable,
)

_KEYS: Final = (*Slab._fields, "size_bytes")


def run(files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui slabs`."""
    return slabs(files, form_of(options))


def slabs(files: Files, form: Form) -> Iterator[str]:
    """Every cache: text by size with a total, JSON and CSV in the file's order, repeated names kept.

    Fails where slabinfo may not be read, which is so for all but root.
    """
    found = files.parsed("proc/slabinfo", parse_slabinfo)
    if isinstance(found, Gap):
        if found.reason == "denied" and not found.detail:
            path = place(files, found.source)
            raise Failure(
                f"{path} is for root alone: memtui slabs needs to run as root", NOT_PERMITTED
            )
        raise unreadable(files, found)
    page_bytes = page_bytes_of(files)
    if form == "text":
        yield from _text(found, page_bytes)
        return
    rows = [{**slab._asdict(), "size_bytes": slab.size_bytes(page_bytes)} for slab in found]
    if form == "json":
        yield list_document(rows)
    else:
        yield from csv_document(_KEYS, rows)


def _text(found: Sequence[Slab], page_bytes: int) -> Iterator[str]:
    total = sum(slab.size_bytes(page_bytes) or 0 for slab in found)
    objects, active = (
        sum(slab.objects or 0 for slab in found),
        sum(slab.active_objects or 0 for slab in found),
    )
    yield (
        f"{units.count(len(found))} cache{'' if len(found) == 1 else 's'}, {units.size(total)}, "
        f"{units.count(active)} of {units.count(objects)} objects in use\n\n"
    )
    rows = sorted(found, key=lambda slab: slab.size_bytes(page_bytes) or 0, reverse=True)
    yield from table(
        [
            TextColumn("SIZE", ">", [units.size(slab.size_bytes(page_bytes)) for slab in rows]),
            TextColumn("OBJECTS", ">", [units.count(slab.objects) for slab in rows]),
            TextColumn("ACTIVE", ">", [units.count(slab.active_objects) for slab in rows]),
            TextColumn("USED", ">", [units.percent(_used_pct(slab)) for slab in rows]),
            TextColumn("OBJECT", ">", [units.size(slab.object_bytes) for slab in rows]),
            TextColumn("A SLAB", ">", [units.count(slab.objects_per_slab) for slab in rows]),
            TextColumn("SLABS", ">", [units.count(slab.slabs) for slab in rows]),
            TextColumn("NAME", "<", [shown(slab.name) for slab in rows]),
        ]
    )


def _used_pct(slab: Slab) -> float | None:
    active = slab.active_objects
    return 100 * active / slab.objects if slab.objects and active is not None else None
