"""`memtui replay FILE` where there is no screen: what is in a recording."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from memtui import units
from memtui.kernel.files import Files
from memtui.recording.holes import holes
from memtui.recording.moment import Moment
from memtui.recording.recording import Recording
from memtui.recording.source import ReplayedFiles
from memtui.recording.store import EventRow, Unusable
from memtui.reports.output import Failure, Options, form_of
from memtui.reports.recorded import moment_of, recording_of

_EVER: Final = (float("-inf"), float("inf"))
_SHOWN: Final = 20


def opened(_files: Files, options: Options) -> ReplayedFiles:
    """The recording that the command line names, at the moment that it does. Fails where it cannot."""
    recording = recording_of(options.argument)
    try:
        return ReplayedFiles(recording, moment_of(recording, options.at))
    except Unusable as error:
        raise Failure(str(error)) from None


def run(files: ReplayedFiles, options: Options) -> Iterator[str]:
    """The command: what is in the recording."""
    recording = files.recording
    try:
        last = moment_of(recording, None)
        first = recording.first or last
        found, events = holes(recording), recording.events(*_EVER)
    except Unusable as error:
        raise Failure(str(error)) from None
    if form_of(options) == "json":
        yield json.dumps(_document(recording, first, last, found, events)) + "\n"
    else:
        for line in _lines(recording, first, last, found, events):
            yield units.printable(line) + "\n"


def _document(
    recording: Recording,
    first: Moment,
    last: Moment,
    found: list[tuple[Moment, Moment]],
    events: list[EventRow],
) -> dict[str, Any]:
    run = recording.run_of(last)
    return {
        "machine": run.machine,
        "architecture": run.architecture,
        "page_bytes": run.page_bytes,
        "interval_s": run.interval_s,
        "from": _iso(first.time_s),
        "to": _iso(last.time_s),
        "ticks": recording.ticks,
        "recorders": len(recording.runs),
        "holes": [{"from": _iso(begin.time_s), "to": _iso(end.time_s)} for begin, end in found],
        "events": [
            {
                "timestamp": _iso(event.wall_ms / 1000),
                "kind": event.kind,
                "level": event.level,
                "text": event.text,
            }
            for event in events
        ],
        "damage": list(recording.troubles),
    }


def _lines(
    recording: Recording,
    first: Moment,
    last: Moment,
    found: list[tuple[Moment, Moment]],
    events: list[EventRow],
) -> Iterator[str]:
    run = recording.run_of(last)
    yield f"machine  {run.machine} {run.architecture}".rstrip()
    yield f"from     {first.words}"
    yield f"to       {last.words}, {units.duration(last.time_s - first.time_s)} later"
    yield f"moments  {units.count(recording.ticks)}, every {run.interval_s:g} s"
    for trouble in recording.troubles:
        yield f"damage   {trouble}"
    yield f"holes    {units.count(len(found)) if found else 'none'}"
    for begin, end in found[-_SHOWN:]:
        yield f"  {begin.words}  for {units.duration(end.time_s - begin.time_s)}"
    kinds = Counter(event.kind for event in events)
    words = ", ".join(f"{kind} {units.count(count)}" for kind, count in kinds.most_common())
    yield f"events   {words or 'none'}"
    for event in events[-_SHOWN:]:
        yield f"  {Moment(event.wall_ms / 1000, 0.0, 0).words}  {event.text}"


def _iso(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).astimezone().isoformat(timespec="seconds")
