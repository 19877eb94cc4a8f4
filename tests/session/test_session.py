"""A session takes readings and gives moments: of now, of a group as a machine, or held."""

from __future__ import annotations

from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.pressure import Pressure, Stall
from memtui.model.map.addressmap import AddressMap, MapReading
from memtui.model.system.free import free_figures
from memtui.session.session import Session
from memtui.settings.values import DEFAULTS
from memtui.tui.widgets.processcells import gain_title
from tests.conftest import open_host
from tests.interface import Script
from tests.moments import confined, moment
from tests.samples import MIB, map_of, process, sample

BIG = process(10, "big", 500)


def session() -> Session:
    return Session(Script({}), DEFAULTS)


def test_there_is_no_moment_before_a_sample() -> None:
    made = session()
    assert made.moment is None
    made.preview(sample(1.0, BIG))
    assert made.moment is not None and made.moment.sample.time_s == 1.0
    assert made.moment.before is None and not len(made.moment.history)


def test_a_moment_is_of_the_last_sample_and_the_one_before() -> None:
    made = session()
    for at in (1.0, 2.0, 3.0):
        taken = made.take(sample(at, BIG))
        assert taken.is_news
    now = made.moment
    assert now is not None and now.before is not None
    assert (now.sample.time_s, now.before.time_s) == (3.0, 2.0)
    assert now is made.moment, "made once"
    assert now.free == free_figures(now.sample.system.meminfo)
    assert len(now.history) == 3


def test_frees_figures_are_made_once_a_moment() -> None:
    made = session()
    meminfo = open_host("debian-6.18").parsed("proc/meminfo", parse_meminfo)
    first = moment(1.0)
    made.take(first._replace(system=first.system._replace(meminfo=meminfo)))
    now = made.moment
    assert now is not None
    assert free_figures(now.sample.system.meminfo) is now.free


def test_what_is_held_stays_and_nothing_is_lost() -> None:
    made = session()
    made.choose(BIG)
    made.take(sample(1.0, BIG))
    before = made.moment
    made.at(made.now_s)
    held = made.moment
    assert held is not None and before is not None and held.is_frozen
    assert held.sample is before.sample
    for at in (2.0, 3.0):
        assert not made.take(sample(at)).is_news
    assert made.moment is held
    assert held.history.latest("mem_available_bytes") is not None
    assert held.history.end_s == 1.0
    assert made.chosen.gone_s is None
    made.at(None)
    now = made.moment
    assert now is not None and not now.is_frozen
    assert now.sample.time_s == now.history.end_s == 3.0
    assert len(now.history) == 3
    assert made.chosen.gone_s == 3.0


def test_a_map_is_taken_of_the_chosen_one_alone_and_of_a_new_one_while_held() -> None:
    made = session()
    made.take(sample(1.0, BIG))
    assert not made.take(read(BIG.key.pid)).map_read
    made.choose(BIG)
    assert made.take(read(BIG.key.pid)).map_read
    shown = made.chosen.map
    made.at(made.now_s)
    assert not made.take(read(BIG.key.pid)).map_read
    assert made.chosen.map is shown
    other = process(11, "other", 5)
    assert made.choose(other) and not made.choose(other)
    assert made.take(read(11)).map_read
    assert isinstance(made.chosen.map, AddressMap)


def read(pid: int) -> MapReading:
    key = process(pid, "any", 1).key
    return MapReading(key, map_of(key, "any"), None, 1e9, 0.0)


def test_the_scope_is_left_with_its_limit() -> None:
    made = session()
    assert not made.switch_scope()
    made.take(moment(1.0, confinement=confined()))
    assert made.switch_scope()
    inside = made.moment
    assert inside is not None and inside.scope == "group"
    assert inside.free.total != free_figures(moment(1.0).system.meminfo).total
    made.take(moment(2.0, confinement=confined()))
    assert made.moment is not None and len(made.moment.history) == 2
    taken = made.take(moment(3.0))
    assert taken.scope_lost and taken.is_news
    assert made.moment is not None and made.moment.scope == "host"


def test_sar_is_followed_from_the_first_time_on_that_it_is_asked_for() -> None:
    made = session()
    made.take(moment(1.0))
    now = made.moment
    assert now is not None
    track = now.seen.follow_sar()
    assert [at for at, _ in track.figures] == [1.0] and not track.averages
    for at in (2.0, 3.0):
        made.take(moment(at))
    made.at(made.now_s)
    held = made.moment
    assert held is not None
    made.take(moment(4.0))
    assert [at for at, _ in held.seen.follow_sar().figures] == [1.0, 2.0, 3.0]
    assert [at for at, _ in track.figures] == [1.0, 2.0, 3.0, 4.0]


def test_it_begins_in_the_group_that_is_short_and_then_the_scope_is_the_users() -> None:
    """The host has 61 % left; the group is at its limit, and nothing of it gives way."""
    full = confined(1530 * MIB, active_file=0, inactive_file=0)
    made = session()
    made.take(moment(1.0, confinement=full))
    scopes = [made.scope]
    assert made.switch_scope()
    made.take(moment(2.0, confinement=full))
    scopes.append(made.scope)
    assert scopes == ["group", "host"]
    calm = session()
    calm.take(moment(1.0, confinement=confined(300 * MIB)))
    assert calm.scope == "host"
    calm.take(moment(2.0, confinement=full))
    assert calm.scope == "host", "only at the start"


def test_a_group_at_memory_high_is_bound_and_its_waiting_counts() -> None:
    """Half of it is cache, but it is at its limit, and its tasks wait."""
    waiting = Pressure(Stall(40.0, 3.0, 2.0, 0), Stall(30.0, 0.5, 0.2, 0))
    high = confined(1000 * MIB, None, pressure=waiting, active_file=300 * MIB)
    level = high.levels[0]._replace(high_bytes=1000 * MIB)
    group = high.group._replace(high_bytes=1000 * MIB)
    made = session()
    made.take(moment(1.0, confinement=high._replace(levels=(level,), group=group)))
    assert made.scope == "group"


def test_in_a_group_only_its_processes_are_listed() -> None:
    other = process(11, "other", 600)
    full = confined(1530 * MIB, active_file=0, inactive_file=0)._replace(members=frozenset({10}))
    base = moment(1.0, confinement=full)
    both = base._replace(processes={BIG.key: BIG, other.key: other})
    made = session()
    made.take(both)
    now = made.moment
    assert now is not None and now.scope == "group"
    assert list(now.sample.processes) == [BIG.key]
    assert "members" in made.fields
    made.switch_scope()
    now = made.moment
    assert now is not None and len(now.sample.processes) == 2
    assert "members" not in made.fields


def test_another_group_that_binds_begins_an_hour_of_its_own() -> None:
    made = session()
    made.take(moment(1.0, confinement=confined()))
    made.take(moment(2.0, confinement=confined()))
    assert len(made.seen["group"].history) == 2
    made.take(moment(3.0, confinement=confined(path="/kubepods/pod7")))
    assert len(made.seen["group"].history) == 1


def test_what_is_gained_says_how_long_it_has_counted() -> None:
    made = session()
    for at in (1.0, 24.0):
        made.take(sample(at, BIG))
    assert made.growth.counted_s == 23
    assert gain_title(made.growth.counted_s) == "Δ/23s"
    made.at(made.now_s)
    held = made.moment
    made.take(sample(100.0, BIG))
    assert gain_title(made.growth.counted_s) == "Δ/MIN"
    assert held is not None and gain_title(held.growth.counted_s) == "Δ/23s"
