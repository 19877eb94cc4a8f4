"""`memtui free`: the figures of free(1)."""

from __future__ import annotations

from collections.abc import Iterator

from memtui import units
from memtui.kernel.files import Gap, KernelFiles
from memtui.kernel.meminfo import parse_meminfo
from memtui.model.free import free_figures
from memtui.reports.output import Column, document, table, unreadable


def free(files: KernelFiles, as_json: bool) -> Iterator[str]:
    """free(1)'s table; JSON in bytes. Fails where there is no meminfo."""
    meminfo = files.parsed("proc/meminfo", parse_meminfo)
    if isinstance(meminfo, Gap):
        raise unreadable(files, meminfo)
    figures = free_figures(meminfo)
    swap = {"total": figures.swap_total, "used": figures.swap_used, "free": figures.swap_free}
    if as_json:
        names = ("total", "used", "free", "shared", "buffers", "cache", "buff_cache", "available")
        yield document({"mem": {name: getattr(figures, name) for name in names}, "swap": swap})
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
            Column("", "<", ["Mem:", "Swap:"]),
            *(
                Column(head, ">", [units.size(value), swap_value], at_least=10)
                for head, value, swap_value in zip(heads, mem, below, strict=True)
            ),
        ]
    )
