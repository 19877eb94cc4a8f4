"""`memtui run --headless -- CMD`: a program's story, from birth to death, when it has ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from memtui import units
from memtui.kernel.files import Files
from memtui.kernel.siginfo import signal_name
from memtui.live.machine import page_bytes_of
from memtui.reports.output import (
    USAGE,
    Failure,
    Options,
    Outcome,
    TextColumn,
    document,
    form_of,
    shown,
    table,
)
from memtui.watch.program import NotStarted, new_file
from memtui.watch.story import Life, Story
from memtui.watch.watch import Watch

if TYPE_CHECKING:
    from memtui.model.crash.crash import Crash

_LISTED: Final = 100  # happenings at the start, and as many at the end
_PROCESSES_LISTED: Final = 50
_STANDARD_ERROR: Final = 2
_COLUMNS: Final = 100
_COMMAND_CELLS: Final = 60


def run(files: Files, options: Options) -> Outcome:
    """The command: `memtui run --headless [--json] [--detach-output FILE] -- CMD [ARG …]`.

    The program has memtui's own input and output. At its end the text goes to standard error, and
    with --json the document to standard output: what the program prints there goes to standard error
    then. The exit status is the program's own.
    """
    if not files.is_live:
        raise Failure("run starts a program on this machine, and --root is of another", USAGE)
    is_json = form_of(options) == "json"
    story, crashes = watched(files, options.rest, options.detach_output, own_output=is_json)
    status = story.first.exit_status if story.first else None
    if is_json:
        pieces = iter([document(run_document(story, crashes))])
    else:
        _say(run_lines(story, crashes))
        pieces = iter(())
    return Outcome(pieces, 1 if status is None else status)


def watched(
    files: Files, command: Sequence[str], file: str | None, *, own_output: bool = False
) -> tuple[Story, dict[int, Crash]]:
    """Runs a program to its end; its story, and the crashes by pid.

    `file` gets what it prints and must not be there yet. `own_output`: standard output is left to
    memtui. Ctrl+C, Ctrl+\\ and the terminal's end are the program's to heed; SIGTERM is handed on,
    and a second one kills it.
    """
    with _signals_handed_on() as hand_to:
        try:
            with _output(file, own_output=own_output) as output:
                _flush()
                watch = Watch(command, holds=False, output=output)
        except NotStarted as error:
            raise Failure(str(error), error.status) from None
        try:
            hand_to(watch)
            crashes = _follow(files, watch)
        finally:
            watch.close()
    return watch.story, crashes


@contextlib.contextmanager
def _output(file: str | None, *, own_output: bool) -> Iterator[int | None]:
    """Where what the program prints goes, if not to memtui's own."""
    if file is not None:
        with new_file(file) as output:
            yield output
    elif own_output:
        is_closed = sys.stderr is None
        output = os.open(os.devnull, os.O_WRONLY) if is_closed else os.dup(_STANDARD_ERROR)
        try:
            yield output
        finally:
            os.close(output)
    else:
        yield None


def _flush() -> None:
    """What is written by now comes before what the program writes."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.flush()


@contextlib.contextmanager
def _signals_handed_on() -> Iterator[Callable[[Watch], None]]:
    """To what is handed over in the block; those that come before then wait for it."""
    came: list[int] = []
    watches: list[Watch] = []
    before: dict[signal.Signals, Any] = {}

    def hand_on(number: int, _frame: FrameType | None = None) -> None:
        came.append(number)
        for watch in watches:
            if came.count(signal.SIGTERM) > 1:
                watch.kill()
            else:
                watch.signal(number)

    def take(number: signal.Signals, way: Any) -> None:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup's wish is the program's too
            before[number] = signal.signal(number, way)

    def hand_to(watch: Watch) -> None:
        # Not before, or the program would ignore them too.
        take(signal.SIGINT, signal.SIG_IGN)
        take(signal.SIGQUIT, signal.SIG_IGN)
        waiting = came[:]
        came.clear()
        watches.append(watch)
        for number in waiting:
            hand_on(number)

    take(signal.SIGTERM, hand_on)
    take(signal.SIGHUP, hand_on)
    try:
        yield hand_to
    finally:
        for number, way in before.items():
            signal.signal(number, way)


def _follow(files: Files, watch: Watch) -> dict[int, Crash]:
    """To the end of the story; each crash is read while the program stands still."""
    from memtui.ondemand.questions import LINES_S, CrashTools

    # It runs already: what reads a crash is there before there is one, and who has none waits for nothing.
    threading.Thread(target=CrashTools().work, name="crash tools", daemon=True).start()
    crashes: dict[int, Crash] = {}
    page_bytes = page_bytes_of(files)
    ready = select.poll()
    ready.register(watch.fileno(), select.POLLIN)
    read: set[tuple[int, int]] = set()
    while not watch.story.is_over:
        ready.poll()
        watch.take()
        held = watch.story.held
        if held is not None and (held.tid, held.key.start_time_ticks) not in read:
            read.add((held.tid, held.key.start_time_ticks))
            from memtui.ondemand.crash import read_crash

            crashes[held.key.pid] = read_crash(files, *held, page_bytes, LINES_S)
            watch.let_go()
    return crashes


# As JSON.


def run_document(story: Story, crashes: dict[int, Crash]) -> dict[str, Any]:
    """All of a story: sizes in bytes, times in seconds, null for what is not known.

    `crash` is the first program's; where it has none, the first that one of its children had.
    """
    from memtui.reports.crash import crash_document

    first = story.first
    mine = crashes.get(story.first_pid or 0) or next(iter(crashes.values()), None)
    children = [each for each in story.lives.values() if each is not first]
    return {
        "command": " ".join(story.command),
        **_life_document(first or Life(0, 0, 0.0)),
        "pid": story.first_pid,
        "crash": None if mine is None else crash_document(mine),
        "processes": [
            {
                "pid": each.pid,
                "parent": each.parent,
                "name": each.name,
                "command": each.command,
                "born_s": each.born_s,
                **_life_document(each),
                "crash": crash_document(crashes[each.pid]) if each.pid in crashes else None,
            }
            for each in children
        ],
        "happenings": [each._asdict() for each in story.happenings],
        "happenings_dropped": story.dropped,
        "processes_dropped": story.lives_dropped,
        "missing": [each._asdict() for each in story.missing],
    }


def _life_document(life: Life) -> dict[str, Any]:
    return {
        "exit_status": life.exit_status,
        "signal": None if life.signal is None else signal_name(life.signal),
        "core_dumped": life.core_dumped,
        "duration_s": life.duration_s,
        "held_s": life.held_s,
        "peak_rss_bytes": life.peak_rss_bytes,
        "ended_with_bytes": life.ended_with_bytes,
        "minor_faults": life.minor_faults,
        "major_faults": life.major_faults,
        "threads": life.threads,
        "phases": [{"name": name, "duration_s": time_s} for name, time_s in life.phases],
    }


# As text.


def run_lines(story: Story, crashes: dict[int, Crash]) -> Iterator[str]:
    """The time line, the crashes, and last, where it is seen, how it ended."""
    from memtui.reports.crash import crash_lines

    yield from _time_line(story)
    yield from _processes(story)
    for pid, crash in crashes.items():
        yield f"\ncrash of {units.printable(crash.name)} ({pid})\n"
        yield "\n".join(crash_lines(crash, _width())) + "\n"
    for gap in story.missing:
        yield f"\nmissing: {units.printable(gap.source)}: {units.printable(gap.words)}\n"
    yield "\n"
    yield from _end(story)


def _time_line(story: Story) -> Iterator[str]:
    happenings = story.happenings
    left_out = max(0, len(happenings) - 2 * _LISTED)
    head, tail = happenings[:_LISTED], happenings[_LISTED + left_out :]
    if story.dropped:
        yield f"the first {units.count(story.dropped)} happenings are not kept\n"
    rows = [*head, *tail]
    lines = "".join(
        table(
            [
                TextColumn("TIME", ">", [_moment(each.at_s) for each in rows]),
                TextColumn("PID", ">", [str(each.pid) for each in rows]),
                TextColumn("WHAT HAPPENED", "<", [units.printable(each.words) for each in rows]),
            ]
        )
    ).splitlines(keepends=True)
    if left_out:
        lines.insert(1 + len(head), f"… {units.count(left_out)} more, all of them with --json\n")
    yield "".join(lines)


def _moment(at_s: float) -> str:
    """All in one unit, so that they can be compared; a day's run is 86400."""
    return f"{at_s:.4f} s"


def _processes(story: Story) -> Iterator[str]:
    if len(story.lives) < 2:
        return
    lives = list(story.lives.values())
    rows = lives[:_PROCESSES_LISTED]
    yield "\n"
    yield from table(
        [
            TextColumn("PID", ">", [str(each.pid) for each in rows]),
            TextColumn("PARENT", ">", [str(each.parent) for each in rows]),
            TextColumn("LIVED", ">", list(map(_lived, rows))),
            TextColumn("STATUS", ">", [shown(each.exit_status) for each in rows]),
            TextColumn("PEAK", ">", [units.size(each.peak_rss_bytes) for each in rows]),
            TextColumn("MINOR", ">", [units.count(each.minor_faults) for each in rows]),
            TextColumn("MAJOR", ">", [units.count(each.major_faults) for each in rows]),
            TextColumn("COMMAND", "<", list(map(_command, rows))),
        ]
    )
    more = len(lives) - len(rows) + story.lives_dropped
    if more:
        yield f"… and {units.count(more)} more\n"


def _lived(life: Life) -> str:
    return "lives on" if life.died_s is None else units.elapsed(life.duration_s)


def _command(life: Life) -> str:
    text = shown(life.command or life.name)
    return units.fit(text, _COMMAND_CELLS).rstrip() if units.width(text) > _COMMAND_CELLS else text


def _end(story: Story) -> Iterator[str]:
    life = story.first
    if life is None:
        yield "it never began\n"
        return
    name = f"{units.printable(life.name or story.command[0])} ({life.pid})"
    if life.exit_status is None:
        yield f"{name}: how it ended is not known\n"
    elif life.signal is None:
        yield f"{name} ended after {units.elapsed(life.duration_s)}: exit status {life.exit_status}\n"
    else:
        core = ", core dumped" if life.core_dumped else ""
        yield (
            f"{name} was ended by {signal_name(life.signal)}{core} after "
            f"{units.elapsed(life.duration_s)}: exit status {life.exit_status}\n"
        )
    yield (
        f"peak {units.size(life.peak_rss_bytes)} resident, {units.size(life.ended_with_bytes)} at the "
        f"end; {units.count(life.minor_faults)} minor and {units.count(life.major_faults)} major faults; "
        f"{units.count(life.threads)} thread{'' if life.threads == 1 else 's'} at most\n"
    )
    phases = ", ".join(
        f"{units.printable(phase)} {units.elapsed(time_s)}" for phase, time_s in life.phases
    )
    yield f"phases: {phases}\n"


def _width() -> int:
    """Of the terminal that standard error is, or what is easily read."""
    try:
        return os.get_terminal_size(_STANDARD_ERROR).columns or _COLUMNS
    except OSError:
        return _COLUMNS


def _say(lines: Iterator[str]) -> None:
    """To standard error, which may be closed, or full, or without a letter in somebody's name."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError):
        for line in lines:
            sys.stderr.write(line)
        sys.stderr.flush()
