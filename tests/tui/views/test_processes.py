"""The view of processes, by the keys and clicks of a user."""

from __future__ import annotations

import pytest

from memtui.kernel.details import Details, Shares
from memtui.kernel.files import Gap
from memtui.model.keys import ProcessKey
from memtui.model.sample import ProcessSample, Sample
from memtui.tui.app import MemtuiApp
from memtui.tui.sheets.choice import ChoiceSheet
from memtui.tui.views.processes import ProcessesView
from tests.interface import (
    app_of,
    choose,
    deliver,
    is_whole,
    press,
    running,
    screen,
    screen_text,
    script_of,
)
from tests.samples import MIB, map_of, process, sample

ROOT = process(1, "init", 10, uid=0, parent_pid=0)
SERVER = process(10, "postgres", 200, uid=0, swap_bytes=8 * MIB, start=5)
WORKERS = [
    process(pid, "postgres", 150, uid=0, parent_pid=10, start=pid, swap_bytes=0) for pid in (11, 12)
]
SHELL = process(30, "bash", 5, uid=65534, start=30)
KTHREAD = process(2, "kswapd0", 0, is_kernel_thread=True, uid=0, parent_pid=0, start=2)
ZOMBIE = process(50, "undead", 0, state="Z", parent_pid=30, uid=0, start=50)
EVERYONE = (ROOT, SERVER, *WORKERS, SHELL, KTHREAD, ZOMBIE)
MAPS = {each.key: map_of(each.key, each.name) for each in (SERVER, *WORKERS, SHELL)}


def details(time_s: float, minor: int = 1000, **more: int | str) -> Details:
    made = Details(time_s, 3 * MIB, 2 * MIB, MIB, 64 * 1024, 400 * MIB, minor, 7)
    return made._replace(**more)  # type: ignore[arg-type]


def full(time_s: float, *processes: ProcessSample, minor: int = 1000) -> Sample:
    """A sample with what a source reads for this view."""
    shares: dict[ProcessKey, Shares | Gap] = {
        each.key: Shares(time_s, 60 * MIB, 20 * MIB) for each in (SERVER, *WORKERS)
    }
    shares[ROOT.key] = Gap("proc/1/smaps_rollup", "denied")
    everything = {
        each.key: details(
            time_s,
            minor,
            command=f"/usr/bin/{each.name} --serve",
            cgroup="/system.slice/postgresql.service" if each.name == "postgres" else "/user.slice",
            oom_score_adj=-500,
        )
        for each in processes
        if not each.is_kernel_thread
    }
    return sample(time_s, *processes)._replace(details=everything, shares=shares)


def dashboard() -> MemtuiApp:
    return app_of([full(1000.0, *EVERYONE)], MAPS)


def view(app: MemtuiApp) -> ProcessesView:
    return app.query_one(ProcessesView)


def listed(app: MemtuiApp) -> list[int]:
    return [row.pid for row in view(app).processes._rows]


def row_of(app: MemtuiApp, pid: int) -> str:
    region = view(app).processes.region
    lines = screen_text(app)[region.y : region.bottom]
    return next(line for line in lines if line[1:].split()[:1] == [str(pid)])


def panel(app: MemtuiApp) -> str:
    region = view(app).query_one("#process-panel").region
    return "\n".join(screen_text(app)[region.y : region.bottom])


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_every_process_with_what_it_pays_for(size: tuple[int, int]) -> None:
    app = dashboard()
    async with running(app, size) as pilot:
        await press(pilot, "2")
        assert listed(app)[:3] == [10, 11, 12]
        assert set(listed(app)) == {each.pid for each in EVERYONE}
        assert "60.0M" in row_of(app, 10) and "20.0M" in row_of(app, 10)
        assert "denied" in row_of(app, 1)
        assert "…" in row_of(app, 30)
        assert "60.0M" not in row_of(app, 2)
        assert "zombie" in row_of(app, 50)
        assert app.session.chosen.key == SERVER.key
        assert "10 postgres · sleeping · of root" in panel(app)
        assert "/usr/bin/postgres --serve" in panel(app)
        assert "anon 3.0M + file 2.0M + shmem 1.0M" in panel(app)
        assert "5 mappings" in panel(app)
        is_whole(app)
        footer = screen_text(app)[-1]
        assert "2 Processes" in footer and "q quit" in footer


async def test_it_asks_for_what_it_shows_and_the_overview_for_no_more() -> None:
    app = dashboard()
    async with running(app) as pilot:
        plan = script_of(app).plan
        assert plan.details is None
        assert not plan.shares
        await press(pilot, "2")
        plan = script_of(app).plan
        assert plan.details is not None
        assert plan.shares == {each.key for each in EVERYONE if each.rss_bytes}
        assert plan.visible == {each.key for each in EVERYONE}
        assert not plan.every_detail
        await press(pilot, "1")
        assert script_of(app).plan.details is None
        assert not script_of(app).plan.shares


async def test_pss_that_was_read_long_ago_is_marked() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "2")
        assert "~" not in row_of(app, 10)
        old = full(1000.0, *EVERYONE).shares
        await deliver(pilot, full(1030.0, *EVERYONE)._replace(shares=old))
        assert "~60.0M" in row_of(app, 10)
        assert "USS 20.0M 30 s ago" in panel(app)


async def test_faults_a_second_come_from_two_readings() -> None:
    app = dashboard()
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "2")
        assert row_of(app, 10).count("n/a") == 2
        await deliver(pilot, full(1002.0, *EVERYONE, minor=1500))
        assert " 250 " in row_of(app, 10)


async def test_a_filter_of_terms_and_of_words() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "2", "slash", *"rss>100M swap>0")
        assert listed(app) == [10]
        assert "filter rss>100M swap>0" in screen(app)
        await press(pilot, "enter", "slash", *["backspace"] * 15)
        await press(pilot, *"serve bash", "enter")
        assert listed(app) == [30]
        assert app.session.chosen.key == SHELL.key
        await press(pilot, "escape")
        assert len(listed(app)) == len(EVERYONE)
        await press(pilot, "slash", *"user:root -state:Z pss>1M", "enter")
        assert set(listed(app)) == {10, 11, 12}
        assert script_of(app).plan.every_detail
        assert script_of(app).plan.shares == {each.key for each in EVERYONE if each.rss_bytes}


async def test_what_is_no_filter_is_looked_for_as_it_stands() -> None:
    app = app_of([full(1000.0, *EVERYONE, process(77, "a: b", 1, start=77))], MAPS)
    async with running(app) as pilot:
        await press(pilot, "2", "slash", *"a: b")
        assert listed(app) == [77]
        assert "no column" in screen_text(app)[-1] or "may be" in screen_text(app)[-1]
        await press(pilot, "enter")
        assert listed(app) == [77]


async def test_sorting_by_any_column() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "2", "s")
        assert isinstance(app.screen, ChoiceSheet)
        await choose(pilot, "swap")
        assert listed(app)[0] == 10
        assert "by swap ▼" in screen(app)
        await press(pilot, "I")
        assert listed(app)[-2:] != [10, 11]
        assert "by swap ▲" in screen(app)
        await press(pilot, "s")
        await choose(pilot, "pid")
        assert listed(app) == sorted(listed(app))


async def test_choosing_columns() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "2", "C")
        await choose(pilot, "pss", "adj", "cgroup")  # adj was among them, and had no room
        await press(pilot, "C")
        await choose(pilot, "adj")
        assert "/system.slice/postgre" in row_of(app, 10)
        assert "-500" in row_of(app, 10)
        assert "60.0M" not in row_of(app, 10)
        plan = script_of(app).plan
        assert plan.details is not None and "oom_score_adj" in plan.details


async def test_as_a_tree() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "2", "t")
        at = listed(app).index(10)
        assert listed(app)[at : at + 3] == [10, 11, 12]
        assert "├─postgres" in row_of(app, 11)
        assert "└─postgres" in row_of(app, 12)
        assert "· tree" in screen(app)
        await press(pilot, "slash", "1", "2", "enter")
        assert listed(app) == [1, 10, 12]  # with those above it
        await press(pilot, "escape", "escape")
        assert "· tree" not in screen(app)


async def test_groups_say_where_a_sum_is_an_upper_bound() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "2", "g")
        text = screen(app)
        assert "groups by program" in text
        rows: dict[str, str] = {
            line[1:].split()[0]: line for line in screen_text(app)[3:12] if line[1:].split()
        }
        assert "180M" in rows["postgres"] and "≤" not in rows["postgres"]
        assert "500M" in rows["postgres"]  # RSS added up
        assert "≤10.0M" in rows["init"]
        assert "≤5.0M" in rows["bash"]
        assert script_of(app).plan.every_detail
        assert script_of(app).plan.shares == {each.key for each in EVERYONE if each.rss_bytes}
        current = view(app).groups.current
        assert current is not None
        assert current.name == "postgres"
        await press(pilot, "enter")
        assert listed(app) == [10, 11, 12]
        assert "program postgres" in screen(app)
        await press(pilot, "escape")
        assert "groups by program" in screen(app)
        for grouping, group in (
            ("user", "nobody"),
            ("unit", "postgresql.service"),
            ("cgroup", "/"),
        ):
            await press(pilot, "g")
            assert f"groups by {grouping}" in screen(app)
            assert group in screen(app)
        await press(pilot, "g")
        assert "groups by" not in screen(app)
        is_whole(app)


async def test_groups_sorted_and_filtered() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "2", "g", "s")
        await choose(pilot, "name")
        names = [group.name for group in view(app).groups.rows]
        assert names == sorted(names)
        await press(pilot, "slash", *"rss>1M", "enter")
        assert {group.name for group in view(app).groups.rows} == {"init", "postgres", "bash"}


async def test_the_cursor_follows_its_process_through_views() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "2", "down")
        assert app.session.chosen.key == WORKERS[0].key
        grown = SHELL._replace(rss_bytes=900 * MIB)
        rest = [each for each in EVERYONE if each is not SHELL]
        await deliver(pilot, full(1001.0, grown, *rest))
        assert listed(app)[0] == 30
        current = view(app).processes.current
        assert current is not None and current.key == WORKERS[0].key
        await press(pilot, "1")
        assert "11 postgres" in screen(app)
        await press(pilot, "up")
        assert app.session.chosen.key != WORKERS[0].key
        chosen = app.session.chosen.key
        await press(pilot, "2")
        current = view(app).processes.current
        assert current is not None and current.key == chosen
        await press(pilot, "enter")
        assert app.view_name == "map"


async def test_a_process_that_dies_and_a_pid_that_comes_back() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "2")
        rest = [each for each in EVERYONE if each is not SERVER]
        again = process(10, "other", 1, start=99)
        await deliver(pilot, full(1001.0, *rest, again))
        assert "postgres gone" in screen(app)
        assert listed(app).count(10) == 2
        await press(pilot, "K")
        assert "10 has ended" in screen(app)


async def test_names_that_lie() -> None:
    liar = process(66, "\x1b[31mevil\u202e", 500, start=66)
    lying = full(1000.0, *EVERYONE, liar)
    lies = dict(lying.details)
    lies[liar.key] = details(1000.0, command="[/red]\x1b]0;x\x07 \n two", cgroup="/a:b\\x2d c\n")
    app = app_of([lying._replace(details=lies)], MAPS)
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "2")
        is_whole(app)
        assert "\\e[31mevil" in screen(app)
        await press(pilot, "g", "g", "g")
        is_whole(app)
        await press(pilot, "escape", "home", "K")
        is_whole(app)


async def test_reading_all_pss_on_request_shows_how_far_it_is() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "2", "P")
        plan = script_of(app).plan
        assert plan.hurry
        assert plan.shares == {each.key for each in EVERYONE if each.rss_bytes}
        assert "reading PSS 4 of 5" in screen(app)
        whole = full(1001.0, *EVERYONE)
        shares = {**whole.shares, SHELL.key: Shares(1001.0, MIB, MIB)}
        await deliver(pilot, whole._replace(shares=shares))
        assert "reading PSS" not in screen(app)
        assert not script_of(app).plan.hurry


async def test_what_a_column_means_is_explained() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "2", "i")
        text = screen(app)
        for topic in ("RSS", "PSS", "USS", "swap", "oom_score", "major faults"):
            assert topic in text
        await press(pilot, "enter")
        assert "esident set size" in screen(app) or "of a process" in screen(app)
