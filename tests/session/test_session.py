"""A session takes readings and gives moments: of now, of a group as a machine, or held."""

from __future__ import annotations

from memtui.kernel.meminfo import parse_meminfo
from memtui.model.map.addressmap import AddressMap, MapReading
from memtui.model.system.free import free_figures
from memtui.session.session import Session
from memtui.settings.values import DEFAULTS
from tests.conftest import open_host
from tests.interface import Script, map_of, process, sample
from tests.moments import confined, moment

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
