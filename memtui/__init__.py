"""memtui: a terminal dashboard for Linux memory.

How a figure travels from the kernel to a pixel, and where each step lives:

    kernel/      what Linux says: `KernelFiles` opens, one pure `parse_x(bytes)` a source
    sampling.py  `LiveSource` polls on its own threads and hands on frozen `Sample`s;
                 sources.py what it reads only while a view shows it, reading.py what is expensive
    history.py   bounded series of the last hour; holes are None
    inspecting/  what is read on demand: pages, the page table's walk, ELF files, who else maps it
    model/       what it means: `metrics.METRICS` names every figure, `judge.Judge` gives the verdict,
                 `scope.in_group` shows a control group as a machine, `AddressMap` a process's memory,
                 `explain.explain` says what a name means
    reports/     the same figures as text, JSON and CSV    } siblings,
    tui/         the same figures live, drawn with Textual } strangers to each other
    cli.py       the command line; commands.py the table of commands, config.py that of settings,
                 configfile.py the user's file, targets.py names and pids

Imports go downward only (cli → commands → tui | reports → targets | sources | configfile →
sampling | history | inspecting → reading → model → kernel → units).
To follow one figure, read `MemAvailable` in this order: `kernel.meminfo.parse_meminfo`,
`sampling.LiveSource`, `model.metrics.METRICS["mem_available_bytes"]`, `history.History.record`,
`tui.widgets.graph.memory_graph`.
"""

__version__ = "0.1.0"
