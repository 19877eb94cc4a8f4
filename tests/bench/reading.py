"""Reading and parsing 60,000 mappings, and what that leaves of the interpreter for others."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator

import psutil

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import Mappings, _Reader, read_mappings
from tests.bench.loads import many_mappings, many_processes
from tests.bench.row import Row, interleaved, seconds
from tests.bench.setup import Setup, cpu_s, run

_SLEEP_S = 0.0002


def parsing(setup: Setup) -> Iterator[Row]:
    """Every column of maps and of smaps, against the kernel's own time and against psutil's."""
    count = setup.mappings
    with many_mappings(count) as pid:
        process = psutil.Process(pid)
        ours_maps, kernel_maps, ours_smaps, kernel_smaps, theirs = interleaved(
            setup.rounds(7),
            lambda: seconds(lambda: _parse(pid, "maps", count)),
            lambda: seconds(lambda: _throw_away(f"/proc/{pid}/maps")),
            lambda: seconds(lambda: _parse(pid, "smaps", count)),
            lambda: seconds(lambda: _throw_away(f"/proc/{pid}/smaps")),
            lambda: seconds(lambda: process.memory_maps(grouped=False)),
        )
    for name, ours, kernel, at_most in (
        ("maps and smaps", ours_maps + ours_smaps, kernel_maps + kernel_smaps, 2.0),
        ("maps", ours_maps, kernel_maps, None),
        ("smaps", ours_smaps, kernel_smaps, None),
    ):
        yield Row(
            f"{name} of {count:,} mappings: parsed / read",
            ours / kernel,
            at_most,
            note=f"{1000 * ours:.0f} / {1000 * kernel:.0f} ms",
        )
    yield Row(
        f"smaps of {count:,} mappings: memtui / psutil",
        ours_smaps / theirs,
        0.333,
        note=f"{1000 * ours_smaps:.0f} / {1000 * theirs:.0f} ms, memory_maps(grouped=False)",
    )


def _parse(pid: int, source: str, count: int) -> Mappings:
    mappings = read_mappings(LiveFiles(), pid, source)
    if isinstance(mappings, Gap) or len(mappings) < count:
        raise OSError(f"{source}: {mappings}")
    return mappings


def _throw_away(path: str) -> None:
    buffer = bytearray(1 << 16)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def holding(setup: Setup) -> Iterator[Row]:
    """How long another thread waits for the interpreter while smaps is parsed.

    A thread that wakes every 0.2 ms notes its longest sleep; what it sleeps with nobody beside it
    is taken off. The median of the rounds, as one round in many meets another program.
    """
    count = setup.mappings
    with many_mappings(count) as pid:
        beside, alone, call = interleaved(
            setup.rounds(9),
            lambda: _longest_gap(lambda: _parse(pid, "smaps", count)),
            lambda: _longest_gap(lambda: time.sleep(setup.span_s(0.3))),
            lambda: _longest_call(pid),
        )
    note = f"{1000 * beside:.1f} ms beside it, {1000 * alone:.1f} alone"
    yield Row(
        "interpreter held while smaps is parsed", 1000 * max(0.0, beside - alone), 10.0, " ms", note
    )
    note = "of at most 256 KiB, other threads let in every 5 ms or not"
    yield Row("longest parsing of one piece of smaps", 1000 * call, 10.0, " ms", note)


def _longest_gap(work: object) -> float:
    assert callable(work)
    longest, done = 0.0, threading.Event()
    ready = threading.Event()

    def tick() -> None:
        nonlocal longest
        before = time.perf_counter()
        while not done.is_set():
            time.sleep(_SLEEP_S)
            now = time.perf_counter()
            longest, before = max(longest, now - before - _SLEEP_S), now
            ready.set()

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        ready.wait()
        longest = 0.0  # the thread's own start is none of it
        work()
    finally:
        done.set()
        thread.join()
    return longest


def _longest_call(pid: int) -> float:
    reader, longest = _Reader(), 0.0
    for piece in LiveFiles().pieces(f"proc/{pid}/smaps"):
        assert isinstance(piece, bytes)
        started = time.perf_counter()
        reader.feed(piece)
        longest = max(longest, time.perf_counter() - started)
    return longest


def reports(setup: Setup) -> Iterator[Row]:
    """Processor time of `memtui maps` as text and as JSON, against pmap."""
    count = setup.mappings
    pmap = shutil.which("pmap")
    names = (
        (f"memtui maps of {count:,} mappings / pmap -X", 0.7),
        (f"memtui maps --json of {count:,} / pmap -X", 1.0),
    )
    if not pmap:
        for what, at_most in names:
            yield Row(what, None, at_most, note="pmap is not installed")
        return
    ours = (setup.memtui, "maps")
    with many_mappings(count) as pid:
        text, json, theirs = interleaved(
            setup.rounds(5),
            lambda: cpu_s(*ours, str(pid)),
            lambda: cpu_s(*ours, "--json", str(pid)),
            lambda: cpu_s(pmap, "-X", str(pid)),
        )
    for (what, at_most), figure in zip(names, (text, json), strict=True):
        note = f"{1000 * figure:.0f} / {1000 * theirs:.0f} ms of CPU"
        yield Row(what, figure / theirs, at_most, note=note)


def listing(setup: Setup) -> Iterator[Row]:
    """Processor time of `memtui procs`: with PSS against smem, without against ps and a Python."""
    count = setup.processes
    smem, ps = shutil.which("smem"), shutil.which("ps")
    names = (
        (f"memtui procs of {count:,} / smem -P .", 0.5),
        (f"memtui procs --no-pss of {count:,} / ps aux and python -c pass", 0.8),
    )
    if not smem or not ps:
        missing = "ps" if smem else "smem"
        for what, at_most in names:
            yield Row(what, None, at_most, note=f"{missing} is not installed")
        return
    ours = (setup.memtui, "procs")
    with many_processes(count):
        whole, quickly, with_pss, plain, start = interleaved(
            setup.rounds(7),
            lambda: cpu_s(*ours),
            lambda: cpu_s(*ours, "--no-pss"),
            lambda: cpu_s(smem, "-P", "."),
            lambda: cpu_s(ps, "aux"),
            lambda: cpu_s(setup.python, "-c", "pass"),
        )
    figures = ((whole, with_pss), (quickly, plain + start))
    for (what, at_most), (figure, theirs) in zip(names, figures, strict=True):
        note = f"{1000 * figure:.0f} / {1000 * theirs:.0f} ms of CPU"
        yield Row(what, figure / theirs, at_most, note=note)


def starting(setup: Setup) -> Iterator[Row]:
    """`memtui free` from the shell, and how much of it is the interpreter's own start."""
    took, ours, theirs = interleaved(
        setup.rounds(15),
        lambda: seconds(lambda: run(setup.memtui, "free")),
        lambda: cpu_s(setup.memtui, "free"),
        lambda: cpu_s(setup.python, "-c", "pass"),
    )
    yield Row("memtui free, from start to end", 1000 * took, 100.0, " ms")
    note = f"{1000 * ours:.0f} / {1000 * theirs:.0f} ms of CPU"
    yield Row("memtui free / python -c pass", ours / theirs, note=note)
