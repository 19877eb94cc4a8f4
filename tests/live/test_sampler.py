"""What a sample is of: read anew each tick, in turn where it is dear, bounded, and frozen."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from memtui.frozen import FrozenDict
from memtui.kernel.details import DETAIL_FILES, read_shares
from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.pressure import Pressure
from memtui.live.deathsigns import DeathSigns
from memtui.live.machine import page_bytes_of
from memtui.live.plan import Plan
from memtui.live.readers import FIELDS
from memtui.live.sampler import Sampler
from memtui.model.keys import ProcessKey
from memtui.model.sample import ProcessSample, Sample
from tests.conftest import HOSTS, open_host
from tests.recorded import FakeClock, Recorded

MEMINFO, VMSTAT, PRESSURE = "proc/meminfo", "proc/vmstat", "proc/pressure/memory"
PAGE = page_bytes_of(Recorded())


def machine(processes: int = 3, clock: FakeClock | None = None) -> Recorded:
    files = Recorded(clock=clock)
    files.files[MEMINFO] = b"MemTotal: 1000 kB\nMemFree: 0 kB\n"
    files.files[VMSTAT] = b"pgfault 0\n"
    files.files[PRESSURE] = pressure(0)
    files.files["proc/self/cgroup"] = b"0::/\n"
    for pid in range(1, processes + 1):
        files.start(pid, pages=pid)
    return files


def pressure(total: int) -> bytes:
    line = "avg10=0.00 avg60=0.00 avg300=0.00 total="
    return f"some {line}{total}\nfull {line}{total}\n".encode()


def sampler_of(files: Recorded, ticks: int = 1) -> Sampler:
    """One that has taken some samples already."""
    sampler = Sampler(files, files.clock)
    for _ in range(ticks):
        sampler.sample()
    return sampler


def by_pid(sample: Sample) -> dict[int, ProcessSample]:
    found = {process.pid: process for process in sample.processes.values()}
    assert len(found) == len(sample.processes)
    return found


# Each tick says what is.


def test_the_machines_files_are_read_anew_at_each_tick() -> None:
    files = machine()
    sampler = Sampler(files, files.clock)
    for number in range(40):
        files.files[MEMINFO] = f"MemTotal: 1000 kB\nMemFree: {number} kB\n".encode()
        files.files[VMSTAT] = f"pgfault {number}\n".encode()
        files.files[PRESSURE] = pressure(number)
        files.files["proc/swaps"] = (
            f"Filename Type Size Used Priority\n/swap file 100 {number} -2\n".encode()
        )
        files.clock.now_s += 1
        found = sampler.sample(plan=Plan(fields=frozenset({"swaps"})))
        system = found.system
        assert not isinstance(system.meminfo, Gap) and not isinstance(system.vmstat, Gap)
        assert isinstance(system.pressure, Pressure) and system.pressure.some is not None
        assert system.swaps is not None and not isinstance(system.swaps, Gap)
        assert system.meminfo["MemFree"] == number * 1024
        assert system.vmstat["pgfault"] == number
        assert system.pressure.some.total_us == number
        assert system.swaps[0].used_bytes == number * 1024
        assert found.time_s == files.clock.now_s


def test_every_processs_size_is_read_anew_at_each_tick() -> None:
    files = machine(5)
    sampler = Sampler(files, files.clock)
    for number in range(1, 40):
        for pid in range(1, 6):
            files.resize(pid, 100 * pid + number)
        found = by_pid(sampler.sample())
        assert {pid: (each.rss_bytes or 0) // PAGE for pid, each in found.items()} == {
            pid: 100 * pid + number for pid in range(1, 6)
        }


def test_what_is_as_it_was_is_not_made_again() -> None:
    files = machine()
    sampler = sampler_of(files, 40)
    one, other = sampler.sample(), sampler.sample()
    assert one.system.meminfo is other.system.meminfo
    assert one.system.vmstat is other.system.vmstat
    for key, process in one.processes.items():
        assert other.processes[key] is process


def test_a_file_that_appears_later_is_read() -> None:
    files = machine()
    for name in (PRESSURE, "proc/self/cgroup"):
        del files.files[name]
    files.files[VMSTAT] = Gap(VMSTAT, "denied")
    sampler = Sampler(files, files.clock)
    for _ in range(3):
        system = sampler.sample().system
        assert isinstance(system.pressure, Gap) and system.pressure.reason == "absent"
        assert isinstance(system.confinement, Gap) and isinstance(system.vmstat, Gap)
    files.files[PRESSURE] = pressure(7)
    files.files[VMSTAT] = b"pgfault 7\n"
    files.files["proc/self/cgroup"] = b"0::/\n"
    system = sampler.sample().system
    assert isinstance(system.pressure, Pressure) and not isinstance(system.vmstat, Gap)
    assert system.confinement is None or "proc/self/cgroup" not in str(system.confinement)
    files.files[PRESSURE] = pressure(8)
    later = sampler.sample().system.pressure
    assert isinstance(later, Pressure) and later.some is not None and later.some.total_us == 8


def test_a_file_that_is_gone_is_looked_for_again() -> None:
    files = machine()
    sampler = sampler_of(files)
    for kept in files.kept:
        kept.is_gone = kept.name == MEMINFO
    assert isinstance(sampler.sample().system.meminfo, Gap)
    assert not isinstance(sampler.sample().system.meminfo, Gap)


# Details, in turn.


def named(files: Recorded, pid: int, comm: str) -> None:
    """It has called itself something else, as after an exec; its size is the same."""
    data = files.files[f"proc/{pid}/stat"]
    assert isinstance(data, bytes)
    files.files[f"proc/{pid}/stat"] = data.replace(b"(x)", f"({comm})".encode())


@pytest.mark.parametrize(("plan", "rotation"), [(Plan(), 30), (Plan(every_detail=True), 5)])
def test_each_process_has_its_turn(plan: Plan, rotation: int) -> None:
    files = machine(90)
    sampler = sampler_of(files, 2)
    for pid in range(1, 91):
        named(files, pid, "new")
    news = []
    for tick in range(1, rotation + 1):
        files.reads.clear()
        found = by_pid(sampler.sample(plan=plan))
        news.append({pid for pid, each in found.items() if each.name == "new"})
        read = {name for name in files.reads if name.endswith("/stat")}
        assert len(read) == 90 // rotation, tick
        assert set(files.reads.values()) == {1}
    assert len(news[-1]) == 90
    assert [len(each) for each in news] == [90 // rotation * at for at in range(1, rotation + 1)]


def test_what_is_looked_at_has_no_turn_to_wait_for() -> None:
    files = machine(90)
    sampler = sampler_of(files, 2)
    keys = {pid: ProcessKey(pid, 1) for pid in (11, 12, 13)}
    plan = Plan(visible=frozenset({keys[11], keys[12]}), map_of=keys[13])
    for tick in range(35):
        for pid in keys:
            files.files[f"proc/{pid}/oom_score"] = f"{tick + 100}\n".encode()
        found = by_pid(sampler.sample(plan=plan))
        assert [found[pid].oom_score for pid in keys] == [tick + 100] * 3


def test_one_that_changed_is_looked_at_but_not_all_at_once() -> None:
    files = machine(600)
    sampler = sampler_of(files, 40)
    for pid in range(1, 601):
        named(files, pid, "new")
        files.resize(pid, 1000 + pid)
    files.reads.clear()
    found = by_pid(sampler.sample())
    assert all(each.rss_bytes == (1000 + pid) * PAGE for pid, each in found.items())
    read = sum(name.endswith("/stat") for name in files.reads)
    assert 200 <= read <= 200 + 600 // 30
    assert sum(each.name == "new" for each in found.values()) == read


def test_details_are_read_while_they_are_shown() -> None:
    files = machine(3)
    files.files["proc/2/cmdline"] = b"prog\0-x\0"
    sampler = sampler_of(files, 2)
    key = ProcessKey(2, 1)
    assert not sampler.sample(plan=Plan(frozenset({key}))).details
    shown = sampler.sample(plan=Plan(frozenset({key}), details=frozenset({"cmdline"})))
    assert shown.details[key].command == "prog -x"
    assert shown.details[key].time_s == shown.time_s


def test_all_unseen_details_are_read_in_turns_where_every_one_counts() -> None:
    files = machine(900)
    sampler = sampler_of(files, 2)
    plan = Plan(every_detail=True, details=frozenset())
    counts = [len(sampler.sample(plan=plan).details) for _ in range(3)]
    assert counts[0] < 700 and counts[2] == 900


# The first ones.


def test_the_first_is_of_the_largest_and_of_the_one_asked_for() -> None:
    files = machine(100)
    sampler = Sampler(files, files.clock)
    found = by_pid(sampler.first(1.0, 3))
    assert set(found) == {3, *range(37, 101)}
    assert all(each.oom_score == 7 for each in found.values())
    files.reads.clear()
    whole = by_pid(sampler.sample())
    assert set(whole) == set(range(1, 101))
    assert all(whole[pid].rss_bytes == pid * PAGE for pid in whole)


def test_of_a_whole_first_one_the_largest_have_details() -> None:
    files = machine(100)
    found = by_pid(Sampler(files, files.clock).sample())
    assert set(found) == set(range(1, 101))
    assert {pid for pid, each in found.items() if each.oom_score == 7} == set(range(37, 101))


# Processes come and go.


def test_a_pid_that_comes_back_is_another_process() -> None:
    files = machine(5)
    sampler = sampler_of(files, 2)
    files.end(4)
    files.start(4, start_ticks=99, comm="other", pages=4)  # of the same size
    found = sampler.sample()
    assert ProcessKey(4, 1) not in found.processes
    assert found.processes[ProcessKey(4, 99)].name == "other"
    assert len(found.processes) == 5
    assert Counter(kept.name for kept in files.kept)["proc/4/statm"] == 1


def test_without_a_kept_file_it_shows_in_its_turn() -> None:
    files = machine(5)
    files.keeps_at_most = 0
    sampler = sampler_of(files, 2)
    files.end(4)
    files.start(4, start_ticks=99, pages=4)
    samples = [sampler.sample() for _ in range(30)]
    assert ProcessKey(4, 99) in samples[-1].processes
    assert all(len(found.processes) == 5 for found in samples)


def test_one_that_ended_is_there_no_more_and_gives_its_file_back() -> None:
    files = machine(5)
    sampler = sampler_of(files, 2)
    files.end(2)
    assert set(by_pid(sampler.sample())) == {1, 3, 4, 5}
    assert not any(kept.name == "proc/2/statm" for kept in files.kept)


def test_one_that_ends_between_the_list_and_its_reading() -> None:
    files = machine(5)
    sampler = sampler_of(files, 2)
    files.on_read = lambda name: files.end(4) if name == "proc/1/statm" else None
    assert set(by_pid(sampler.sample())) == {1, 2, 3, 5}
    assert not any(kept.name == "proc/4/statm" for kept in files.kept)


def test_files_are_kept_and_given_back() -> None:
    files = machine(20)
    sampler = sampler_of(files)
    names = {kept.name for kept in files.kept}
    assert names == {
        *(f"proc/{pid}/statm" for pid in range(1, 21)),
        *(MEMINFO, VMSTAT, PRESSURE, "proc/self/cgroup"),
    }
    for round_ in range(5):
        for pid in range(1, 21):
            files.end(pid)
            files.start(pid, start_ticks=round_ + 2)
        assert len(sampler.sample().processes) == 20
        assert len(files.kept) == len(names)
    sampler.close()
    assert not files.kept


def test_where_no_more_can_be_kept_the_rest_is_read_by_name() -> None:
    files = machine(20)
    files.keeps_at_most = 6
    sampler = sampler_of(files)
    for number in range(5):
        for pid in range(1, 21):
            files.resize(pid, 100 + number)
        files.files[VMSTAT] = f"pgfault {number}\n".encode()
        found = sampler.sample()
        assert {each.rss_bytes for each in found.processes.values()} == {(100 + number) * PAGE}
        assert found.system.vmstat == {"pgfault": number}
        assert len(files.kept) == 6


# Defects.


def test_a_defect_in_one_process_costs_no_tick() -> None:
    files = machine(5)
    sampler = sampler_of(files, 2)

    def break_one(name: str) -> None:
        if name == "proc/3/statm":
            raise ZeroDivisionError("nobody thought of it")

    files.on_read = break_one
    for pid in range(1, 6):
        files.resize(pid, 50)
    found = sampler.sample()
    sizes = {pid: (each.rss_bytes or 0) // PAGE for pid, each in by_pid(found).items()}
    assert sizes == {1: 50, 2: 50, 3: 3, 4: 50, 5: 50}
    (gap,) = found.gaps
    assert gap.source == "proc/3" and "ZeroDivisionError" in gap.detail
    files.on_read = lambda name: None
    found = sampler.sample()
    assert by_pid(found)[3].rss_bytes == 50 * PAGE and not found.gaps


def test_a_defect_in_ones_details_costs_no_tick() -> None:
    files = machine(5)
    sampler = sampler_of(files, 2)

    def break_one(name: str) -> None:
        if name == "proc/3/status":
            raise ZeroDivisionError("nobody thought of it")

    files.on_read = break_one
    found = sampler.sample(plan=Plan(frozenset(ProcessKey(pid, 1) for pid in range(1, 6))))
    assert len(found.processes) == 5
    assert [gap.source for gap in found.gaps] == ["proc/3"]


@pytest.mark.parametrize("name", [MEMINFO, VMSTAT, PRESSURE])
def test_a_defect_in_one_of_the_machines_files_costs_that_alone(name: str) -> None:
    files = machine(5)
    sampler = sampler_of(files, 2)

    def break_one(read: str) -> None:
        if read == name:
            raise ZeroDivisionError("nobody thought of it")

    files.on_read = break_one
    found = sampler.sample()
    gaps = [each for each in found.system[:3] if isinstance(each, Gap)]
    assert len(gaps) == 1 and gaps[0].source == name and "ZeroDivisionError" in gaps[0].detail
    assert len(found.processes) == 5


# What is handed on.


def whole(files: Files) -> Sample:
    """Everything that a sample can hold."""
    sampler = Sampler(files)
    sampler.sample()
    found = sampler.sample(plan=Plan(every_detail=True, fields=FIELDS, details=DETAIL_FILES))
    signs = DeathSigns(files, page_bytes_of(files)).read(found, frozenset(found.processes))
    sampler.close()
    shares = FrozenDict({key: read_shares(files, key.pid, 0.0) for key in found.processes})
    return found._replace(signs=signs, shares=shares)


def changeable(value: object, path: str = "sample") -> Iterator[str]:
    """Where in a value something could be changed."""
    if isinstance(value, (tuple, frozenset)):
        names = getattr(value, "_fields", range(len(value)))
        for name, each in zip(names, value, strict=True):
            yield from changeable(each, f"{path}.{name}")
    elif isinstance(value, FrozenDict):
        for key, each in value.items():
            yield from changeable(each, f"{path}[{key}]")
    elif not isinstance(value, (int, float, str, bytes, type(None))):
        yield f"{path}: {type(value).__name__}"


@pytest.mark.parametrize("host", [None, *HOSTS])
def test_a_sample_is_frozen_and_can_be_sent(host: str | None) -> None:
    found = whole(LiveFiles() if host is None else open_host(host))
    assert list(changeable(found)) == []
    assert pickle.loads(pickle.dumps(found)) == found


def test_what_is_frozen_stays_as_it_is() -> None:
    frozen = FrozenDict({"a": 1})
    changes: list[Callable[[], object]] = [
        lambda: frozen.__setitem__("a", 2),
        lambda: frozen.__delitem__("a"),
        lambda: frozen.update(b=2),
        lambda: frozen.pop("a"),
        lambda: frozen.setdefault("b", 2),
        frozen.popitem,
        frozen.clear,
        lambda: frozen.__ior__({"b": 2}),
    ]
    for change in changes:
        with pytest.raises(TypeError):
            change()
    assert frozen == {"a": 1}
    again = pickle.loads(pickle.dumps(frozen))
    assert again == frozen and type(again) is FrozenDict
