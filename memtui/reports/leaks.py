"""`memtui leaks`: what of a recording grew steadily, how sure that is, since when and until when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from memtui import units
from memtui.kernel.files import Files
from memtui.model.processes.leaks import Leak
from memtui.recording.hunt import Hunt, hunt
from memtui.recording.store import Unusable
from memtui.reports.output import (
    Failure,
    Options,
    TextColumn,
    csv_document,
    form_of,
    list_document,
    table,
)
from memtui.reports.recorded import (
    end_progress,
    nothing_then,
    progress,
    recording_of,
    say,
    span_between,
)

_KEYS: Final = (
    *("what", "pid", "name", "mapping", "since", "slope_bytes_per_s", "certainty", "grown_bytes"),
    *("until_full_s", "words", "plateau", "until", "ended", "figure", "kind", "start", "end"),
)
_PLATEAUS: Final = 5  # that the text tells
_DAY_S: Final = 86_400


def run(_files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui leaks FILE`.

    JSON: of each leak, then of what came to a plateau: "what" is process, group, mapping or machine,
    "since" and "until" are seconds since the epoch, "certainty" is 0 to 1 and "words" say it,
    "until_full_s" counts from the last moment on until what was available then is eaten. "figure" is
    what of it grew: anon, rss or pss, with swap. "kind" is of a mapping, which "start" and "end" place,
    or says what a group has in common.
    """
    recording = recording_of(options.argument)
    span = span_between(recording, options.since, options.until)
    try:
        found = hunt(recording, *span, progress("moments"))
    except Unusable as error:
        raise Failure(str(error)) from None
    finally:
        end_progress()
    if found is None:
        raise nothing_then(recording)
    for trouble in found.troubles:
        say(f"{units.printable(trouble)}\n")
    form = form_of(options)
    if form == "text":
        return _text(found)
    rows = [_row(each) for each in (*found.leaks, *found.plateaus)]
    return iter([list_document(rows)]) if form == "json" else csv_document(_KEYS, rows)


def _row(leak: Leak) -> dict[str, Any]:
    series, growth = leak.series, leak.growth
    start, end = series.span or (None, None)
    return {
        "what": series.what,
        "pid": series.pid,
        "name": series.name,
        "mapping": series.mapping or None,
        "since": round(growth.since_s, 3),
        "slope_bytes_per_s": round(growth.slope_per_s, 1),
        "certainty": round(growth.certainty, 3),
        "grown_bytes": round(growth.grown),
        "until_full_s": None if leak.until_full_s is None else round(leak.until_full_s),
        "words": leak.words,
        "plateau": leak.is_plateau,
        "until": round(growth.until_s, 3),
        "ended": series.has_ended,
        "figure": series.figure,
        "kind": series.kind or None,
        "start": None if start is None else f"0x{start:x}",
        "end": None if end is None else f"0x{end:x}",
    }


def _text(found: Hunt) -> Iterator[str]:
    span_s = found.last.time_s - found.first.time_s
    yield (
        f"{found.first.words} to {found.last.words}, {units.duration(round(span_s))}: {found.words}\n\n"
    )
    if not found.leaks:
        yield "Nothing grew steadily.\n"
    else:
        yield from _table(found.leaks, span_s)
        yield f"\n{found.sentence(found.leaks[0])}\n"
    if found.plateaus:
        yield "\nGrew, and then no more:\n"
        yield from _table(found.plateaus[:_PLATEAUS], span_s)


def _table(leaks: list[Leak], span_s: float) -> Iterator[str]:
    def clock(time_s: float) -> str:
        form = "%H:%M:%S" if span_s < _DAY_S else "%d %H:%M"
        return time.strftime(form, time.localtime(time_s))

    def name(leak: Leak) -> str:
        series = leak.series
        kind = f"{series.kind} " if series.what == "group" else ""
        return units.printable(kind + series.name)

    pids = ["" if leak.series.pid is None else str(leak.series.pid) for leak in leaks]
    until = [units.duration(leak.until_full_s) if leak.until_full_s else "" for leak in leaks]
    until = [
        "ended" if leak.series.has_ended else each for leak, each in zip(leaks, until, strict=True)
    ]
    yield from table(
        [
            TextColumn("WHAT", "<", [leak.series.what for leak in leaks]),
            TextColumn("PID", ">", pids),
            TextColumn("SINCE", "<", [clock(leak.growth.since_s) for leak in leaks]),
            TextColumn("UNTIL", "<", [clock(leak.growth.until_s) for leak in leaks]),
            TextColumn(
                "A MINUTE", ">", [units.size(60 * leak.growth.slope_per_s) for leak in leaks]
            ),
            TextColumn("GREW BY", ">", [units.size(leak.growth.grown) for leak in leaks]),
            TextColumn("SURE", ">", [units.percent(100 * leak.growth.certainty) for leak in leaks]),
            TextColumn("ALL EATEN IN", ">", until),
            TextColumn("NAME", "<", [name(leak) for leak in leaks]),
            TextColumn("MAPPING", "<", [leak.series.place for leak in leaks]),
        ]
    )
