"""Whole programs on a terminal of 120x40: processor time, first frame, memory."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from memtui.views import VIEWS
from tests.bench.loads import many_processes
from tests.bench.row import Row, interleaved
from tests.terminal import DEADLINE_S, Terminal

_MEMTUI = (sys.executable, "-m", "memtui", "--interval", "1")
_EMPTY = (sys.executable, "-c", "from textual.app import App\nApp().run()")

# A figure behind its label, and of the empty application the background of the first cells.
_FIGURES = re.compile(rb"available.{0,80}?\d [KMGT]iB", re.DOTALL)
_BACKGROUND = re.compile(rb"\x1b\[[0-9;]*48;2;[0-9;]*m +")


def processor_time(quick: bool) -> Iterator[Row]:
    """memtui in each view, htop and glances, each taking a sample a second among 1,000 processes."""
    count, settle_s, span_s, rounds = (30, 0.3, 1.0, 1) if quick else (1000, 4.0, 10.0, 2)
    glances = Path(sys.executable).with_name("glances")
    peers = (
        ("htop", shutil.which("htop"), ("-d", "10"), 0.5),
        (
            "glances",
            str(glances) if glances.exists() else shutil.which("glances"),
            ("-t", "1", "--disable-check-update"),
            0.2,
        ),
    )
    found = [(path, *words) for _, path, words, _ in peers if path]
    views = [(*_MEMTUI, "--view", view.name) for view in VIEWS]
    with many_processes(count):
        shares = interleaved(
            rounds,
            *(lambda argv=argv: _core_share(argv, settle_s, span_s) for argv in (*views, *found)),
        )
    theirs = iter(shares[len(views) :])
    for name, path, _, at_most in peers:
        share = next(theirs) if path else None
        for view, ours in zip(VIEWS, shares, strict=False):
            what = f"CPU, {count:,} processes, {view.name}: memtui / {name}"
            if share is None:
                yield Row(what, None, at_most, note=f"{name} is not installed")
                continue
            note = f"{100 * ours:.2f} % / {100 * share:.2f} % of a core over {span_s:g} s"
            yield Row(what, ours / share, at_most, note=note)


def _core_share(argv: tuple[str, ...], settle_s: float, span_s: float) -> float:
    """How much of a core a program takes once it has settled."""
    with Terminal(argv, emulate=False) as terminal:
        terminal.wait_until(lambda: len(terminal.output) > 2000, "drawn")
        _watch(terminal, settle_s)
        before, started = _run_ns(terminal.pid), time.perf_counter()
        _watch(terminal, span_s)
        used = _run_ns(terminal.pid) - before
        if terminal.process.poll() is not None:
            raise OSError(f"{argv[0]} ended by itself")
        return used / 1e9 / (time.perf_counter() - started)


def _watch(terminal: Terminal, span_s: float) -> None:
    end = time.perf_counter() + span_s
    while (left := end - time.perf_counter()) > 0:
        terminal.pump(left)


def _run_ns(pid: int) -> int:
    """Time on a processor of all threads of a process and of its children."""
    total, todo = 0, [pid]
    while todo:
        for task in Path(f"/proc/{todo.pop()}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
                todo += map(int, (task / "children").read_text().split())
            except OSError:
                continue  # it has ended since
    return total


def first_frame(quick: bool) -> Iterator[Row]:
    """From exec to the first figures on the screen, against an application without anything."""
    ours, theirs = interleaved(
        1 if quick else 11, lambda: _until(_MEMTUI, _FIGURES), lambda: _until(_EMPTY, _BACKGROUND)
    )
    note = f"{1000 * ours:.0f} / {1000 * theirs:.0f} ms"
    yield Row("first frame: memtui / empty Textual", ours / theirs, 1.35, note=note)


def _until(argv: tuple[str, ...], wanted: re.Pattern[bytes]) -> float:
    with Terminal(argv, emulate=False) as terminal:
        while not wanted.search(terminal.output):
            terminal.pump(0.1)
            if time.perf_counter() - terminal.started_s > DEADLINE_S:
                raise OSError(f"{argv} drew nothing")
        return time.perf_counter() - terminal.started_s


def memory(quick: bool) -> Iterator[Row]:
    """PSS once the screen has settled, against an application without anything."""
    settle_s = 0.3 if quick else 5.0
    ours, theirs = interleaved(
        1 if quick else 3,
        lambda: _pss_bytes(_MEMTUI, _FIGURES, settle_s),
        lambda: _pss_bytes(_EMPTY, _BACKGROUND, settle_s),
    )
    note = f"{ours / 2**20:.1f} / {theirs / 2**20:.1f} MiB"
    yield Row("PSS: memtui / empty Textual", ours / theirs, 1.4, note=note)


def _pss_bytes(argv: tuple[str, ...], wanted: re.Pattern[bytes], settle_s: float) -> float:
    with Terminal(argv, emulate=False) as terminal:
        terminal.wait_until(lambda: wanted.search(terminal.output), "drawn")
        _watch(terminal, settle_s)
        rollup = Path(f"/proc/{terminal.pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss: +(\d+) kB$", rollup, re.MULTILINE)
    if not found:
        raise OSError("smaps_rollup has no Pss")
    return int(found[1]) * 1024.0
