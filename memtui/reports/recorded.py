"""Reports of a recording: which moment is meant, and what was not recorded of it."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from typing import Final

from memtui import units
from memtui.kernel.files import Files
from memtui.ondemand.question import GoOn
from memtui.recording.files import RecordedFiles
from memtui.recording.moment import Moment
from memtui.recording.recording import Recording
from memtui.recording.store import Unusable
from memtui.recording.times import A_MINUTE_S, time_of
from memtui.reports.output import AGED_S, FAILED, NOT_PERMITTED, USAGE, Failure

_NAMED: Final = 3
_TOLD_EVERY_S: Final = 0.5


def recording_of(path: str) -> Recording:
    """A recording that can be read. Fails where it cannot."""
    try:
        return Recording(path)
    except Unusable as error:
        raise Failure(str(error), NOT_PERMITTED if error.is_denied else FAILED) from None


def moment_of(recording: Recording, text: str | None) -> Moment:
    """The moment of a recording that somebody means, the last without a text. Fails where there is
    none, and where it begins later than that, or ends before."""
    first, last = recording.first, recording.last
    if first is None or last is None:
        raise Failure(f"{recording.path}: nothing has been recorded yet")
    if text is None:
        return last
    time_s = _time_of(text, first, last)
    if time_s > last.time_s + A_MINUTE_S:
        raise _nothing_at(recording, time_s)
    return _at(recording, time_s, first)


def moments_between(recording: Recording, since: str | None, until: str | None) -> list[Moment]:
    """The moments of a time that somebody means, of all without texts. Fails where there are none."""
    found = recording.moments(*span_between(recording, since, until))
    if not found:
        raise nothing_then(recording)
    return found


def _at(recording: Recording, time_s: float, first: Moment) -> Moment:
    if time_s < min(each.time_s for each in (first, recording.at(time_s) or first)) - 1:
        raise Failure(f"{recording.path} begins at {first.words}")
    return recording.at(time_s) or first


def recorded_files(path: str, text: str | None) -> RecordedFiles:
    """The files at a moment of a recording. Fails where they cannot be had."""
    recording = recording_of(path)
    try:
        return recording.files_at(moment_of(recording, text))
    except Unusable as error:
        raise Failure(str(error)) from None


def when_read(files: Files, name: str) -> str:
    """When it was read what a recording has of a file, `14:31:08, 59 s before`; "" where that is its
    own moment's, or not known."""
    age_s = files.age_s(name)
    if age_s is None or age_s < AGED_S or files.time_s is None:
        return ""
    at = time.strftime("%H:%M:%S", time.localtime(files.time_s - age_s))
    return f"{at}, {units.duration(age_s)} before"


def not_recorded(files: RecordedFiles) -> str:
    """A line that says what was asked for and had not been kept; "" where nothing was."""
    alike: Counter[str] = Counter()
    for name in files.missed:
        parts = name.split("/")
        is_process = parts[0] == "proc" and len(parts) > 2 and parts[1].isdecimal()
        alike["/".join(["proc/PID", *parts[2:]]) if is_process else name] += 1
    if not alike:
        return ""
    named = [
        name if count == 1 else f"{name} of {count} processes"
        for name, count in alike.most_common(_NAMED)
    ]
    more = len(alike) - len(named)
    named += [f"{more} more"] if more else []
    return f"not recorded: {', '.join(named)}"


def span_between(recording: Recording, since: str | None, until: str | None) -> tuple[float, float]:
    """A time that somebody means, in seconds since the epoch; without texts all that there is."""
    last = moment_of(recording, None)
    first = recording.first or last
    since_s = float("-inf") if since is None else _time_of(since, first, last)
    until_s = float("inf") if until is None else _time_of(until, first, last)
    if since_s > until_s:
        raise Failure(f"--since {since} is after --until {until}: nothing is in between", USAGE)
    if since_s > last.time_s:
        raise _nothing_at(recording, since_s)
    return since_s, until_s


def _time_of(text: str, first: Moment, last: Moment) -> float:
    """A time that somebody means of a recording, in seconds since the epoch."""
    try:
        return time_of(text, last.time_s, first.time_s, last.time_s)
    except ValueError as error:
        raise Failure(str(error), USAGE) from None


def _nothing_at(recording: Recording, time_s: float) -> Failure:
    return nothing_then(recording, Moment(time_s, 0.0, 0).words)


def nothing_then(recording: Recording, when: str = "that time") -> Failure:
    """There is none of the time that is meant."""
    first, last = recording.first, recording.last
    assert first is not None and last is not None
    return Failure(
        f"{recording.path}: nothing of {when} is in it, which is from {first.words} to {last.words}"
    )


def progress(what: str) -> GoOn:
    """Says on a terminal's standard error how far it is; goes on always."""
    shows = sys.stderr is not None and sys.stderr.isatty()
    due_s = time.monotonic() + _TOLD_EVERY_S

    def go_on(done: int, total: int) -> bool:
        nonlocal due_s
        if shows and time.monotonic() >= due_s:
            due_s = time.monotonic() + _TOLD_EVERY_S
            say(f"\r{100 * done // total:3} % of {total} {what}\x1b[K")
        return True

    return go_on


def end_progress() -> None:
    """The line that `progress` wrote goes."""
    if sys.stderr is not None and sys.stderr.isatty():
        say("\r\x1b[K")


def say(words: str) -> None:
    """Beside the output."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(words)
            sys.stderr.flush()
