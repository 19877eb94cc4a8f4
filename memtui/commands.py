"""The table of commands: their arguments, options and words, and where the report is that each prints.

A new report is one entry here and the module that it names.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Option(NamedTuple):
    """An option of one command: a switch, or `values` at most, of which help shows `value_name`.

    `prints`: with it a command that has a screen prints, and shows nothing.
    `repeats`: it may be given again, and all that it was given count.
    """

    flag: str
    value_name: str
    values: int
    help: str
    prints: bool = False
    repeats: bool = False

    @property
    def key(self) -> str:
        return self.flag.lstrip("-").replace("-", "_")


class Command(NamedTuple):
    """A report. `argument` is the names of its positionals, in brackets where they may be left out.

    `code` names a function that takes the files and all options, and gives the output in pieces;
    it is imported when it is wanted. With an option of its own that does not only make it print it
    decides itself whether it can do without its positionals. With `rest` it takes all that stands
    after `--` as it is.

    `source` names one that gives other files from these and the options. `screen` one of the interface
    that shows it instead, from files, settings and options to the exit status: on a terminal, without
    --json and without an option that `prints`.
    """

    name: str
    argument: str
    help: str
    code: str
    options: tuple[Option, ...] = ()
    is_table: bool = True  # and so goes with --csv
    is_document: bool = True  # and so goes with --json
    is_report: bool = True  # of a machine, and so goes with --from
    takes_time: bool = False  # of a recording that is its argument, and so goes with --at
    is_phrase: bool = False  # whose argument may be several words
    rest: str = ""  # what help calls it
    source: str = ""
    screen: str = ""

    @property
    def usage(self) -> str:
        """How it is called, without options."""
        return f"{self.name} {self.argument}{f' -- {self.rest}' if self.rest else ''}".rstrip()


_SAR_SECTIONS: Final = (
    Option("-r", "", 0, "memory, with all columns of sar -r ALL; this where no section is given"),
    Option("-B", "", 0, "paging, page faults and reclaim"),
    Option("-S", "", 0, "swap space"),
    Option("-W", "", 0, "pages swapped in and out"),
    Option("-H", "", 0, "huge pages"),
    Option("-q", "", 0, "time lost waiting for memory (PSI), as sar -q MEM"),
)

COMMANDS: Final = (
    Command(
        "free",
        "",
        "the figures of free(1), by the formulas of procps 4",
        "memtui.reports.memory:run",
    ),
    Command(
        "explain",
        "[NAME]",
        "what a figure or a term means, with today's numbers; without NAME, the list of all",
        "memtui.reports.explain:run",
        is_phrase=True,
    ),
    Command(
        "maps",
        "PID",
        "a process's mappings with their usage and kind; --diff: what of them changed",
        "memtui.reports.mappings:run",
        (
            Option(
                "--diff",
                "FILE [FILE]",
                2,
                "only what changed since FILE, which memtui maps PID --json has saved; "
                "with two files from one to the other, and PID may be left out",
            ),
        ),
    ),
    Command(
        "sar",
        "[INTERVAL [COUNT]]",
        "sysstat's tables of memory: every INTERVAL seconds, COUNT times or until Ctrl+C; without, "
        "once, with rates since boot; --root A --root B …: between captured states of one machine; "
        "--from FILE: between the moments that were recorded",
        "memtui.reports.sar:run",
        (
            *_SAR_SECTIONS,
            Option("--since", "TIME", 1, "of a recording: from when, as --at (its first moment)"),
            Option("--until", "TIME", 1, "of a recording: until when (its last moment)"),
        ),
    ),
    Command(
        "pressure",
        "",
        "is memory short: stalls, watermarks and the verdict",
        "memtui.reports.pressure:run",
    ),
    Command(
        "procs",
        "",
        "processes by memory, the largest first",
        "memtui.reports.processes:run",
        (Option("--no-pss", "", 0, "without PSS and USS, which take most of the time"),),
    ),
    Command(
        "oom",
        "",
        "whom the kernel would kill if memory ran out now, and why; the policy; kills in its log",
        "memtui.reports.oom:run",
        (
            Option(
                "--cgroup",
                "PATH|PID",
                1,
                "inside a memory cgroup, or the one that is nearest to its limit around a process",
            ),
        ),
    ),
    Command(
        "cgroups",
        "",
        "the tree of memory cgroups, with limits and what is left",
        "memtui.reports.cgroups:run",
    ),
    Command(
        "owners",
        "",
        "who holds shared memory: tmpfs mounts, System V segments, memfds, GPU buffers",
        "memtui.reports.owners:run",
    ),
    Command(
        "report",
        "FILE [PID]",
        "one file for a bug report: free, pressure, zones, processes, oom, cgroups, owners, events, "
        "and the map of PID, or of the largest process; JSON with --json or where it ends in .json; "
        "never over another file",
        "memtui.reports.bundle:run",
        (Option("--no-commands", "", 0, "without command lines, which may hold secrets"),),
        is_table=False,
    ),
    Command(
        "sample",
        "[PID]",
        "one raw sample in the kernel's own keys, always as JSON (--json: on one line)",
        "memtui.reports.raw:run",
        is_table=False,
    ),
    Command(
        "slabs",
        "",
        "the kernel's caches of objects, the largest first (root)",
        "memtui.reports.slabs:run",
    ),
    Command(
        "zones",
        "",
        "memory zones: watermarks, free blocks by order, fragmentation",
        "memtui.reports.zones:run",
    ),
    Command(
        "lab",
        "[NAME]",
        "experiments with memory, a step at a time in the dashboard: predict, and see; with "
        "--headless one is run to its end, or all: what was expected and what was measured",
        "memtui.reports.lab:run",
        (
            Option("--headless", "", 0, "to its end, and no screen; NAME may be all", True),
            Option("--list", "", 0, "the experiments, and which of them can be run here", True),
        ),
        is_table=False,
        is_report=False,
        screen="memtui.tui.lab:run",
    ),
    Command(
        "run",
        "",
        "starts a program under watch: what happened to its memory from exec to exit, and why it "
        "crashed; the exit status is its own",
        "memtui.reports.run:run",
        (
            Option(
                "--headless",
                "",
                0,
                "no screen: the program has this terminal, and its story follows on standard error; "
                "with --json on standard output, and what it prints there goes to standard error",
                True,
            ),
            Option(
                "--detach-output",
                "FILE",
                1,
                "what the program prints goes to FILE; never over another file",
            ),
        ),
        is_table=False,
        is_report=False,
        rest="CMD [ARG …]",
        screen="memtui.tui.runlaunch:run",
    ),
    Command(
        "core",
        "FILE [EXE]",
        "a core dump, compressed or not: why the program died, on its map; a report with --json, "
        "--headless or without a terminal. EXE: the program, where it is not found by its path",
        "memtui.reports.core:run",
        (Option("--headless", "", 0, "the report, also on a terminal", True),),
        source="memtui.reports.core:opened",
        screen="memtui.tui.core:run",
        is_table=False,
        is_report=False,
    ),
    Command(
        "record",
        "[FILE]",
        "write down what happens, for days: every process and all that the views show; SIGTERM or "
        "Ctrl+C ends it, and with the same FILE it goes on; without FILE, where the dashboard finds it",
        "memtui.reports.record:run",
        (
            Option(
                "--map",
                "PID|NAME",
                1,
                "keep this process's maps too; may be repeated",
                repeats=True,
            ),
            Option("--largest", "N", 1, "keep the maps of the N largest processes"),
            Option("--keep", "TIME", 1, "throw away what is older, such as 7d or 12h"),
            Option("--max-size", "SIZE", 1, "throw away the oldest where FILE gets larger: 500M"),
            Option("--no-commands", "", 0, "without command lines, which may hold secrets"),
        ),
        is_table=False,
        is_document=False,
        is_report=False,
    ),
    Command(
        "replay",
        "FILE",
        "a recording in the dashboard, from its last moment or --at: wind, step, play; without a terminal "
        "or with --json what is in it",
        "memtui.reports.replay:run",
        source="memtui.reports.replay:opened",
        screen="memtui.tui.replay:run",
        is_table=False,
        is_report=False,
        takes_time=True,
    ),
    Command(
        "export",
        "FILE",
        "a recording for other programs: CSV, a line a moment, with every figure of the machine; --json: "
        "a document a line, with the processes too",
        "memtui.reports.export:run",
        (
            Option("--openmetrics", "", 0, "OpenMetrics text, with each process's RSS"),
            Option("--since", "TIME", 1, "from when, as --at (its first moment)"),
            Option("--until", "TIME", 1, "until when (its last moment)"),
        ),
        is_report=False,
    ),
    Command(
        "config",
        "",
        "a file of settings that says what holds without one",
        "memtui.settings.file:run",
        is_table=False,
        is_document=False,
        is_report=False,
    ),
)
