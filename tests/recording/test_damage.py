"""What a recording survives: kills, cuts, flipped bits, full disks, other people's files."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from memtui.recording.moment import Moment
from memtui.recording.recorder import Recorder
from memtui.recording.recording import Recording
from memtui.recording.store import SCHEMA, Unusable
from tests.recorded import recorded
from tests.recording.machines import (
    DEBIAN,
    Machine,
    readable,
    recording_process,
    ticks_of,
    wait_for_ticks,
    whole,
)

KILLS = int(os.environ.get("MEMTUI_KILLS", "3"))
TICKS = 150
FOR_EVER = float("-inf"), float("inf")


def test_kills_lose_nothing(tmp_path: Path) -> None:
    """What another process has seen in the file stays in it, each time; and it goes on."""
    path = tmp_path / "day.memtui"
    chance = random.Random()
    before = 0
    for _ in range(KILLS):
        with recording_process(path) as process:
            seen = wait_for_ticks(path, before + chance.randrange(1, 9))
            process.send_signal(signal.SIGKILL)
        good, complaints = readable(str(path))
        assert complaints == []
        assert len(good) >= seen
        before = len(good)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with blocks, rows and a log, as a kill would have left it."""
    path = tmp_path_factory.mktemp("killed") / "day.memtui"
    machine = Machine(str(path))
    for _ in range(TICKS):
        machine.tick()
    machine.recorder.writer.wait()
    folder = path.parent / "left"
    folder.mkdir()
    for each in path.parent.glob("day.memtui*"):
        shutil.copy(each, folder)
    machine.end()
    (folder / "day.memtui-shm").unlink()
    assert (folder / "day.memtui-wal").stat().st_size
    return folder


def put_together(path: Path) -> None:
    """The log's pages where they belong, and no log."""
    database = sqlite3.connect(path)
    database.execute("pragma wal_checkpoint(truncate)").fetchall()
    database.close()


def copied(killed: Path, tmp_path: Path) -> Path:
    for each in killed.iterdir():
        shutil.copy(each, tmp_path)
    return tmp_path / "day.memtui"


@pytest.mark.parametrize("part", ["", "-wal"])
def test_cut_anywhere_it_is_what_it_was_or_says_so(killed: Path, tmp_path: Path, part: str) -> None:
    chance = random.Random()
    before = set(readable(str(copied(killed, tmp_path)))[0])
    assert len(before) == TICKS
    length = (killed / f"day.memtui{part}").stat().st_size
    for _ in range(8):
        path = copied(killed, tmp_path)
        os.truncate(f"{path}{part}", chance.randrange(length))
        good, complaints = readable(str(path))
        assert set(good) <= before
        assert good or complaints or part  # without its log there may be nothing yet
        for complaint in complaints:
            assert str(path) in complaint and "\n" not in complaint
        Path(f"{path}-shm").unlink(missing_ok=True)


def test_a_cut_log_leaves_a_beginning(killed: Path, tmp_path: Path) -> None:
    everything = readable(str(copied(killed, tmp_path)))[0]
    path = copied(killed, tmp_path)
    os.truncate(f"{path}-wal", Path(f"{path}-wal").stat().st_size - 100)
    Path(f"{path}-shm").unlink(missing_ok=True)
    good, complaints = readable(str(path))
    assert complaints == [] and good == everything[: len(good)] and len(good) > 100


def test_flipped_bits_are_told_and_cost_what_they_are_in(killed: Path, tmp_path: Path) -> None:
    chance = random.Random()
    path = copied(killed, tmp_path)
    put_together(path)
    recording = Recording(str(path))
    contents = {each: whole(recording, each) for each in recording.moments(*FOR_EVER)}
    recording.close()
    assert len(contents) == TICKS
    data = path.read_bytes()
    for _ in range(10):
        bad = bytearray(data)
        for _ in range(chance.choice((1, 1, 5))):
            bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
        path.write_bytes(bad)
        good, complaints = readable(str(path))
        assert good or complaints
        assert all("\n" not in complaint for complaint in complaints)
        for moment in good[:: len(good) // 3 + 1]:
            if moment in contents:  # its time may be what was hit
                assert whole_at(path, moment) == contents[moment]


def test_damage_that_is_no_text_is_told(killed: Path, tmp_path: Path) -> None:
    """SQLite's words about it have the damaged bytes in them."""
    path = copied(killed, tmp_path)
    put_together(path)
    data = path.read_bytes()
    assert data.count(b"CREATE TABLE event") == 1
    path.write_bytes(data.replace(b"CREATE TABLE event", b"CREATE TABL\xc5 event"))
    for opening in (Recording, Machine):
        with pytest.raises(Unusable, match="the names in it are damaged"):
            opening(str(path))


def whole_at(path: Path, moment: Moment) -> Mapping[str, bytes]:
    recording = Recording(str(path))
    try:
        return whole(recording, moment)
    finally:
        recording.close()


def test_a_damaged_block_costs_no_other(killed: Path, tmp_path: Path) -> None:
    path = copied(killed, tmp_path)
    database = sqlite3.connect(path)
    database.execute("update block set data = cast(x'00' || substr(data, 2) as blob) where id = 2")
    database.commit()
    database.close()
    good, complaints = readable(str(path))
    assert len(good) == TICKS - 60
    assert set(complaints) == {f"{path}: block 2 is damaged, and what is in it is lost"}


def test_going_on_with_a_damaged_one(killed: Path, tmp_path: Path) -> None:
    """What follows a damaged row is lost; what comes is recorded."""
    path = copied(killed, tmp_path)
    database = sqlite3.connect(path)
    (first,) = database.execute("select min(id) from recent").fetchone()
    database.execute("update recent set data = x'ff' where id = ?", (first + 5,))
    database.commit()
    database.close()
    machine = Machine(str(path))
    machine.tick()
    machine.end()
    good, complaints = readable(str(path))
    assert complaints == [] and len(good) == 120 + 5 + 1


def test_files_that_are_no_recordings(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("this is no recording\n" * 100)
    empty = tmp_path / "empty"
    empty.touch()
    other = tmp_path / "other"
    sqlite3.connect(other).executescript("create table run (id); insert into run values (1)")
    for path, words in (
        (text, "is no recording of memtui's"),
        (empty, "is no recording of memtui's"),
        (other, "is no recording of memtui's"),
        (tmp_path, "Is a directory"),
        (tmp_path / "none", "No such file"),
        (tmp_path / "a\0b", "is no name for a file"),
    ):
        with pytest.raises(Unusable, match=words):
            Recording(str(path))
    for path in (text, other):
        before = path.read_bytes()
        with pytest.raises(Unusable, match=r"no recording|cannot be recorded to"):
            Machine(str(path))
        assert path.read_bytes() == before


def test_a_newer_schema_says_which_memtui_it_needs(killed: Path, tmp_path: Path) -> None:
    path = copied(killed, tmp_path)
    database = sqlite3.connect(path)
    database.execute("update run set memtui = '9.9'")
    database.execute(f"pragma user_version = {SCHEMA + 1}")
    database.commit()
    database.close()
    for opening in (Recording, Machine):
        with pytest.raises(Unusable, match=r"was recorded by memtui 9\.9.*schema"):
            opening(str(path))


def test_one_recorder_at_a_time(tmp_path: Path) -> None:
    path = str(tmp_path / "day.memtui")
    first = Machine(path)
    with pytest.raises(Unusable, match="being recorded to by another"):
        Machine(path)
    first.tick()
    first.end()
    second = Machine(path)
    second.tick()
    second.end()
    assert Recording(path).ticks == 2


def test_a_signal_ends_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "day.memtui"
    for number in (signal.SIGTERM, signal.SIGINT):
        with recording_process(path) as process:
            wait_for_ticks(path, ticks_of(path) + 2)
            process.send_signal(number)
            out, error = process.communicate(timeout=60)
        assert (process.returncode, out, error) == (0, "", "")
        database = sqlite3.connect(path)
        assert database.execute("select count(*) from recent").fetchone() == (0,)
        database.close()
    assert len(Recording(str(path)).runs) == 2


def fill(path: Path) -> None:
    """Until there is no room left."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


@contextmanager
def mounted(directory: Path, options: str) -> Iterator[Path]:
    """A small tmpfs."""
    if os.geteuid():
        pytest.skip("only root may mount a small file system")
    directory.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)], capture_output=True
    )
    if done.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def test_a_full_disk_is_told_and_outlived(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=1m") as directory:
        path = directory / "day.memtui"
        machine = Machine(str(path))
        for _ in range(70):
            machine.tick()
        machine.recorder.writer.wait()
        assert machine.recorder.trouble == ""
        filler = directory / "filler"
        fill(filler)
        for _ in range(400):
            machine.tick()
        machine.recorder.writer.wait()
        assert "full" in machine.recorder.trouble
        good, complaints = readable(str(path))
        assert complaints == [] and len(good) >= 70
        filler.unlink()
        for _ in range(5):
            machine.tick()
        machine.recorder.writer.wait()
        assert machine.recorder.trouble == ""
        machine.end()
        good, complaints = readable(str(path))
        assert complaints == []
        assert len(good) == 475 - machine.recorder.writer.lost
        known = {moment[:2]: contents for moment, contents in machine.seen}
        recording = Recording(str(path))
        for moment in good[::40]:
            assert whole(recording, moment) == known[moment[:2]]
        recording.close()


def test_a_file_on_a_read_only_disk(killed: Path, tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=4m") as directory:
        path = copied(killed, directory)
        put_together(path)
        subprocess.run(["mount", "-o", "remount,ro", str(directory)], check=True)
        good, complaints = readable(str(path))
        assert complaints == [] and len(good) == TICKS
        with pytest.raises(Unusable, match="cannot be recorded to: Read-only"):
            Machine(str(path))


def test_a_slow_disk_stops_no_sampling(tmp_path: Path) -> None:
    """Somebody holds the file: ticks wait for it, a bounded number, and none of them waits itself."""
    path = str(tmp_path / "day.memtui")
    files = recorded(DEBIAN)
    recorder = Recorder(files, path, clock=files.clock)
    recorder.writer.start()
    recorder.tick(1.0)
    recorder.writer.wait()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("begin immediate")
    for _ in range(200):
        files.clock.now_s += 1
        recorder.tick(1.0)
    assert recorder.writer.lost > 0
    holder.execute("rollback")
    holder.close()
    recorder.writer.wait()  # it has room for one more
    assert recorder.trouble == ""
    files.clock.now_s += 1
    recorder.tick(1.0)
    recorder.stop()
    recording = Recording(path)
    assert recording.ticks == 202 - recorder.writer.lost
    assert recording.last is not None
    assert whole(recording, recording.last) == recorder.contents
