"""The map of one process on a terminal of 120x40: keys, opening it, and what it costs the process."""

from __future__ import annotations

import random
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from tests.bench.drawing import start, until, watch
from tests.bench.loads import churning, large, many_mappings
from tests.bench.row import Row, interleaved
from tests.bench.setup import Setup
from tests.terminal import Terminal

_GIB = 1 << 30
_LOST_S = 2.0
_USAGE = re.compile(rb"usage read")
# The panel below the table says where the mapping under the cursor begins and ends, then " · ";
# in the table itself blanks follow. A repaint redraws whole lines.
_DETAIL = re.compile(rb"([0-9a-f]{12,16})\xe2\x80\x93[0-9a-f]{12,16}(?:\x1b\[[0-9;]*m)* \xc2\xb7 ")
# To its first rows: so long, or so many times as long as a small map.
_OPENING_MS: Final = 100.0
_OPENING_SMALL: Final = 2.5


# Keys -----------------------------------------------------------------------------------------


def keys(setup: Setup) -> Iterator[Row]:
    """From a key to what it moves the cursor to, read by whoever has the terminal's other end.

    Waited for is the panel that tells of the mapping under the cursor, which is drawn last, and
    which nothing but a key changes. At irregular times, so that some meet the reading of smaps.
    """
    with _at_rest(setup) as terminal:
        _sort(terminal)
        times = _presses(terminal, setup.rounds(250))
    yield key_row(f"{_key(setup)}, sorted: 99th percentile", times, 30.0)


def other_keys(setup: Setup) -> Iterator[Row]:
    """The same of the table as it lies in memory, and of a part of it."""
    with _at_rest(setup) as terminal:
        times = _presses(terminal, setup.rounds(400))
        yield key_row(f"{_key(setup)}, as they lie: 99th percentile", times, 50.0)
        _sort(terminal)
        since = len(terminal.output)
        terminal.type("/")
        until(terminal, re.compile(rb"filter: "), since)
        terminal.type("size>1k", "Enter")
        until(terminal, re.compile(rb"filter (?:\x1b\[[0-9;]*m)*size>1k"), since)
        watch(terminal, 1.0)
        times = _presses(terminal, setup.rounds(150))
        yield key_row("the same, sorted and filtered", times)


def _key(setup: Setup) -> str:
    return f"from a key to its repaint, {setup.mappings:,} mappings"


@contextmanager
def _at_rest(setup: Setup) -> Iterator[Terminal]:
    """memtui on the map of a process of many mappings, read and drawn."""
    with many_mappings(setup.mappings) as pid, start((setup.memtui, str(pid))) as terminal:
        until(terminal, _USAGE)
        watch(terminal, 0.5)
        yield terminal


def _sort(terminal: Terminal) -> None:
    since = len(terminal.output)
    terminal.type("s")
    until(terminal, re.compile(rb"as they lie in memory"), since)
    terminal.type("Down", "Down", "Enter")
    until(terminal, re.compile("▲|▼".encode()), since)
    watch(terminal, 1.0)


def _presses(terminal: Terminal, presses: int) -> list[float]:
    """Seconds from each of so many keys to its effect, walking down from the top."""
    since = len(terminal.output)
    terminal.type("Home", *["PgDn"] * 20)
    until(terminal, _DETAIL, since)
    watch(terminal, 1.0)
    address = _DETAIL.findall(terminal.output, since)[-1]
    # The same keys every time; more downwards than upwards, or it would come to the top.
    chance = random.Random(1)
    times = []
    for _ in range(presses):
        watch(terminal, chance.uniform(0.02, 0.18))
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


def opening(setup: Setup) -> Iterator[Row]:
    """From Enter behind a pid to the first rows of its map, and to their usage."""
    with large(1 << 20, 1 << 20) as small, many_mappings(setup.mappings) as many:
        few = Path(f"/proc/{small}/maps").read_bytes().count(b"\n")
        (of_small, _), (rows, usage) = _opened(setup, setup.rounds(9), small, many)
    what = f"opening a map of {setup.mappings:,} mappings, to its first rows"
    note = (
        f"{1000 * rows:.0f} / {1000 * of_small:.0f} ms of {few} mappings; "
        f"at most {_OPENING_MS:g}, or {_OPENING_SMALL:g} x the latter"
    )
    at_most = round(max(_OPENING_MS, _OPENING_SMALL * 1000 * of_small))
    yield Row(what, 1000 * rows, at_most, " ms", note)
    yield Row("opening it, to its usage", 1000 * usage, None, " ms")


def opening_large(setup: Setup) -> Iterator[Row]:
    """The same of much memory reserved or in use."""
    resident = 2 * _GIB if _available_bytes() < 12 * _GIB else 8 * _GIB
    if setup.effort.part < 0.1:
        resident = 64 << 20
    with ExitStack() as stack:
        pids = [
            stack.enter_context(large(reserved, used))
            for reserved, used in ((1 << 20, 1 << 20), (100 * _GIB, 1 << 20), (1 << 20, resident))
        ]
        (small, _), (sparse, _), (full, _) = _opened(setup, setup.rounds(7), *pids)
    for what, figure in (("100 GiB sparse", sparse), (f"{resident / _GIB:g} GiB resident", full)):
        note = f"{1000 * figure:.0f} / {1000 * small:.0f} ms to the first rows"
        yield Row(f"opening a map: {what} / small", figure / small, 1.5, note=note)


def _opened(setup: Setup, rounds: int, *pids: int) -> list[tuple[float, float]]:
    """Seconds to the first rows of each process's map, and to its usage: medians.

    Each time from the map of a small process, which is read and at rest by then.
    """
    usages: dict[int, list[float]] = {pid: [] for pid in pids}
    with large(1 << 20, 1 << 20) as home, start((setup.memtui, str(home))) as terminal:
        until(terminal, _USAGE)

        def opened(pid: int) -> float:
            _open(terminal, home)
            rows, usage = _open(terminal, pid)
            usages[pid].append(usage)
            return rows

        rows = interleaved(rounds, *(lambda pid=pid: opened(pid) for pid in pids))
    return [(row, statistics.median(usages[pid])) for row, pid in zip(rows, pids, strict=True)]


def _open(terminal: Terminal, pid: int) -> tuple[float, float]:
    """Seconds from Enter to the first row of a process's map, and to its usage."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as file:
        first, last = file.readline().split()[0].split("-")
    since = len(terminal.output)
    terminal.type("o")
    until(terminal, re.compile(rb"open pid or name: "), since)
    terminal.type(str(pid))
    watch(terminal, 0.3)
    since = len(terminal.output)
    started = time.perf_counter()
    terminal.type("Enter")
    rows = until(terminal, re.compile(f"{first}–{last}".encode()), since)
    usage = until(terminal, re.compile(rb" %d .*?usage read" % pid, re.DOTALL), since)
    watch(terminal, 0.3)
    return rows - started, usage - started


def _available_bytes() -> int:
    meminfo = Path("/proc/meminfo").read_text()
    found = re.search(r"^MemAvailable: +(\d+) kB$", meminfo, re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


# What it costs who is looked at ---------------------------------------------------------------


def churn(setup: Setup) -> Iterator[Row]:
    """How many fewer pairs of mmap and munmap a process does while its map is on the screen.

    Against itself alone, and against `pmap -X` run on it once a second.
    """
    count = setup.mappings
    # Beside churn memtui takes most of a second to read smaps, and so reads it every 15 to 20.
    span_s, watched_s, rounds = setup.span_s(12.0), setup.span_s(40.0), setup.rounds(3)
    pmap = shutil.which("pmap")
    ours, theirs, before, during = [], [], [], []
    with churning(count) as (pid, pairs):
        for _ in range(rounds):
            alone = _rate(pairs, lambda: time.sleep(span_s))
            watched = _watched(setup, pid, pairs, watched_s)
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


def _watched(setup: Setup, pid: int, pairs: Callable[[], int], span_s: float) -> float:
    with start((setup.memtui, str(pid))) as terminal:
        until(terminal, _USAGE)
        watch(terminal, 1.0)
        return _rate(pairs, lambda: watch(terminal, span_s))


def _once_a_second(span_s: float, program: str | None, *words: str) -> None:
    end = time.perf_counter() + span_s
    while (due := time.perf_counter()) < end:
        if program:
            subprocess.run([program, *words], stdout=subprocess.DEVNULL, check=True)
        time.sleep(max(0.0, min(due + 1.0, end) - time.perf_counter()))
