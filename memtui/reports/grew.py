"""`memtui grew`: what grew between two moments of a recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from memtui import units
from memtui.kernel.files import Files
from memtui.live.users import user_name
from memtui.model.processes.grew import BYS, By, Grown, grown, grown_by
from memtui.recording.hunt import looks_between
from memtui.recording.moment import Moment
from memtui.recording.recording import Recording
from memtui.recording.store import Unusable
from memtui.reports.mapdiff import maps_between
from memtui.reports.mappings import maps
from memtui.reports.output import (
    USAGE,
    Failure,
    Form,
    Options,
    TextColumn,
    csv_document,
    form_of,
    list_document,
    one_process,
    table,
)
from memtui.reports.recorded import (
    end_progress,
    moment_of,
    progress,
    recording_of,
    span_between,
    when_read,
)

_KEYS: Final = (
    *("what", "pid", "name", "gained_bytes", "before_bytes", "after_bytes", "most_bytes"),
    *("processes", "born", "ended"),
)


def run(_files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui grew FILE [PID]`.

    JSON: of each process or group "what" became of it (grew, shrank, same, born, ended, came and went),
    "pid" (null of a group), "name", "gained_bytes", and RSS and swap at either moment and at most.
    """
    recording = recording_of(options.argument)
    before = moment_of(recording, options.since) if options.since else recording.first
    _, until_s = span_between(recording, options.since, options.until)
    last = moment_of(recording, None)
    after = last if until_s >= last.time_s else moment_of(recording, options.until)
    assert before is not None  # or there would be no last
    if before.time_s >= after.time_s:
        raise Failure(f"from {before.words} to {after.words} is no time", USAGE)
    form = form_of(options)
    who = options.arguments[1] if len(options.arguments) > 1 else None
    if who is not None:
        if options.by is not None:
            raise Failure("--by is for processes: leave PID out", USAGE)
        return _mappings(recording, who, before, after, form)
    by = _by(options.by)
    rows = _rows(recording, before, after, by)
    if form == "text":
        return _text(rows, before, after, by)
    documents = [_row(each) for each in rows]
    return iter([list_document(documents)]) if form == "json" else csv_document(_KEYS, documents)


def _by(text: str | None) -> By | None:
    if text is None:
        return None
    for by in BYS:
        if text == by:
            return by
    raise Failure(f"--by takes {', '.join(BYS[:-1])} or {BYS[-1]}, not {text!r}", USAGE)


def _rows(recording: Recording, before: Moment, after: Moment, by: By | None) -> list[Grown]:
    try:
        first, *between, last = looks_between(recording, before, after, progress("moments"))
    except Unusable as error:
        raise Failure(str(error)) from None
    finally:
        end_progress()
    if by is None:
        return grown(first, last, between)
    has_our_users = recording.files_at(after).has_our_users
    known = lru_cache(maxsize=None)(user_name if has_our_users else str)

    def user(uid: int | None) -> str:
        return "?" if uid is None else known(uid)

    return grown_by(first, last, by, user, between)


def _row(each: Grown) -> dict[str, Any]:
    return {
        "what": each.became,
        "pid": each.pid,
        "name": each.name,
        "gained_bytes": each.gained_bytes,
        "before_bytes": each.before_bytes,
        "after_bytes": each.after_bytes,
        "most_bytes": each.most_bytes,
        "processes": each.processes,
        "born": each.born,
        "ended": each.ended,
    }


def _text(rows: Sequence[Grown], before: Moment, after: Moment, by: By | None) -> Iterator[str]:
    span = units.duration(after.time_s - before.time_s)
    total = sum(each.gained_bytes for each in rows)
    yield (
        f"{before.words} to {after.words}, {span}: RSS and swap, all together "
        f"{units.change(total, short=False)}\n\n"
    )
    changed = [each for each in rows if each.became != "same"]
    if not changed:
        yield "Nothing changed.\n"
        return
    columns = [
        TextColumn("GAINED", ">", [units.change(each.gained_bytes) for each in changed]),
        TextColumn("BEFORE", ">", [units.size(each.before_bytes) for each in changed]),
        TextColumn("AFTER", ">", [units.size(each.after_bytes) for each in changed]),
        TextColumn("MOST", ">", [units.size(each.most_bytes) for each in changed]),
    ]
    if by is None:
        columns += [
            TextColumn("PID", ">", [str(each.pid) for each in changed]),
            TextColumn("WHAT", "<", [each.became for each in changed]),
        ]
    else:
        columns += [
            TextColumn("PROCESSES", ">", [str(each.processes) for each in changed]),
            TextColumn("BORN", ">", [str(each.born) for each in changed]),
            TextColumn("ENDED", ">", [str(each.ended) for each in changed]),
        ]
    names = [units.printable(each.name) for each in changed]
    yield from table([*columns, TextColumn((by or "name").upper(), "<", names)])
    if same := len(rows) - len(changed):
        yield f"\n{units.count(same)} as large as before left out\n"


def _mappings(
    recording: Recording, who: str, before: Moment, after: Moment, form: Form
) -> Iterator[str]:
    """What became of a process's mappings, by its maps as they were last read at either moment."""
    try:
        now, then = recording.files_at(after), recording.files_at(before)
        pid = one_process(now, who)
        if then.started(pid) != now.started(pid):
            raise Failure(f"{pid} was another process, or none, at {before.words}")
        sides = [
            (_side(files, pid, moment), list(maps(files, str(pid), "json", tells_age=False)))
            for moment, files in ((before, then), (after, now))
        ]
    except Unusable as error:
        raise Failure(str(error)) from None
    yield from maps_between(sides[0], sides[1], form)


def _side(files: Files, pid: int, moment: Moment) -> str:
    """Which map it is, in words."""
    read = when_read(files, f"proc/{pid}/smaps")
    return f"at {moment.words} (map read {read})" if read else f"at {moment.words}"
