"""A moment that is shown again is what was shown then; what was not kept says so; nothing acts."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from memtui.kernel.files import Files, Gap
from memtui.model.machine import Machine as KnownMachine
from memtui.model.sample import ProcessSample
from memtui.ondemand.question import GoOn, Question
from memtui.ondemand.questions import OutlookIn
from memtui.recording.lasthour import HOUR
from memtui.recording.recording import Recording
from memtui.recording.writer import Keep
from memtui.session.session import Session
from tests.conftest import HOSTS_DIR
from tests.recorded import Recorded, recorded
from tests.recording.machines import wait_for_ticks
from tests.recording.test_damage import fill, mounted
from tests.session.lived import Lived
from tests.terminal import wait_until

_PIDS = range(100, 130)


class ReadOf(Question[bytes]):
    """A file's bytes, whichever files it is asked of."""

    def __init__(self, name: str) -> None:
        self.name = name

    def answer(self, files: Files, machine: KnownMachine, go_on: GoOn) -> bytes | Gap:
        return files.read(self.name)


class Changing:
    """A captured machine with processes that come, grow and go by chance."""

    def __init__(self, host: str = "debian-6.18", keep: Keep | None = None) -> None:
        found = recorded(str(HOSTS_DIR / host)).files
        self.files = Recorded(
            {name: data for name, data in found.items() if not name[5:6].isdigit()}
        )
        for pid in _PIDS:
            self.files.start(pid, pid, f"own{pid}")
            self.files.files[f"proc/{pid}/oom_score_adj"] = b"0\n"
        self.chance = random.Random(3)
        self.lived = Lived(self.files, self.files.clock, keep or HOUR)

    def tick(self, seconds: float = 1.0) -> None:
        chance, files = self.chance, self.files
        for pid in chance.sample(_PIDS, 5):
            if f"proc/{pid}/stat" not in files.files:
                files.start(pid, chance.randrange(10**6), f"new{pid}")
                files.files[f"proc/{pid}/oom_score_adj"] = b"%d\n" % chance.randrange(-500, 500)
            elif chance.random() < 0.2:
                files.end(pid)
            else:
                files.resize(pid, chance.randrange(1, 10**6))
        meminfo = files.files["proc/meminfo"]
        assert isinstance(meminfo, bytes)
        head, _, rest = meminfo.partition(b"MemAvailable:")
        line = b"MemAvailable:%12d kB" % chance.randrange(10**4, 10**6)
        files.files["proc/meminfo"] = head + line + rest[rest.index(b"\n") :]
        self.lived.tick(seconds)


@pytest.fixture
def changing() -> Iterator[Changing]:
    made = Changing()
    yield made
    made.lived.end()


def size_of(session: Session) -> int | None:
    """Of the first mapping of the map that is shown."""
    map_ = session.chosen.map
    return None if map_ is None else map_.mappings.ends[0] - map_.mappings.starts[0]


def missing(session: Session) -> str:
    assert session.moment is not None
    return session.moment.missing


def process(lived: Lived, pid: int) -> ProcessSample:
    moment = lived.session.moment
    assert moment is not None
    return next(each for each in moment.sample.processes.values() if each.pid == pid)


def test_every_moment_is_shown_again_as_it_was(changing: Changing) -> None:
    lived, session = changing.lived, changing.lived.session
    ranked: dict[float, object] = {}
    for at in range(140):
        changing.tick()
        if at > 70:  # every oom_score_adj has been read by then
            outlook = OutlookIn(None).answer(changing.files, lived.machine, lambda *_: True)
            assert not isinstance(outlook, Gap)
            ranked[lived.clock.now_s] = [
                (each.key, each.adj, each.rank) for each in outlook.ranking.candidates
            ]
    lived.wait_until_kept()
    for time_s in random.Random(1).sample(sorted(lived.shown)[2:], 25):
        session.go_to(time_s + 0.3)
        assert lived.next(time_s).is_news
        moment = session.moment
        assert moment is not None and moment.is_past
        sample, level = lived.shown[time_s]
        assert moment.sample.time_s == time_s
        assert moment.sample.processes == sample.processes
        assert moment.sample.system == sample.system
        assert moment.seen.verdict is not None and moment.seen.verdict.level == level
        assert moment.history.end_s == time_s
        assert moment.history.latest("mem_available_bytes") == moment.free.available
        assert all(event.time_s <= time_s for event in moment.seen.events)
        assert moment.ago_s == lived.clock.now_s - time_s
        assert moment.at == pytest.approx(time_s + (lived.machine.booted_s or 0.0))
        if time_s in ranked:
            then = lived.answer(OutlookIn(None))
            assert [(each.key, each.adj, each.rank) for each in then.ranking.candidates] == ranked[
                time_s
            ]


def test_growth_is_that_of_the_minute_before(changing: Changing) -> None:
    lived = changing.lived
    for _ in range(30):
        changing.tick()
    there = set(lived.tick().processes)
    for _ in range(70):
        changing.tick()
    there = there & lived.tick().processes.keys()
    gained = {key: lived.session.growth.gained_bytes(key) for key in there}
    then = lived.clock.now_s
    lived.tick()
    lived.wait_until_kept()
    lived.session.go_to(then)
    lived.next()
    moment = lived.session.moment
    assert moment is not None and moment.growth.counted_s == 60
    assert any(gained.values())
    assert {key: moment.growth.gained_bytes(key) for key in there} == gained


def test_it_steps_and_goes_back_to_now_and_the_collection_goes_on(changing: Changing) -> None:
    lived, session = changing.lived, changing.lived.session
    for _ in range(30):
        changing.tick()
    lived.wait_until_kept()
    now_s = lived.clock.now_s
    session.step(-1)
    session.step(-2)  # wherever the first has led by now
    lived.next(now_s - 3)
    assert session.is_past and session.moment is not None
    session.go_to(now_s - 10)
    lived.next(now_s - 10)
    session.step(2)
    lived.next(now_s - 8)
    assert session.moment.sample.time_s == now_s - 8
    session.step_by(-4)
    session.step_by(-3)
    lived.next(now_s - 15)
    assert session.moment.sample.time_s == now_s - 15
    session.step_by(-1000)
    session.step_by(-1000)
    lived.next(now_s - 29)
    assert "nothing was kept before" in session.moment.missing
    session.step_by(14)  # and not from where nothing is
    lived.next(now_s - 15)
    held = session.moment.sample
    for _ in range(3):
        changing.tick()
    assert session.moment.sample is held and session.now_s == now_s + 3
    assert session.moment.ago_s == 18
    assert len(session.history) == 33
    session.go_to(None)
    assert not session.is_past
    assert session.moment is not None and session.moment.sample.time_s == now_s + 3
    assert not session.moment.is_past and not session.moment.missing


def test_what_is_asked_for_before_it_is_live_again_is_not_shown(changing: Changing) -> None:
    lived, session = changing.lived, changing.lived.session
    for _ in range(5):
        changing.tick()
    lived.wait_until_kept()
    session.go_to(lived.clock.now_s - 2)
    wait_until(lambda: len(lived.inbox))
    session.go_to(None)
    assert not lived.next().is_news
    assert not session.is_past


def test_the_past_is_wound_from_what_was_frozen(changing: Changing) -> None:
    lived, session = changing.lived, changing.lived.session
    for _ in range(5):
        changing.tick()
    lived.wait_until_kept()
    session.at(session.now_s)
    session.go_to(lived.clock.now_s - 2)
    lived.next()
    assert session.moment is not None and session.moment.is_past and not session.is_frozen
    session.at(session.now_s)
    assert session.is_frozen and not session.is_past


def test_the_map_is_the_one_that_was_last_read(changing: Changing) -> None:
    lived, session, files = changing.lived, changing.lived.session, changing.files
    files.start(50, 5, "looked-at", 10)
    lived.tick()
    session.choose(process(lived, 50))
    lived.look()
    lived.tick()
    read_s = lived.clock.now_s
    for pages in range(11, 41):
        files.resize(50, pages)
        lived.tick()
    lived.look()
    lived.tick()
    lived.wait_until_kept()
    session.go_to(read_s + 3)
    lived.next(read_s + 3)
    assert size_of(session) == 10 * 4096
    assert missing(session) == ""
    session.go_to(read_s + 25)
    lived.next(read_s + 25)
    assert missing(session) == "map of 50 read 26 s before"
    session.choose(process(lived, 100))
    session.look_at(session._plan._replace(map_of=session.chosen.key))
    lived.until(lambda: session.chosen.gap is not None)
    assert session.chosen.key == process(lived, 100).key
    assert session.chosen.map is None
    assert missing(session) == "the map of 100 was not kept"
    session.go_to(None)
    assert session.chosen.key == process(lived, 100).key


def test_a_pid_that_came_back_is_another_process(changing: Changing) -> None:
    lived, session, files = changing.lived, changing.lived.session, changing.files
    files.start(50, 5, "first", 10)
    lived.tick()
    first = process(lived, 50)
    session.choose(first)
    lived.look()
    lived.tick()
    first_s = lived.clock.now_s
    files.end(50)
    files.start(50, 99, "second", 20)
    lived.tick()
    session.choose(process(lived, 50))
    lived.look()
    lived.tick()
    lived.wait_until_kept()
    session.go_to(first_s)
    lived.next()
    assert process(lived, 50) == first
    assert session.chosen.key != first.key and session.chosen.map is None
    session.choose(first)
    session.look_at(session._plan._replace(map_of=first.key))
    lived.until(lambda: session.chosen.map is not None)
    assert size_of(session) == 10 * 4096


def test_a_hole_and_what_was_before_it_began_are_told(changing: Changing) -> None:
    lived, session = changing.lived, changing.lived.session
    for _ in range(5):
        changing.tick()
    before_s = lived.clock.now_s
    changing.tick(100.0)
    for _ in range(5):
        changing.tick()
    lived.wait_until_kept()
    machine = lived.machine
    session.go_to(before_s + 50)
    lived.next()
    assert session.moment is not None and session.moment.sample.time_s == before_s
    assert missing(session) == (
        f"nothing was kept from {machine.time_of_day(before_s)} to "
        f"{machine.time_of_day(before_s + 100)}"
    )
    assert session.kept is not None
    first_s, _ = session.kept
    session.go_to(0.0)
    lived.next(first_s)
    assert session.moment.sample.time_s == first_s
    assert missing(session) == f"nothing was kept before {machine.time_of_day(first_s)}"


def test_questions_are_answered_by_the_past_and_nothing_acts(changing: Changing) -> None:
    lived, session, files = changing.lived, changing.lived.session, changing.files
    for _ in range(3):
        changing.tick()
    then_s, then = lived.clock.now_s, files.files["proc/meminfo"]
    assert not isinstance(lived.answer(ReadOf("proc/version")), Gap)
    for _ in range(3):
        changing.tick()
    lived.wait_until_kept()
    session.go_to(then_s)
    lived.next()
    assert lived.answer(ReadOf("proc/meminfo")) == then != files.files["proc/meminfo"]
    gap = lived.answer(ReadOf("proc/version"))
    assert isinstance(gap, Gap) and gap.reason == "not recorded"
    assert "0 goes back to now" in session.machine.no_acting
    assert session.moment is not None and session.moment.machine.no_acting
    assert not session.may_look_again()
    session.go_to(None)
    assert session.may_look_again()


def test_nothing_has_been_kept_yet(changing: Changing) -> None:
    changing.lived.session.go_to(5.0)
    assert changing.lived.next().complaint
    assert not changing.lived.session.is_past


def test_events_are_found_on_both_sides(changing: Changing) -> None:
    lived, session = changing.lived, changing.lived.session
    assert session.find_event(True) is None
    for _ in range(60):
        changing.tick()
    times = sorted({event.time_s for event in session.seen["host"].events})
    assert times, "this machine's available memory jumps up and down"
    growth_s = session.find_event(False, {"growth"})
    assert growth_s is not None
    lived.wait_until_kept()
    assert session.find_event(True, {"verdict"}) is None
    session.go_to(times[0] + 1)
    lived.next()
    found = session.find_event(False)
    assert found is not None and found <= times[0]
    assert session.find_event(False, {"no such kind"}) is None


@pytest.mark.parametrize("ticks", [700, 1400])
def test_an_hour_is_no_bigger_than_its_budget(ticks: int) -> None:
    keep = Keep(300.0, 1 << 20)
    changing = Changing(keep=keep)
    lived = changing.lived
    for at in range(ticks):
        changing.tick()
        if at % 60 == 0:
            lived.wait_until_kept()
    lived.wait_until_kept()
    assert lived.session.kept is not None
    first_s, last_s = lived.session.kept
    assert 240 <= last_s - first_s <= 300 + 120
    assert lived.hour.size_bytes < keep.size_bytes * 1.1  # type: ignore[operator]
    lived.end()


def test_maps_are_kept_within_a_budget(changing: Changing) -> None:
    lived, files = changing.lived, changing.files
    lived.tick()
    for pid in _PIDS:
        lived.session.choose(process(lived, pid))
        data = files.files[f"proc/{pid}/smaps"]
        assert isinstance(data, bytes)
        files.files[f"proc/{pid}/smaps"] = data * (1 if pid == 100 else 2000)
        lived.look()
    known = lived.looked.contents
    kept = [name for name in known if name.startswith("proc/") and name.endswith("/smaps")]
    assert f"proc/{_PIDS[-1]}/smaps" in kept and "proc/100/smaps" not in kept
    assert sum(len(known[name]) for name in kept) <= 2 << 20


def test_what_is_read_is_also_written_to_a_file(changing: Changing, tmp_path: Path) -> None:
    lived, session = changing.lived, changing.lived.session
    path = str(tmp_path / "day.memtui")
    for _ in range(3):
        changing.tick()
    assert session.record_to(path) == "" and session.recording == path
    for _ in range(5):
        changing.tick()
    session.stop_recording()
    assert session.recording == ""
    lived.hour.close()
    assert session.record_to(path) == "", "it goes on"
    changing.tick()
    session.stop_recording()
    lived.hour.close()
    with closing(Recording(path)) as recording:
        assert recording.ticks == 6 and len(recording.runs) == 2
        last = recording.last
        assert last is not None and last.boot_s == lived.clock.now_s
        contents = recording.view(last).contents
        assert contents.get("proc/meminfo") == changing.files.files["proc/meminfo"]
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("select count(*) from summary").fetchone()[0]


def test_a_file_that_is_not_ours_is_left_alone(changing: Changing, tmp_path: Path) -> None:
    path = tmp_path / "letter"
    path.write_text("Dear all\n" * 100)
    complaint = changing.lived.session.record_to(str(path))
    assert str(path) in complaint and changing.lived.session.recording == ""
    assert path.read_text().startswith("Dear all")
    changing.tick()
    assert changing.lived.session.recording_trouble == ""


def test_a_full_disk_costs_the_file_and_nothing_else(changing: Changing, tmp_path: Path) -> None:
    lived, session = changing.lived, changing.lived.session
    with mounted(tmp_path / "small", "size=1m") as directory:
        path = directory / "day.memtui"
        assert session.record_to(str(path)) == ""
        for _ in range(5):
            changing.tick()
        wait_for_ticks(path, 5)
        fill(directory / "filler")
        for _ in range(400):
            changing.tick()
        wait_until(lambda: "full" in session.recording_trouble)
        lived.wait_until_kept()
        session.step(-1)
        assert lived.next().is_news
        session.stop_recording()
        lived.hour.close()
        with closing(Recording(str(path))) as recording:
            assert recording.ticks >= 5
