"""What a second hour adds to the history of the first."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator

from memtui.kernel.pressure import Pressure, Stall
from memtui.model.keys import ProcessKey
from memtui.model.sample import ProcessSample, Sample, SystemSample
from memtui.session.history import ENTRIES, GrowthTracker, History
from tests.bench.row import Row
from tests.bench.setup import Setup

_PHASES = 16
# Free lists, resized dictionaries: what the interpreter keeps for itself goes up and down by this.
_NOISE_KIB = 16.0


def growth(setup: Setup) -> Iterator[Row]:
    """All values change each second, and a process a minute ends and another begins."""
    entries, count = setup.rounds(ENTRIES), setup.processes
    history, tracker = History(entries), GrowthTracker()
    phases = [_processes(phase, count) for phase in range(_PHASES)]
    tracemalloc.start()
    try:
        for second in range(entries):
            history.record(taken := _sample(second, phases))
            tracker.record(taken)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for second in range(entries, 2 * entries):
            history.record(taken := _sample(second, phases))
            tracker.record(taken)
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    yield Row(
        f"history after 2 x {entries:,} samples less after 1 x",
        (after - before) / 1024,
        _NOISE_KIB,
        " KiB",
        f"of {after / 2**20:.1f} MiB, {count:,} processes",
    )


def _sample(second: int, phases: list[dict[ProcessKey, ProcessSample]]) -> Sample:
    stall = Stall(0.0, 0.0, 0.0, 1000 * second)
    meminfo = {
        "MemTotal": 1 << 34,
        "MemFree": (1 << 32) + 4096 * second,
        "MemAvailable": (1 << 33) + 4096 * second,
        "Buffers": 4096 * second,
        "Cached": 1 << 30,
        "SwapTotal": 1 << 30,
        "SwapFree": (1 << 30) - 4096 * second,
    }
    minute = ProcessKey(100_000 + second // 60, second // 60)
    return Sample(
        1000.0 + second,
        1.0,
        SystemSample(meminfo, {"pgfault": 1000 * second}, Pressure(stall, stall)),
        {**phases[second % _PHASES], minute: _process(minute, second)},
    )


def _processes(phase: int, count: int) -> dict[ProcessKey, ProcessSample]:
    keys = [ProcessKey(pid, 100) for pid in range(1, count)]
    return {key: _process(key, phase) for key in keys}


def _process(key: ProcessKey, change: int) -> ProcessSample:
    rss = (key.pid % 1000 + change + 1) * 4096
    return ProcessSample(key, "bench", "S", False, 1 << 30, rss, 4096)
