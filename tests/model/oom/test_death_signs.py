"""What tells of deaths, read beside samples, and the obituaries that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from memtui.kernel.cgroups import read_kill_counts
from memtui.kernel.deaths import Death, OomKill
from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import parse_maps
from memtui.kernel.oom import OomTask
from memtui.live.deathsigns import DeathSigns
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.model.oom.deathwatch import DeathWatch
from memtui.model.oom.obituary import Known, Memories, Obituary
from memtui.model.sample import ProcessSample, Sample
from memtui.model.signs import Remembered, Signs
from tests.samples import process, sample

PAGE = 4096
MIB = 1 << 20
DENIED = Gap("dev/kmsg", "denied", "kernel.dmesg_restrict is 1")
LINE = (
    "3,{},{},-;Memory cgroup out of memory: Killed process {} ({}) total-vm:9000kB, "
    "anon-rss:4000kB, file-rss:400kB, shmem-rss:0kB, UID:0 pgtables:40kB oom_score_adj:0\n"
)


def known(each: ProcessSample, group: str = "/g", command: str | None = None) -> Remembered:
    key = each.key
    return Remembered(
        OomTask(
            *(each.pid, key.start_time_ticks, 1, each.name, "S", False),
            *(each.rss_bytes, 0, PAGE, 0, 0, group),
        ),
        command or f"/bin/{each.name} --all",
    )


def seen(
    time_s: float,
    *processes: ProcessSample,
    kills: int = 0,
    log: Gap | None = None,
    deaths: tuple[Death, ...] = (),
    groups: Mapping[str, int] | None = None,
) -> Sample:
    """A sample with signs; everybody in it is remembered."""
    made = sample(time_s, *processes)
    system = made.system._replace(vmstat={"oom_kill": kills})
    remembered = {each.key: known(each) for each in processes}
    signs = Signs(deaths, log, groups or {}, {}, remembered)
    return made._replace(system=system, signs=signs)


def killed(pid: int, name: str, time_us: int) -> OomKill:
    sizes = (9000 * 1024, 4 * MIB, MIB, 0, 40960)
    return OomKill(time_us, pid, name, True, *sizes, 0, 0, None, "/g", "/g", "asks")


BIG, SMALL, TINY = process(10, "big", 500), process(11, "small", 50), process(12, "tiny", 1)


def told(*samples: Sample) -> list[Obituary]:
    watch = DeathWatch(PAGE)
    return [obituary for each in samples for _, obituary in watch.see(each)]


def test_a_kill_in_the_log_is_told_once_with_the_command_from_before() -> None:
    kill = killed(10, "big", 2_500_000)
    (found,) = told(
        seen(1.0, BIG, SMALL),
        seen(2.0, BIG, SMALL),
        seen(3.0, SMALL, kills=1, deaths=(kill,)),
        seen(4.0, SMALL, kills=1),
    )
    assert (found.pid, found.command, found.source) == (10, "/bin/big --all", "kernel log")
    assert (found.time_s, found.group, found.death) == (2.5, "/g", kill)
    assert found.rss_bytes == BIG.rss_bytes  # at the last look, and not what was left of it


def test_the_line_may_come_a_tick_after_the_count_and_the_other_way_round() -> None:
    kill = killed(10, "big", 2_500_000)
    late = told(
        seen(2.0, BIG, SMALL),
        seen(3.0, SMALL, kills=1),
        seen(4.0, SMALL, kills=1, deaths=(kill,)),
        seen(11.0, SMALL, kills=1),
    )
    early = told(
        seen(2.0, BIG, SMALL),
        seen(3.0, SMALL, deaths=(kill,)),
        seen(4.0, SMALL, kills=1),
        seen(11.0, SMALL, kills=1),
    )
    assert [each.pid for each in late] == [each.pid for each in early] == [10]


def test_without_the_log_the_vanished_is_inferred_and_small_ones_count_too() -> None:
    (found,) = told(
        seen(1.0, BIG, SMALL, log=DENIED),
        seen(2.0, BIG, log=DENIED, kills=1),
        seen(3.0, BIG, log=DENIED, kills=1),
    )
    assert (found.pid, found.source, found.command) == (11, "inferred", "/bin/small --all")
    before = seen(1.0, BIG, TINY, log=DENIED)
    assert before.signs is not None
    before = before._replace(signs=before.signs._replace(known={BIG.key: known(BIG)}))
    (found,) = told(before, seen(2.0, BIG, log=DENIED, kills=1))
    assert (found.pid, found.name, found.command) == (12, "tiny", None)


def test_a_group_whose_count_grew_tells_where() -> None:
    other = process(13, "other", 900)
    samples = [
        seen(1.0, BIG, other, log=DENIED, groups={"/g": 4}),
        seen(2.0, log=DENIED, kills=1, groups={"/g": 5}),
    ]
    assert samples[0].signs is not None
    remembered = {BIG.key: known(BIG), other.key: known(other, "/elsewhere")}
    samples[0] = samples[0]._replace(signs=samples[0].signs._replace(known=remembered))
    (found,) = told(*samples)
    assert (found.pid, found.cause) == (10, "oom in cgroup")


def test_nobody_is_told_of_quiet_ends_or_by_samples_without_signs() -> None:
    assert told(seen(1.0, BIG, SMALL), seen(2.0, BIG), sample(3.0, BIG), seen(4.0)) == []
    # The first sample may tell of one already.
    kill = killed(10, "big", 2_500_000)
    assert [each.pid for each in told(seen(3.0, SMALL, deaths=(kill,)))] == [10]
    # Another boot: what was counted before is not of this one.
    assert told(seen(9.0, BIG, kills=5), seen(1.0, SMALL, kills=9)) == []


def test_maps_are_remembered_of_the_last_looked_at_alone() -> None:
    def map_of(pid: int, count: int) -> AddressMap:
        lines = "".join(
            f"{(2 * at + 1) << 12:x}-{(2 * at + 2) << 12:x} r--p 0 0:0 0\n" for at in range(count)
        )
        return AddressMap(ProcessKey(pid, 1), parse_maps(lines.encode()))

    memories = Memories()
    for pid in range(1, 5):
        memories.note(Known(ProcessKey(pid, 1), "p", map=map_of(pid, 40_000)))
    with_map = [pid for pid in range(1, 5) if (of := memories.of(pid)) and of.map is not None]
    assert with_map == [3, 4]
    memories.note(Known(ProcessKey(4, 1), "p", "still p"))
    assert (last := memories.of(4)) and last.map is not None and last.command == "still p"


# Reading them.


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two processes in a group of v2, and a log that is a file."""
    files = {
        "dev/kmsg": "3,1,1000,-;before anybody looked\n",
        "proc/sys/kernel/dmesg_restrict": "1\n",
        "sys/fs/cgroup/cgroup.controllers": "memory\n",
        "sys/fs/cgroup/g/memory.max": f"{64 * MIB}\n",
        "sys/fs/cgroup/g/memory.current": f"{32 * MIB}\n",
        "sys/fs/cgroup/g/memory.events": "low 0\noom_kill 3\n",
        "sys/fs/cgroup/g/in/memory.events": "low 0\noom_kill 1\n",
    }
    for pid, name in ((10, "big"), (11, "small")):
        stat = f"{pid} ({name}) S 1 {'0 ' * 15}1 0 1 0 0\n"
        files |= {
            f"proc/{pid}/stat": stat,
            f"proc/{pid}/status": f"Name:\t{name}\nVmRSS:\t  500 kB\nVmPTE:\t 44 kB\nVmSwap:\t 8 kB\n",
            f"proc/{pid}/cmdline": f"/bin/{name}\0--all\0",
            f"proc/{pid}/cgroup": "0::/g\n",
            f"proc/{pid}/oom_score_adj": "0\n",
        }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_the_log_is_read_on_and_what_was_before_is_left_out(tree: Path) -> None:
    signs = DeathSigns(LiveFiles(str(tree)), PAGE)
    assert signs.read(sample(1.0, BIG, SMALL)).deaths == ()
    with (tree / "dev/kmsg").open("a") as log:
        log.write(LINE.format(2, 2_000_000, 10, "big"))
    now = signs.read(sample(2.0, SMALL))
    assert [(each.name, each.time_us) for each in now.deaths] == [("big", 2_000_000)]
    assert now.log is None and now.kills == {}
    assert signs.read(sample(3.0, SMALL)).deaths == ()


def test_who_may_die_is_remembered_and_read_again_when_it_has_another_name(tree: Path) -> None:
    signs = DeathSigns(LiveFiles(str(tree)), PAGE)
    first = signs.read(sample(1.0, BIG, SMALL))
    assert {key.pid: each.command for key, each in first.known.items()} == {
        10: "/bin/big --all",
        11: "/bin/small --all",
    }
    task = first.known[BIG.key].task
    assert (task.group, task.page_tables_bytes, task.swap_bytes) == ("/g", 44 * 1024, 8 * 1024)
    assert signs.read(sample(2.0, BIG, SMALL)).known is first.known
    (tree / "proc/10/stat").write_text(f"10 (large) S 1 {'0 ' * 15}1 0 1 0 0\n")
    (tree / "proc/10/cmdline").write_text("/bin/large\0")
    after = signs.read(sample(3.0, BIG._replace(name="large"), SMALL)).known
    assert after[BIG.key].command == "/bin/large"
    assert list(signs.read(sample(4.0, SMALL)).known) == [SMALL.key]
    # A pid that was reused since the sample is not the one that was asked for.
    (tree / "proc/11/stat").write_text(f"11 (else) S 1 {'0 ' * 15}1 0 1 7777 0\n")
    assert signs.read(sample(5.0, SMALL._replace(key=ProcessKey(11, 2)))).known == {}


def test_one_that_is_ending_keeps_the_group_that_it_dies_in(tree: Path) -> None:
    signs = DeathSigns(LiveFiles(str(tree)), PAGE)
    assert signs.read(sample(1.0, BIG)).known[BIG.key].task.group == "/g"
    (tree / "proc/10/status").write_text("Name:\tbig\n")
    (tree / "proc/10/cgroup").write_text("0::/\n")
    task = signs.read(sample(2.0, BIG)).known[BIG.key].task
    assert (task.rss_bytes, task.group) == (None, "/g")


def test_one_that_sleeps_in_the_kernel_is_asked_for_its_command_later(tree: Path) -> None:
    stat = tree / "proc/10/stat"
    text = stat.read_text()
    stat.write_text(text.replace(" S ", " D "))
    signs = DeathSigns(LiveFiles(str(tree)), PAGE)
    assert signs.read(sample(1.0, BIG)).known[BIG.key].command is None
    stat.write_text(text)
    assert signs.read(sample(2.0, BIG)).known[BIG.key].command == "/bin/big --all"


def test_without_the_log_the_groups_are_counted_when_the_machine_counted(tree: Path) -> None:
    (tree / "dev/kmsg").unlink()
    files = LiveFiles(str(tree))
    assert read_kill_counts(files) == {"/g": 3, "/g/in": 1}
    signs = DeathSigns(files, PAGE)
    first = signs.read(seen(1.0, BIG, kills=7))
    assert first.log is not None and first.log.reason == "absent"
    assert (first.kills, first.totals) == ({"/g": 3, "/g/in": 1}, {})
    (tree / "sys/fs/cgroup/g/memory.events").write_text("low 0\noom_kill 4\n")
    assert signs.read(seen(2.0, BIG, kills=7)).kills is first.kills
    grown = signs.read(seen(3.0, BIG, kills=8))
    assert grown.kills["/g"] == 4
    swap = 2 << 30  # that the machine of `sample` has
    assert grown.totals == {"/g": (64 * MIB + swap) // PAGE}


def test_a_defect_in_reading_is_said_and_costs_no_sample(tree: Path) -> None:
    signs = DeathSigns(LiveFiles(str(tree)), PAGE)
    broken = sample(1.0, BIG)._replace(processes={BIG.key: None})  # type: ignore[dict-item]
    found = signs.read(broken)
    assert found.log is not None and "AttributeError" in found.log.detail
    assert found.deaths == ()
