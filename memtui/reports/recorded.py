"""Reports of a recording: which moment is meant, and what was not recorded of it."""

from __future__ import annotations

from collections import Counter
from typing import Final

from memtui.recording.files import RecordedFiles
from memtui.recording.moment import Moment
from memtui.recording.recording import Recording
from memtui.recording.store import Unusable
from memtui.recording.times import time_of
from memtui.reports.output import FAILED, NOT_PERMITTED, USAGE, Failure

_NAMED: Final = 3


def recording_of(path: str) -> Recording:
    """A recording that can be read. Fails where it cannot."""
    try:
        return Recording(path)
    except Unusable as error:
        raise Failure(str(error), NOT_PERMITTED if error.is_denied else FAILED) from None


def moment_of(recording: Recording, text: str | None) -> Moment:
    """The moment of a recording that somebody means, the last without a text. Fails where there is
    none, and where it begins later than that."""
    first, last = recording.first, recording.last
    if first is None or last is None:
        raise Failure(f"{recording.path}: nothing has been recorded yet")
    if text is None:
        return last
    try:
        time_s = time_of(text, last.time_s)
    except ValueError as error:
        raise Failure(str(error), USAGE) from None
    return _at(recording, time_s, first)


def moments_between(recording: Recording, since: str | None, until: str | None) -> list[Moment]:
    """The moments of a time that somebody means, of all without texts. Fails where there are none."""
    last = moment_of(recording, None)
    try:
        since_s = float("-inf") if since is None else time_of(since, last.time_s)
        until_s = float("inf") if until is None else time_of(until, last.time_s)
    except ValueError as error:
        raise Failure(str(error), USAGE) from None
    found = recording.moments(since_s, until_s)
    if not found:
        first = recording.first or last
        raise Failure(
            f"{recording.path}: nothing of that time is in it, which is from {first.words} to {last.words}"
        )
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
