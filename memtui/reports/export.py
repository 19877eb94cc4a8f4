"""`memtui export`: a recording for other programs, as CSV, JSON lines or OpenMetrics text."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from array import array
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from memtui.kernel.files import Files
from memtui.live.plan import Plan
from memtui.model.csvlines import csv_lines
from memtui.model.sample import Sample
from memtui.model.system.metrics import FIELDS, METRICS, Metric, Value
from memtui.recording.moment import Moment
from memtui.recording.recording import Recording
from memtui.recording.replay import Replay
from memtui.recording.store import Unusable
from memtui.reports.output import USAGE, Failure, Options, document, form_of
from memtui.reports.recorded import moments_between, recording_of

_PLAN: Final = Plan(fields=FIELDS)
_TOLD_EVERY_S: Final = 0.5
_DIGITS: Final = 3
_UNITS: Final = ("bytes", "seconds", "ratio", "pages")
_UNSAFE: Final = re.compile(r'[\\"\n]')
_LINES_AT_ONCE: Final = 2000


class _Row(NamedTuple):
    """A moment, its sample, and every figure by the metric's name."""

    moment: Moment
    sample: Sample
    figures: dict[str, Value]


def run(_files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui export FILE`."""
    if options.openmetrics and (options.json or options.csv):
        raise Failure("--openmetrics, --json or --csv, not two: memtui export --help", USAGE)
    recording = recording_of(options.argument)
    moments = moments_between(recording, options.since, options.until)
    rows = _told(_rows(recording, moments), len(moments))
    if options.openmetrics:
        return _openmetrics(rows)
    return _json(rows) if form_of(options) == "json" else _csv(rows)


def _rows(recording: Recording, moments: list[Moment]) -> Iterator[_Row]:
    replay = Replay(recording, details=False)
    before: Sample | None = None
    last: Moment | None = None
    for moment in moments:
        try:
            sample = replay.sample(moment, _PLAN)
        except Unusable as error:
            _say(f"{error}\n")  # and what can be read is handed on
            before = last = None
            continue
        if last is not None and last.run != moment.run:
            before = None
        yield _Row(
            moment,
            sample,
            {name: _round(metric.value(sample, before)) for name, metric in METRICS.items()},
        )
        before, last = sample, moment


def _csv(rows: Iterable[_Row]) -> Iterator[str]:
    lines = ([row.moment.time_s, row.moment.boot_s, *row.figures.values()] for row in rows)
    return csv_lines(["time_s", "boot_s", *METRICS], lines, _LINES_AT_ONCE)


def _json(rows: Iterable[_Row]) -> Iterator[str]:
    for row in rows:
        processes: list[dict[str, Any]] = [
            {
                "pid": each.pid,
                "start_time_ticks": each.key.start_time_ticks,
                "name": each.name,
                "rss_bytes": each.rss_bytes,
                "shared_bytes": each.shared_bytes,
                "size_bytes": each.size_bytes,
            }
            for each in row.sample.processes.values()
            if not each.is_kernel_thread
        ]
        moment = {"time_s": row.moment.time_s, "boot_s": row.moment.boot_s}
        yield document({**moment, "figures": row.figures, "processes": processes})


def _openmetrics(rows: Iterable[_Row]) -> Iterator[str]:
    """Each family stands together, as it must, and so all of it is held in memory: 8 bytes a value."""
    times = array("d")
    values = {name: array("d") for name in METRICS}
    sizes: dict[tuple[int, str], tuple[array[float], array[float]]] = {}
    for row in rows:
        times.append(row.moment.time_s)
        for name, value in row.figures.items():
            values[name].append(float("nan") if value is None else value)
        for each in row.sample.processes.values():
            if each.is_kernel_thread or each.rss_bytes is None:
                continue
            own = sizes.setdefault((each.pid, each.name), (array("d"), array("d")))
            own[0].append(row.moment.time_s)
            own[1].append(each.rss_bytes)
    for name, metric in METRICS.items():
        yield _head(f"memtui_{name}", metric)
        yield from _points(f"memtui_{name}", times, values[name])
    yield "# TYPE memtui_process_rss_bytes gauge\n# UNIT memtui_process_rss_bytes bytes\n"
    for (pid, name), (own_times, own_values) in sizes.items():
        label = f'memtui_process_rss_bytes{{pid="{pid}",name="{_label(name)}"}}'
        yield from _points(label, own_times, own_values)
    yield "# EOF\n"


def _head(family: str, metric: Metric) -> str:
    unit = next((each for each in _UNITS if family.endswith(f"_{each}")), "")
    lines = [f"# TYPE {family} gauge"]
    lines += [f"# UNIT {family} {unit}"] if unit else []
    lines.append(f"# HELP {family} {_label(metric.definition)}")
    return "\n".join(lines) + "\n"


def _points(name: str, times: Iterable[float], values: Iterable[float]) -> Iterator[str]:
    lines = [
        f"{name} {value:.15g} {time_s:.3f}\n"
        for time_s, value in zip(times, values, strict=True)
        if value == value  # no NaN, which is a hole
    ]
    for first in range(0, len(lines), _LINES_AT_ONCE):
        yield "".join(lines[first : first + _LINES_AT_ONCE])


def _label(text: str) -> str:
    """Other people's text as a label's value; bytes that are not UTF-8 become question marks."""
    escaped = _UNSAFE.sub(lambda found: "\\n" if found[0] == "\n" else f"\\{found[0]}", text)
    return escaped.encode("utf-8", "replace").decode()


def _round(value: Value) -> Value:
    return round(value, _DIGITS) if isinstance(value, float) else value


def _told(rows: Iterator[_Row], total: int) -> Iterator[_Row]:
    """The rows; on a terminal standard error says how far it is."""
    shows = sys.stderr is not None and sys.stderr.isatty()
    due_s = time.monotonic() + _TOLD_EVERY_S
    for done, row in enumerate(rows, 1):
        yield row
        if shows and time.monotonic() >= due_s:
            due_s = time.monotonic() + _TOLD_EVERY_S
            _say(f"\r{100 * done // total:3} % of {total} moments")
    if shows:
        _say("\r\x1b[K")


def _say(words: str) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(words)
            sys.stderr.flush()
