"""`memtui free`: the figures of free(1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from memtui import units
from memtui.kernel.files import Files, Gap
from memtui.kernel.meminfo import parse_meminfo
from memtui.model.system.free import free_figures
from memtui.reports.output import (
    Form,
    Options,
    TextColumn,
    csv_document,
    document,
    form_of,
    table,
    unreadable,
)

_NAMES: Final = ("total", "used", "free", "shared", "buffers", "cache", "buff_cache", "available")


def run(files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui free`."""
    return free(files, form_of(options))


def free(files: Files, form: Form) -> Iterator[str]:
    """free(1)'s table; JSON and CSV in bytes. Fails where there is no meminfo."""
    meminfo = files.parsed("proc/meminfo", parse_meminfo)
    if isinstance(meminfo, Gap):
        raise unreadable(files, meminfo)
    figures = free_figures(meminfo)
    swap = {"total": figures.swap_total, "used": figures.swap_used, "free": figures.swap_free}
    if form != "text":
        of_mem = {name: getattr(figures, name) for name in _NAMES}
        if form == "json":
            yield document({"mem": of_mem, "swap": swap})
        else:
            rows = [{"name": "mem", **of_mem}, {"name": "swap", **swap}]
            yield from csv_document(["name", *_NAMES], rows)
        return
    mem = (
        figures.total,
        figures.used,
        figures.free,
        figures.shared,
        figures.buff_cache,
        figures.available,
    )
    heads = ("total", "used", "free", "shared", "buff/cache", "available")
    below = [*map(units.size, swap.values()), "", "", ""]
    yield from table(
        [
            TextColumn("", "<", ["Mem:", "Swap:"]),
            *(
                TextColumn(head, ">", [units.size(value), swap_value], at_least=10)
                for head, value, swap_value in zip(heads, mem, below, strict=True)
            ),
        ]
    )
