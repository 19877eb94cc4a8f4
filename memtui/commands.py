"""The table of commands: their arguments, options and words, and the report that each prints.

Each report is imported when it is wanted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from memtui.kernel.files import Files, LiveFiles
from memtui.reports.output import Form


class Option(NamedTuple):
    """An option of one command: a switch, or `values` at most, of which help shows `value_name`."""

    flag: str
    value_name: str
    values: int
    help: str

    @property
    def key(self) -> str:
        return self.flag.lstrip("-").replace("-", "_")


class Command(NamedTuple):
    """A report. `argument` is the names of its positionals, in brackets where they may be left out.

    `report` takes the files, the first of them (None: left out) and all options, and gives the
    output in pieces. With an option of its own it decides itself whether it can do without. All
    positionals are in `options.arguments`, and all of --root in `options.roots`.
    """

    name: str
    argument: str
    help: str
    report: Callable[[Files, str | None, argparse.Namespace], Iterable[str]]
    options: tuple[Option, ...] = ()
    is_table: bool = True  # and so goes with --csv
    is_document: bool = True  # and so goes with --json
    is_phrase: bool = False  # whose argument may be several words


def form_of(options: argparse.Namespace) -> Form:
    """What --json and --csv ask for."""
    return "json" if options.json else "csv" if options.csv else "text"


def _free(files: Files, _argument: str | None, options: argparse.Namespace) -> Iterable[str]:
    from memtui.reports.memory import free

    return free(files, form_of(options))


def _explain(files: Files, name: str | None, options: argparse.Namespace) -> Iterable[str]:
    from memtui.reports.explain import explain

    return explain(files, name, form_of(options))


def _maps(files: Files, argument: str | None, options: argparse.Namespace) -> Iterable[str]:
    if options.diff:
        from memtui.reports.mapdiff import maps_diff

        return maps_diff(files, argument, options.diff, form_of(options))
    from memtui.reports.mappings import maps

    return maps(files, argument or "", form_of(options))


def _procs(files: Files, _argument: str | None, options: argparse.Namespace) -> Iterable[str]:
    from memtui.reports.processes import procs

    return procs(files, form_of(options), not options.no_pss)


def _oom(files: Files, _argument: str | None, options: argparse.Namespace) -> Iterable[str]:
    from memtui.reports.oom import oom

    return oom(files, form_of(options), options.cgroup)


def _cgroups(files: Files, _argument: str | None, options: argparse.Namespace) -> Iterable[str]:
    from memtui.reports.cgroups import cgroups

    return cgroups(files, form_of(options))


def _pressure(files: Files, _argument: str | None, options: argparse.Namespace) -> Iterable[str]:
    from memtui.reports.pressure import pressure

    return pressure(files, form_of(options))


def _slabs(files: Files, _argument: str | None, options: argparse.Namespace) -> Iterable[str]:
    from memtui.reports.slabs import slabs

    return slabs(files, form_of(options))


def _zones(files: Files, _argument: str | None, options: argparse.Namespace) -> Iterable[str]:
    from memtui.reports.zones import zones

    return zones(files, form_of(options))


def _sample(files: Files, argument: str | None, options: argparse.Namespace) -> Iterable[str]:
    from memtui.reports.raw import sample

    return sample(files, argument, options.json)


def _config(_files: Files, _argument: str | None, _options: argparse.Namespace) -> Iterable[str]:
    from memtui.settings.file import default_file

    return default_file()


def _sar(files: Files, _argument: str | None, options: argparse.Namespace) -> Iterable[str]:
    from memtui.reports.sar import sar

    roots: list[Files] = [LiveFiles(root) for root in options.roots]
    flags = [option.flag for option in _SAR_SECTIONS if getattr(options, option.key)]
    return sar(roots or [files], flags, options.arguments, form_of(options))


_SAR_SECTIONS: Final = (
    Option("-r", "", 0, "memory, with all columns of sar -r ALL; this where no section is given"),
    Option("-B", "", 0, "paging, page faults and reclaim"),
    Option("-S", "", 0, "swap space"),
    Option("-W", "", 0, "pages swapped in and out"),
    Option("-H", "", 0, "huge pages"),
    Option("-q", "", 0, "time lost waiting for memory (PSI), as sar -q MEM"),
)

COMMANDS: Final = (
    Command("free", "", "the figures of free(1), by the formulas of procps 4", _free),
    Command(
        "explain",
        "[NAME]",
        "what a figure or a term means, with today's numbers; without NAME, the list of all",
        _explain,
        is_phrase=True,
    ),
    Command(
        "maps",
        "PID",
        "a process's mappings with their usage and kind; --diff: what of them changed",
        _maps,
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
        "once, with rates since boot; --root A --root B …: between captured states of one machine",
        _sar,
        _SAR_SECTIONS,
    ),
    Command("pressure", "", "is memory short: stalls, watermarks and the verdict", _pressure),
    Command(
        "procs",
        "",
        "processes by memory, the largest first",
        _procs,
        (Option("--no-pss", "", 0, "without PSS and USS, which take most of the time"),),
    ),
    Command(
        "oom",
        "",
        "whom the kernel would kill if memory ran out now, and why; the policy; kills in its log",
        _oom,
        (
            Option(
                "--cgroup",
                "PATH|PID",
                1,
                "inside a memory cgroup, or the one that is nearest to its limit around a process",
            ),
        ),
    ),
    Command("cgroups", "", "the tree of memory cgroups, with limits and what is left", _cgroups),
    Command(
        "sample",
        "[PID]",
        "one raw sample in the kernel's own keys, always as JSON (--json: on one line)",
        _sample,
        is_table=False,
    ),
    Command("slabs", "", "the kernel's caches of objects, the largest first (root)", _slabs),
    Command("zones", "", "memory zones: watermarks, free blocks by order, fragmentation", _zones),
    Command(
        "config",
        "",
        "a file of settings that says what holds without one",
        _config,
        is_table=False,
        is_document=False,
    ),
)
