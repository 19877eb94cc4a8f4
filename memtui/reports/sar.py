"""`memtui sar`: sysstat's tables of memory, live, since boot, or of captured states."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from memtui import units
from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.pressure import parse_pressure
from memtui.kernel.uptime import parse_boot_time, parse_uptime, read_uptime_s
from memtui.kernel.vmstat import parse_vmstat
from memtui.model.system.sar import (
    BOOT,
    SECTIONS,
    Average,
    Figures,
    SarColumn,
    State,
    columns_of,
    figures,
    state,
)
from memtui.reports.output import (
    USAGE,
    Failure,
    Form,
    Options,
    csv_document,
    document,
    form_of,
    unreadable,
)
from memtui.settings.table import INTERVAL_RANGE_S

if TYPE_CHECKING:
    # SQLite and the compressors are imported where a recording is read.
    from memtui.recording.files import RecordedFiles
    from memtui.recording.moment import Moment
    from memtui.recording.recording import Recording

T = TypeVar("T")

_HELP: Final = "memtui sar --help"
_MOMENT_S: Final = 0.03  # more than the hundredth of a second that /proc/uptime counts


class _Reading(NamedTuple):
    """One state of a machine, and when: since boot, and since the epoch. None: not known."""

    state: State
    uptime_s: float | None
    timestamp_s: float | None
    gaps: tuple[Gap, ...]


class _Row(NamedTuple):
    """One line: the state now, when the one before was, and the figures of both."""

    now: _Reading
    before_s: float | None
    elapsed_s: float | None
    figures: Figures

    @property
    def json(self) -> dict[str, Any]:
        timestamp, elapsed = self.now.timestamp_s, self.elapsed_s
        return {
            "timestamp": None if timestamp is None else round(timestamp, 3),
            "interval_s": None if elapsed is None else round(elapsed, 3),
            **self.figures,
        }


def run(files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui sar [INTERVAL [COUNT]]`, of one root or of several in turn."""
    roots: list[Files] = [LiveFiles(root) for root in options.roots]
    flags = [each.flag for each in SECTIONS if getattr(options, each.flag.lstrip("-"))]
    form = form_of(options)
    if options.since is None and options.until is None:
        if options.recording is not None and (earlier := files.earlier()) is not None:
            roots = [earlier, files]
        return sar(roots or [files], flags, options.arguments, form)
    if options.recording is None:
        raise Failure(f"--since and --until go with --from FILE: {_HELP}", USAGE)
    from memtui.reports.recorded import moments_between, recording_of

    recording = recording_of(options.recording)
    moments = moments_between(recording, options.since, options.until)
    return recorded(recording, moments, flags, options.arguments, form)


def sar(
    roots: Sequence[Files], flags: Sequence[str], arguments: Sequence[str], form: Form
) -> Iterator[str]:
    """The tables of the sections `flags`, -r without any; `arguments`: INTERVAL and COUNT.

    Several roots are successive states of one machine, with a row for each pair. Of one, without
    INTERVAL, there is one row with rates since boot. JSON and CSV have a line for each row, sizes in
    sysstat's kB, and no average. Ctrl+C ends it in good order: it is the way out of an endless one.
    """
    with contextlib.suppress(KeyboardInterrupt):
        yield from _sar(roots, flags, arguments, form)


def recorded(
    recording: Recording,
    moments: Sequence[Moment],
    flags: Sequence[str],
    arguments: Sequence[str],
    form: Form,
) -> Iterator[str]:
    """The same between successive moments of a recording, INTERVAL seconds apart at least."""
    from memtui.recording.store import Unusable

    interval_s, count = _interval_and_count(arguments)
    slack_s = recording.run_of(moments[0]).interval_s / 2
    chosen = _spaced(moments, interval_s or 0.0, slack_s)
    if count is not None:
        chosen = chosen[: count + 1]
    if len(chosen) < 2:
        raise Failure(
            f"{recording.path}: of that time there are not two moments, {interval_s or 0:g} s apart"
        )
    wanted = _wanted(flags)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            files = recording.files_at(chosen[0])
            readings = _successive(recording, files, chosen, wanted.sources)
            first = next(readings)
            _check(files, wanted.sources, first)
            yield from _printed(files, first, readings, wanted, form)
        except Unusable as error:
            raise Failure(str(error)) from None


def _spaced(moments: Sequence[Moment], interval_s: float, slack_s: float) -> list[Moment]:
    """Those that are so far apart, give or take some slack."""
    chosen: list[Moment] = []
    for moment in moments:
        if not chosen or moment.time_s - chosen[-1].time_s >= interval_s - slack_s:
            chosen.append(moment)
    return chosen


def _successive(
    recording: Recording, files: RecordedFiles, moments: Sequence[Moment], sources: set[str]
) -> Iterator[_Reading]:
    for moment in moments:
        files.move_to(recording.view(moment))
        yield _read(files, sources)


class _Wanted(NamedTuple):
    """Which sections are, their columns, and the files that these are made of."""

    flags: list[str]
    columns: list[SarColumn]
    sources: set[str]

    @property
    def has_rates(self) -> bool:
        return any(column.is_growth for column in self.columns)


def _wanted(flags: Sequence[str]) -> _Wanted:
    sections = [section for section in SECTIONS if section.flag in (flags or ("-r",))]
    columns = columns_of(section.flag for section in sections)
    return _Wanted(
        [section.flag for section in sections],
        list(columns),
        {section.source for section in sections},
    )


def _sar(
    roots: Sequence[Files], flags: Sequence[str], arguments: Sequence[str], form: Form
) -> Iterator[str]:
    interval_s, count = _interval_and_count(arguments)
    wanted = _wanted(flags)
    for files in roots:
        if isinstance(files.stat("proc"), Gap):
            raise Failure(
                f"{files.root}: no proc directory in it; --root takes the directory above"
            )
    captured: list[_Reading] = []
    if interval_s is None:
        captured = [_read(files, wanted.sources) for files in roots]
        readings = iter(captured)
    else:
        if len(roots) > 1:
            raise Failure("several --root are captured states, which take no INTERVAL", USAGE)
        if not _goes_on(roots[0]):
            raise Failure(
                f"{roots[0].root} stands still: leave out INTERVAL, or compare captures of one "
                "machine with --root A --root B",
                USAGE,
            )
        readings = _live(roots[0], wanted.sources, interval_s, count)
    first = next(readings)
    _check(roots[0], wanted.sources, first)
    since_boot = interval_s is None and len(roots) == 1
    lacks = _lacks(roots, captured or [first], wanted.has_rates)
    yield from _printed(roots[0], first, readings, wanted, form, lacks, since_boot=since_boot)


def _printed(
    files: Files,
    first: _Reading,
    readings: Iterator[_Reading],
    wanted: _Wanted,
    form: Form,
    lacks: Iterable[str] = (),
    *,
    since_boot: bool = False,
) -> Iterator[str]:
    columns = wanted.columns
    rows = _rows(first, iter([first]) if since_boot else readings, since_boot, columns)
    if form == "text":
        yield _title(files, first)
        if since_boot and wanted.has_rates:
            yield f"Rates are means since boot, {units.duration(first.uptime_s)} ago\n"
        for line in lacks:
            yield f"{units.printable(line)}\n"
        yield from _text(rows, wanted.flags, columns)
    elif form == "json":
        for row in rows:
            yield document(row.json)
    else:
        keys = ["timestamp", "interval_s", *(column.name for column in columns)]
        yield from csv_document(keys, (row.json for row in rows), 1)


def _interval_and_count(arguments: Sequence[str]) -> tuple[float | None, int | None]:
    if not arguments:
        return None, None
    low, high = INTERVAL_RANGE_S
    try:
        interval_s = float(arguments[0])
    except ValueError:
        interval_s = 0.0
    if not low <= interval_s <= high:  # which NaN is not, either
        raise Failure(
            f"INTERVAL must be {low:g} to {high:g} seconds, not {arguments[0]!r}: {_HELP}", USAGE
        )
    if len(arguments) == 1:
        return interval_s, None
    try:
        count = int(arguments[1])
    except ValueError:
        count = 0
    if count < 1:
        raise Failure(f"COUNT must be a number from 1, not {arguments[1]!r}: {_HELP}", USAGE)
    return interval_s, count


def _goes_on(files: Files) -> bool:
    """Whether this is a machine that runs, be it below another root, and not a capture."""
    if files.is_live:
        return True
    before = files.parsed("proc/uptime", parse_uptime)
    time.sleep(_MOMENT_S)
    return files.parsed("proc/uptime", parse_uptime) != before


def _live(
    files: Files, sources: set[str], interval_s: float, count: int | None
) -> Iterator[_Reading]:
    """A reading now, and one after each interval: `count` of them, or without end."""
    yield _read(files, sources)
    due = time.monotonic()
    while count is None or count > 0:
        due = max(due + interval_s, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
        yield _read(files, sources)
        count = None if count is None else count - 1


def _read(files: Files, sources: set[str]) -> _Reading:
    """What is wanted of a machine now; nothing else is read."""
    gaps = []

    def read(source: str, parse: Callable[[bytes], T]) -> T | Gap:
        value = files.parsed(source, parse) if source in sources else Gap(source, "absent")
        if source in sources and isinstance(value, Gap):
            gaps.append(value)
        return value

    found = state(
        read("proc/meminfo", parse_meminfo),
        read("proc/vmstat", parse_vmstat),
        read("proc/pressure/memory", parse_pressure),
    )
    uptime_s = read_uptime_s(files)
    if files.is_live:
        return _Reading(found, uptime_s, time.time(), tuple(gaps))
    timestamp_s = files.time_s
    booted = files.parsed("proc/stat", parse_boot_time)
    if timestamp_s is None and uptime_s is not None and not isinstance(booted, Gap):
        timestamp_s = booted + uptime_s
    return _Reading(found, uptime_s, timestamp_s, tuple(gaps))


def _check(files: Files, sources: set[str], reading: _Reading) -> None:
    """Fails where there is nothing at all to show. Without PSI a kernel has no stalls to tell."""
    if len(reading.gaps) == len(sources) and sources != {"proc/pressure/memory"}:
        raise unreadable(files, reading.gaps[0])


def _lacks(roots: Sequence[Files], readings: Sequence[_Reading], has_rates: bool) -> Iterator[str]:
    """Why there will be n/a: what could not be read, and states from which no time passes."""
    for files, reading in zip(roots, readings, strict=True):
        where = f"{files.root}: " if len(roots) > 1 else ""
        for gap in reading.gaps:
            yield f"not read: {where}{gap}"
    for files, (before, now) in zip(roots[1:], pairwise(readings), strict=True):
        if has_rates and _elapsed(before, now) is None:
            yield f"no rates: {files.root} is not known to be later than the state before it"


def _rows(
    first: _Reading, readings: Iterator[_Reading], since_boot: bool, columns: Sequence[SarColumn]
) -> Iterator[_Row]:
    before = first
    for now in readings:
        if since_boot:
            begin, elapsed_s = BOOT, now.uptime_s
        else:
            begin, elapsed_s = before.state, _elapsed(before, now)
        before_s = before.timestamp_s
        if since_boot and before_s is not None:
            before_s -= now.uptime_s or 0
        yield _Row(now, before_s, elapsed_s, figures(now.state, begin, elapsed_s, columns))
        before = now


def _elapsed(before: _Reading, now: _Reading) -> float | None:
    """Seconds between two readings, suspends included; None too where they are in no order."""
    if before.uptime_s is None or now.uptime_s is None or now.uptime_s <= before.uptime_s:
        return None
    return now.uptime_s - before.uptime_s


def _title(files: Files, reading: _Reading) -> str:
    """The line that sar begins with: kernel, host, and the day."""
    names = []
    for name in ("osrelease", "hostname"):
        data = files.read(f"proc/sys/kernel/{name}")
        text = "" if isinstance(data, Gap) else data.decode("utf-8", "surrogateescape").strip()
        names.append(units.printable(text) or units.UNKNOWN)
    day = _clock("%Y-%m-%d", reading.timestamp_s)
    return f"Linux {names[0]} ({names[1]})  {day}\n"


def _clock(pattern: str, timestamp_s: float | None) -> str:
    try:
        return time.strftime(pattern, time.localtime(timestamp_s)) if timestamp_s else units.UNKNOWN
    except (OverflowError, ValueError, OSError):  # a captured clock may say anything
        return units.UNKNOWN


def _text(
    rows: Iterator[_Row], flags: Sequence[str], columns: Sequence[SarColumn]
) -> Iterator[str]:
    """sar's layout. Of one section the heads are said once a screen, of several each time."""
    sections = [[column for column in columns if column.section == flag] for flag in flags]
    screen = max(shutil.get_terminal_size((80, 0)).lines - 3, 0)  # 0: not a terminal
    average = Average(columns)
    try:
        for row in rows:
            is_headed = (
                len(sections) > 1
                or not average.count
                or (screen > 0 and average.count % screen == 0)
            )
            average.add(row.now.state, row.elapsed_s, row.figures)
            before = _clock("%H:%M:%S", row.before_s) if is_headed else None
            yield _block(_clock("%H:%M:%S", row.now.timestamp_s), row.figures, sections, before)
    except KeyboardInterrupt:
        yield "\n"  # the terminal has echoed ^C
    if average.count > 1:
        head = "Average:" if len(sections) > 1 else None
        yield _block("Average:", average.figures(), sections, head)


def _block(
    label: str, values: Figures, sections: Sequence[Sequence[SarColumn]], head: str | None
) -> str:
    """One row of each section; `head`: what stands before its heads, None for none of them."""
    lines = []
    for section in sections:
        if head is not None:
            lines.append("")
            lines.append(f"{head:<11}" + "".join(f" {column.name:>9}" for column in section))
        cells = (f" {column.text(values[column.name]):>9}" for column in section)
        lines.append(f"{label:<11}" + "".join(cells))
    return "\n".join(lines) + "\n"
