"""The map of one process on a terminal of 120x40: keys, opening it, and what it costs the process."""

from __future__ import annotations

import random
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.bench.loads import churning, large, many_mappings
from tests.bench.row import Row, interleaved
from tests.bench.screens import _watch
from tests.terminal import DEADLINE_S, Terminal

_GIB = 1 << 30
_LOST_S = 2.0
_USAGE = re.compile(rb"usage read")
# The panel below the table says where the mapping under the cursor begins and ends, then " · ";
# in the table itself blanks follow. A repaint redraws whole lines.
_DETAIL = re.compile(rb"([0-9a-f]{12,16})\xe2\x80\x93[0-9a-f]{12,16}(?:\x1b\[[0-9;]*m)* \xc2\xb7 ")


def _count(quick: bool) -> int:
    return 2000 if quick else 60_000


def _memtui(pid: int) -> Terminal:
    return Terminal((sys.executable, "-m", "memtui", str(pid)), emulate=False)


def _until(terminal: Terminal, since: int, wanted: re.Pattern[bytes]) -> float:
    """When the output from `since` on first had what is wanted."""
    deadline = time.perf_counter() + DEADLINE_S
    while True:
        terminal.pump(0.1)
        now = time.perf_counter()
        if wanted.search(terminal.output, since):
            return now
        if now > deadline or terminal.process.poll() is not None:
            raise OSError(f"memtui never drew {wanted.pattern!r}")


# Keys -----------------------------------------------------------------------------------------


def keys(quick: bool) -> Iterator[Row]:
    """From a key to what it moves the cursor to, read by whoever has the terminal's other end.

    Waited for is the panel that tells of the mapping under the cursor, which is drawn last, and
    which nothing but a key changes. At irregular times, so that some meet the reading of smaps.
    """
    count, presses, extra = (2000, 8, 4) if quick else (60_000, 400, 150)
    what = f"from a key to its repaint, {count:,} mappings"
    with many_mappings(count) as pid, _memtui(pid) as terminal:
        _until(terminal, 0, _USAGE)
        _watch(terminal, 0.5)
        yield key_row(f"{what}: 99th percentile", _presses(terminal, presses, quick), 50.0)
        since = len(terminal.output)
        terminal.type("s")
        _until(terminal, since, re.compile(rb"as they lie in memory"))
        terminal.type("Down", "Down", "Enter")
        _until(terminal, since, re.compile("▲|▼".encode()))
        _watch(terminal, 1.0)
        yield key_row("the same, sorted", _presses(terminal, extra, quick))
        since = len(terminal.output)
        terminal.type("/")
        _until(terminal, since, re.compile(rb"filter: "))
        terminal.type("size>1k", "Enter")
        _until(terminal, since, re.compile(rb"filter (?:\x1b\[[0-9;]*m)*size>1k"))
        _watch(terminal, 1.0)
        yield key_row("the same, sorted and filtered", _presses(terminal, extra, quick))


def _presses(terminal: Terminal, presses: int, quick: bool) -> list[float]:
    """Seconds from each of so many keys to its effect, walking down from the top."""
    since = len(terminal.output)
    terminal.type("Home", *["PgDn"] * 20)
    _watch(terminal, 1.0)
    address = _DETAIL.findall(terminal.output, since)[-1]
    # The same keys every time; more downwards than upwards, or it would come to the top.
    chance = random.Random(1)
    times = []
    for _ in range(presses):
        _watch(terminal, 0.01 if quick else chance.uniform(0.02, 0.18))
        (key,) = chance.choices(("Down", "PgDn", "Up", "PgUp"), (4, 4, 1, 1))
        terminal.output.clear()
        started = time.perf_counter()
        terminal.type(key)
        drawn, address = _moved(terminal, address)
        times.append(drawn - started)
    return times


def _moved(terminal: Terminal, before: bytes) -> tuple[float, bytes]:
    """When the panel below the table first had another address than before, and which.

    A key that got lost takes until nobody would wait for it any more.
    """
    given_up = time.perf_counter() + _LOST_S
    while True:
        terminal.pump(0.1)
        now = time.perf_counter()
        for address in _DETAIL.findall(terminal.output):
            if address != before:
                return now, address
        if terminal.process.poll() is not None:
            raise OSError("memtui ended by itself")
        if now > given_up:
            return now, before


def key_row(what: str, times: list[float], at_most: float | None = None) -> Row:
    """The 99th percentile of these seconds."""
    ranked = sorted(1000 * each for each in times)
    worst = ranked[-(-99 * len(ranked) // 100) - 1]
    lost = sum(1 for each in times if each >= _LOST_S)
    note = (
        f"median {statistics.median(ranked):.0f}, most {ranked[-1]:.0f} ms of {len(ranked)} keys"
        f"{f', {lost} without effect' if lost else ''}"
    )
    return Row(what, worst, at_most, " ms", note)


# Opening --------------------------------------------------------------------------------------


def opening(quick: bool) -> Iterator[Row]:
    """From Enter behind a pid to the first rows of its map, and to their usage.

    Each time from the map of a small process, which is read and at rest by then.
    """
    rounds, count = (1, 2000) if quick else (7, 60_000)
    resident = (64 << 20) if quick else 8 * _GIB if _available_bytes() > 12 * _GIB else 2 * _GIB
    with ExitStack() as stack:
        start = stack.enter_context
        pids = [
            start(large(1 << 20, 1 << 20)),
            start(large(100 * _GIB, 1 << 20)),
            start(large(1 << 20, resident)),
            start(many_mappings(count)),
        ]
        home = start(large(1 << 20, 1 << 20))
        terminal = start(_memtui(home))
        _until(terminal, 0, _USAGE)
        usages: list[float] = []

        def opened(pid: int) -> float:
            _open(terminal, home)
            rows, usage = _open(terminal, pid)
            if pid == pids[-1]:
                usages.append(usage)
            return rows

        small, sparse, full, many = interleaved(
            rounds, *(lambda pid=pid: opened(pid) for pid in pids)
        )
    yield Row(f"opening a map of {count:,} mappings, to its first rows", 1000 * many, 150.0, " ms")
    yield Row("opening it, to its usage", 1000 * statistics.median(usages), None, " ms")
    for what, figure in (("100 GiB sparse", sparse), (f"{resident / _GIB:g} GiB resident", full)):
        note = f"{1000 * figure:.0f} / {1000 * small:.0f} ms to the first rows"
        yield Row(f"opening a map: {what} / small", figure / small, 1.5, note=note)


def _open(terminal: Terminal, pid: int) -> tuple[float, float]:
    """Seconds from Enter to the first row of a process's map, and to its usage."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as file:
        first, last = file.readline().split()[0].split("-")
    since = len(terminal.output)
    terminal.type("o")
    _until(terminal, since, re.compile(rb"open pid or name: "))
    terminal.type(str(pid))
    _watch(terminal, 0.3)
    since = len(terminal.output)
    started = time.perf_counter()
    terminal.type("Enter")
    rows = _until(terminal, since, re.compile(f"{first}–{last}".encode()))
    usage = _until(terminal, since, re.compile(rb" %d .*?usage read" % pid, re.DOTALL))
    _watch(terminal, 0.3)
    return rows - started, usage - started


def _available_bytes() -> int:
    meminfo = Path("/proc/meminfo").read_text()
    found = re.search(r"^MemAvailable: +(\d+) kB$", meminfo, re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


# What it costs who is looked at ---------------------------------------------------------------


def churn(quick: bool) -> Iterator[Row]:
    """How many fewer pairs of mmap and munmap a process does while its map is on the screen.

    Against itself alone, and against `pmap -X` run on it once a second.
    """
    count = _count(quick)
    # Beside churn memtui takes most of a second to read smaps, and so reads it every 15 to 20.
    span_s, watched_s, rounds = (0.5, 0.5, 1) if quick else (12.0, 40.0, 3)
    pmap = shutil.which("pmap")
    ours, theirs, before, during = [], [], [], []
    with churning(count) as (pid, pairs):
        for _ in range(rounds):
            alone = _rate(pairs, lambda: time.sleep(span_s))
            watched = _watched(pid, pairs, watched_s)
            again = _rate(pairs, lambda: time.sleep(span_s))
            mapped = _rate(pairs, lambda: _once_a_second(span_s, pmap, "-X", str(pid)))
            # What is lost is told from the time right before, whatever else the machine does.
            ours.append(100 * (1 - watched / alone))
            theirs.append(100 * (1 - mapped / again))
            before.append(alone)
            during.append(watched)
    lost, lost_to_pmap = statistics.median(ours), statistics.median(theirs)
    alone, watched = statistics.median(before), statistics.median(during)
    note = f"{watched / 1000:.0f} of {alone / 1000:.0f} thousand pairs a second"
    what = f"map and unmap beside {count:,} mappings: lost to memtui"
    yield Row(what, lost, 10.0, " %", note)
    if not pmap:
        yield Row(
            "lost to memtui / to pmap -X every second", None, 0.25, note="pmap is not installed"
        )
        return
    note = f"{lost:.1f} / {lost_to_pmap:.1f} %"
    # At least what could be told apart from chance; a machine that got quieter gives less than 0.
    ratio = max(0.0, lost) / max(0.1, lost_to_pmap)
    yield Row("lost to memtui / to pmap -X every second", ratio, 0.25, note=note)


def _rate(pairs: Callable[[], int], meanwhile: Callable[[], object]) -> float:
    """Pairs a second while something else is done."""
    before, started = pairs(), time.perf_counter()
    meanwhile()
    return (pairs() - before) / (time.perf_counter() - started)


def _watched(pid: int, pairs: Callable[[], int], span_s: float) -> float:
    with _memtui(pid) as terminal:
        _until(terminal, 0, _USAGE)
        _watch(terminal, 1.0)
        return _rate(pairs, lambda: _watch(terminal, span_s))


def _once_a_second(span_s: float, program: str | None, *words: str) -> None:
    end = time.perf_counter() + span_s
    while (due := time.perf_counter()) < end:
        if program:
            subprocess.run([program, *words], stdout=subprocess.DEVNULL, check=True)
        time.sleep(max(0.0, min(due + 1.0, end) - time.perf_counter()))
