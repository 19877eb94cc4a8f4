"""memtui: a terminal dashboard for Linux memory.

How a figure travels from the kernel to a pixel, and where each step lives:

    kernel/      what Linux says: `Files` opens, one pure `parse_x(bytes)` a source
    live/        `LiveSource` polls on its own threads and hands on frozen `Sample`s:
                 sampler.py the processes and what is always read, readers.py what is read only
                 while a view shows it, looker.py what is expensive, within budget.py, deathsigns.py
                 who dies; ticks.py says when
    ondemand/    what is read when it is asked for: pages, the page table's walk, ELF files,
                 who else maps it
    session/     what is remembered: history.py bounded series of the last hour, holes are None
    model/       what it means, by subject: `system.metrics.METRICS` names every figure,
                 `shortage.judge.Judge` gives the verdict, `map.addressmap.AddressMap` is a
                 process's memory, `explain.explain` says what a name means
    reports/     the same figures as text, JSON and CSV    } siblings,
    tui/         the same figures live, drawn with Textual } strangers to each other;
                 firstfigures.py draws the first of them before it is imported
    settings/    the table of settings, their values, the user's file
    cli.py       the command line; commands.py and views.py the tables of commands and of views, with
                 where the code of each is; targets.py names and pids

Imports go downward only (cli → commands → tui | reports → targets → session → live | settings →
ondemand → model → kernel → setting | units | views).
To follow one figure, read `MemAvailable` in this order: `kernel.meminfo.parse_meminfo`,
`live.sampler.Sampler`, `model.system.metrics.METRICS["mem_available_bytes"]`,
`session.history.History.record`, `tui.widgets.graph.memory_graph`.
"""

__version__ = "0.1.0"
