"""Recordings: how small beside atop's and sar's, what they cost, and how fast a day of it is."""

from __future__ import annotations

import random
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Final

from memtui.kernel.livefiles import LiveFiles
from memtui.live.machine import machine_of
from memtui.live.plan import Plan
from memtui.live.readers import FIELDS
from memtui.live.sampler import Sampler
from memtui.recording.codec import Block, versions_of
from memtui.recording.hunt import hunt
from memtui.recording.lasthour import LastHour
from memtui.recording.looked import LookedFiles
from memtui.recording.noted import NotedFiles
from memtui.recording.recorder import Recorder
from memtui.recording.recording import Recording
from memtui.recording.store import Time, packed_times
from memtui.recording.writer import BLOCK_TICKS
from memtui.session.rebuild import Rebuilt
from memtui.settings.values import DEFAULTS
from tests.bench.loads import many_processes
from tests.bench.row import Row, seconds
from tests.bench.setup import Setup
from tests.terminal import wait_until

_PROCESSES: Final = 370  # beside which the figures were taken
_SPAN_S: Final = 300.0
_DAY_TICKS: Final = 86_400
_OF_PROCESS: Final = re.compile(r"(?:[a-z]+:)?proc/[0-9]+/")
_FOR_EVER: Final = (float("-inf"), float("inf"))


def size(setup: Setup) -> Iterator[Row]:
    """Bytes a sample, of the same seconds and the same processes."""
    span_s = max(3, round(setup.span_s(_SPAN_S)))
    with (
        tempfile.TemporaryDirectory() as directory,
        many_processes(min(_PROCESSES, setup.processes)),
    ):
        path = Path(directory, "day.memtui")
        others = {
            "atop -w": (["atop", "-w", f"{directory}/atop", "1", str(span_s)], f"{directory}/atop"),
            "sar -o": (["sar", "-o", f"{directory}/sar", "1", str(span_s)], f"{directory}/sar"),
        }
        running = [
            subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for words, _ in others.values()
            if shutil.which(words[0])
        ]
        with subprocess.Popen([setup.python, "-m", "memtui", "record", str(path)]) as ours:
            wait_until(path.exists, "recorded")
            time.sleep(span_s)
            ours.send_signal(signal.SIGTERM)
        for each in running:
            each.wait()
        recording = Recording(str(path))
        whole, own = path.stat().st_size / recording.ticks, _own_bytes(recording)
        recording.close()
        for (name, (words, file)), figure, at_most in zip(
            others.items(), (whole, own), (0.1, 0.2), strict=True
        ):
            what = "a recording" if figure is whole else "the machine's own figures"
            if not shutil.which(words[0]):
                yield Row(f"{what}: memtui / {name}", None, note=f"{words[0]} is not installed")
                continue
            theirs = Path(file).stat().st_size / span_s
            note = f"{figure:,.0f} / {theirs:,.0f} bytes a sample"
            yield Row(f"{what}: memtui / {name}", figure / theirs, at_most, note=note)


def _own_bytes(recording: Recording) -> float:
    """What the blocks would take without any process."""
    block = Block()
    before: dict[str, bytes] = {}
    for moment in recording.moments(*_FOR_EVER):
        contents = recording.view(moment).contents
        names = [name for name in contents.names() if not _OF_PROCESS.match(name)]
        now = {name: data for name in names if (data := contents.get(name)) is not None}
        changes = {name: data for name, data in now.items() if before.get(name) != data}
        block.add(versions_of(before, changes))
        before = now
    return len(block.packed()) / block.ticks


def cost(setup: Setup) -> Iterator[Row]:
    """What recording takes of a core, more than sampling the same alone does."""
    ticks = setup.rounds(240)
    with tempfile.TemporaryDirectory() as directory, many_processes(setup.processes):
        sampler = Sampler(LiveFiles())
        sampler.prepare()
        sampler.sample()
        alone_s = _cpu_of(lambda: sampler.sample(1.0, Plan(fields=FIELDS)), ticks)
        sampler.close()
        recorder = Recorder(LiveFiles(), f"{directory}/day.memtui")
        recorder.writer.start()
        recorder.tick(1.0)

        def tick() -> None:
            recorder.tick(1.0)
            recorder.writer.wait()

        tick()
        ours_s = _cpu_of(tick, ticks)
        recorder.stop()
    yield Row(
        f"recording {setup.processes:,} processes at 1 s, more than sampling",
        100 * max(0.0, ours_s - alone_s),
        2.0,
        " %",
        f"of a core: {1000 * ours_s:.1f} / {1000 * alone_s:.1f} ms a tick",
    )


def last_hour(setup: Setup) -> Iterator[Row]:
    """What a dashboard's own past takes, more than sampling the same alone does."""
    ticks = setup.rounds(240)
    files, plan = LiveFiles(), Plan(fields=FIELDS)
    machine = machine_of(files)
    with many_processes(setup.processes):
        sampler = Sampler(files)
        sampler.sample(1.0, plan)
        alone_s = _cpu_of(lambda: sampler.sample(1.0, plan), ticks)
        sampler.close()
        noted, looked = NotedFiles(files), LookedFiles(files)
        sampler = Sampler(noted)
        hour = LastHour(noted, looked, machine, DEFAULTS.alerts)

        def tick() -> None:
            hour.note(sampler.sample(1.0, plan))

        _cpu_of(tick, BLOCK_TICKS + 2)  # which all stands in
        before = hour.size_bytes
        ours_s = _cpu_of(tick, ticks)
        an_hour = (hour.size_bytes - before) / ticks * 3600
        began = time.perf_counter()
        rebuilt = Rebuilt(hour.opened(), DEFAULTS, lambda: machine)
        last, _ = rebuilt.found(None, 0)
        assert last is not None
        rebuilt.at(last, plan)
        took_s = time.perf_counter() - began
        sampler.close()
        hour.close()
    yield Row(
        f"the last hour of {setup.processes:,} processes, more than sampling",
        100 * max(0.0, ours_s - alone_s),
        2.0,
        " %",
        f"of a core: {1000 * ours_s:.1f} / {1000 * alone_s:.1f} ms a tick",
    )
    yield Row("the last hour in memory", an_hour / 1e6, 16.0, " MB", "within a budget of 16 MiB")
    yield Row("the first way back", 1000 * took_s, None, " ms", "until there is a moment to draw")


def _cpu_of(work: Callable[[], object], ticks: int) -> float:
    began = time.process_time()
    for _ in range(ticks):
        work()
        time.sleep(0.05)
    return (time.process_time() - began) / ticks


def day(setup: Setup) -> Iterator[Row]:
    """86,400 samples of 300 processes, made of real ones, once more and once more."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/day.memtui"
        with many_processes(min(300, setup.processes)):
            recorder = Recorder(LiveFiles(), path)
            recorder.writer.start()
            for _ in range(max(61, setup.rounds(600))):
                recorder.tick(1.0)
                time.sleep(0.02)
            recorder.stop()
        _repeat(path, max(600, setup.rounds(_DAY_TICKS)))
        length = Path(path).stat().st_size
        opened = median(seconds(lambda: Recording(path).close()) for _ in range(3))
        recording = Recording(path)
        first, last = recording.first, recording.last
        assert first is not None and last is not None
        rebuilt = Rebuilt(recording, DEFAULTS)

        def jump() -> None:
            moment = recording.at(random.uniform(first.time_s, last.time_s))
            assert moment is not None
            rebuilt.at(moment, Plan())

        jumps = median(seconds(jump) for _ in range(setup.rounds(50)))
        graph = median(
            seconds(lambda: recording.series({"mem_available_bytes"}, *_FOR_EVER)) for _ in range(3)
        )
        note = f"{recording.ticks:,} samples, {length / 1e6:.0f} MB"
        hunted = seconds(lambda: hunt(recording, *_FOR_EVER, lambda done, total: True))
        recording.close()
    yield Row("a day is opened", 1000 * opened, None, " ms", note)
    yield Row(
        "any moment of a day", 1000 * jumps, 100.0, " ms", "with its verdict, growth and graphs"
    )
    yield Row("the leak hunt in a day", hunted, 10.0, " s", "at most 72 blocks of it are opened")
    yield Row("a day's graph", 1000 * graph, 200.0, " ms", "every block's least, largest and last")


def _repeat(path: str, ticks: int) -> None:
    """Until so many ticks are in a recording, a second apart: its blocks again, each time later."""
    database = sqlite3.connect(path)
    rows = database.execute(
        "select id, run, base, first_wall, first_boot, ticks, data, checksum from block order by id"
    ).fetchall()
    database.execute("delete from recent")  # it would be before what follows
    wall, boot = rows[0][3:5]
    is_there = True
    while ticks > 0:
        for number, run, base, _, _, count, data, check in rows:
            times = [Time(wall + 1000 * at, boot + 1000 * at) for at in range(count)]
            wall, boot, ticks = wall + 1000 * count, boot + 1000 * count, ticks - count
            values = (times[0].wall_ms, times[-1].wall_ms, times[0].boot_ms, times[-1].boot_ms)
            if is_there:
                database.execute(
                    "update block set first_wall = ?, last_wall = ?, first_boot = ?, last_boot = ?, "
                    "times = ? where id = ?",
                    (*values, packed_times(times), number),
                )
                continue
            cursor = database.execute(
                "insert into block (run, base, first_wall, last_wall, first_boot, last_boot, ticks, "
                "times, data, checksum) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (run, base, *values, count, packed_times(times), data, check),
            )
            database.execute(
                "insert into summary select ?, figure, least, most, last from summary where block = ?",
                (cursor.lastrowid, number),
            )
        is_there = False
    database.commit()
    database.close()
