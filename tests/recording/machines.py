"""Machines that are recorded: a made one that changes from tick to tick, and real ones that are killed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from memtui.recording.collector import NO_MAPS, MapsWanted
from memtui.recording.moment import Moment
from memtui.recording.recorder import Recorder
from memtui.recording.recording import Recording
from memtui.recording.store import Unusable
from memtui.recording.writer import FOREVER, Keep
from tests.conftest import HOSTS_DIR
from tests.recorded import Recorded, recorded

DEBIAN = str(HOSTS_DIR / "debian-6.18")
_DEADLINE_S = 90.0  # a slow machine reads all of itself once before, and rests between its ticks


class Machine:
    """A captured machine whose figures and processes change by chance; each tick is noted."""

    def __init__(
        self,
        path: str,
        *,
        keep: Keep = FOREVER,
        seed: int = 1,
        whole: bool = False,
        boot: bytes | None = None,
        maps: MapsWanted = NO_MAPS,
    ) -> None:
        """`whole`: all of the captured machine; else its own files alone, and made processes. `boot`:
        the id of another boot. `maps`: whose are kept."""
        self.chance = random.Random(seed)
        files = recorded(DEBIAN).files
        if not whole:
            files = {name: data for name, data in files.items() if not name[5:6].isdigit()}
        if boot is not None:
            files["proc/sys/kernel/random/boot_id"] = boot
        self.files = Recorded(files)
        self.wall_s = 1_800_000_000.0
        self.seen: list[tuple[Moment, dict[str, bytes]]] = []
        self._pids = range(100, 130)
        for pid in self._pids:
            self.files.start(pid, pid)
        self.recorder = Recorder(
            self.files,
            path,
            maps=maps,
            keep=keep,
            clock=self.files.clock,
            wall_s=lambda: self.wall_s,
        )
        self.recorder.writer.start()

    def tick(self, seconds: float = 1.0) -> None:
        self.wall_s += seconds
        self.files.clock.now_s += seconds
        self._change()
        self.recorder.tick(1.0)
        if len(self.seen) % 50 == 49:  # faster than a clock: the writer would be left behind
            self.recorder.writer.wait()
        boot_s = round(self.files.clock.now_s, 3)
        moment = Moment(round(self.wall_s, 3), boot_s, 0)
        self.seen.append((moment, dict(self.recorder.contents)))

    def _change(self) -> None:
        chance, files = self.chance, self.files
        meminfo = files.files["proc/meminfo"]
        assert isinstance(meminfo, bytes)
        head, _, rest = meminfo.partition(b"MemFree:")
        line = b"MemFree:%16d kB" % chance.randrange(1, 10**6)
        files.files["proc/meminfo"] = head + line + rest[rest.index(b"\n") :]
        for pid in chance.sample(self._pids, 5):
            is_there = f"proc/{pid}/stat" in files.files
            what = chance.random()
            if not is_there:
                files.start(pid, chance.randrange(10**6), "new")
            elif what < 0.2:
                files.end(pid)
            elif what < 0.3:
                files.end(pid)  # and its pid comes back at once
                files.start(pid, chance.randrange(10**6), "again")
            else:
                files.resize(pid, chance.randrange(1, 10**6))

    def end(self) -> None:
        self.recorder.stop()


def whole(recording: Recording, moment: Moment) -> Mapping[str, bytes]:
    """All contents of a moment."""
    contents = recording.view(moment).contents
    found = {name: contents.get(name) for name in contents.names()}
    return {name: data for name, data in found.items() if data is not None}


def readable(path: str) -> tuple[list[Moment], list[str]]:
    """The moments of a file that can be read, each of them tried, and what was complained of."""
    try:
        recording = Recording(path)
    except Unusable as error:
        return [], [str(error)]
    good: list[Moment] = []
    complaints = list(recording.troubles)
    try:
        moments = recording.moments(float("-inf"), float("inf"))
        recording.events(float("-inf"), float("inf"))
    except Unusable as error:
        moments = []
        complaints.append(str(error))
    for moment in moments:
        try:
            whole(recording, moment)
            good.append(moment)
        except Unusable as error:
            complaints.append(str(error))
    recording.close()
    return good, complaints


def recording_process(path: Path, *words: str) -> subprocess.Popen[str]:
    """`memtui record` on this machine, ten times a second."""
    return subprocess.Popen(
        [sys.executable, "-m", "memtui", "record", str(path), "--interval", "0.1", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )


def ticks_of(path: Path) -> int:
    """How many moments another process has written; 0 before there is a file."""
    try:
        recording = Recording(str(path))
    except Unusable:
        return 0
    try:
        return recording.ticks
    finally:
        recording.close()


def wait_for_ticks(path: Path, count: int) -> int:
    """Waits until so many are written; how many are."""
    deadline = time.monotonic() + _DEADLINE_S
    while (ticks := ticks_of(path)) < count:
        assert time.monotonic() < deadline, f"{ticks} of {count} ticks"
        time.sleep(0.02)
    return ticks
