"""The process list and the map beside it, by the keys and clicks of a user."""

from __future__ import annotations

import pytest

from memtui.kernel.files import Gap
from memtui.model.keys import ProcessKey
from memtui.targets import Target
from memtui.tui.app import MemtuiApp
from memtui.tui.widgets.processes import ProcessList
from tests.interface import app_of, deliver, press, running, screen, screen_text, script_of
from tests.samples import map_of, process, sample

BIG = process(10, "big", 500, swap_bytes=1 << 20, oom_score=5)
MIDDLE = process(20, "middle", 300, swap_bytes=3 << 20, oom_score=9)
SMALL = process(30, "aardvark", 100, swap_bytes=2 << 20, oom_score=7)
SECRET = process(40, "secret", 900, uid=0)
KTHREAD = process(2, "kswapd0", 0, is_kernel_thread=True)
ZOMBIE = process(50, "undead", 0, state="Z", parent_pid=30)
EVERYONE = (BIG, MIDDLE, SMALL, SECRET, KTHREAD, ZOMBIE)
MAPS = {each.key: map_of(each.key, each.name, heap_pages=each.pid) for each in (BIG, MIDDLE, SMALL)}


def dashboard(target: Target | None = None) -> MemtuiApp:
    return app_of([sample(1000.0, *EVERYONE)], MAPS, target)


def processes(app: MemtuiApp) -> ProcessList:
    return app.query_one(ProcessList)


def listed(app: MemtuiApp) -> list[int]:
    """The pids in the list, in its order."""
    return [row.pid for row in processes(app)._rows]


def chosen(app: MemtuiApp) -> int:
    """The pid that list, map and source agree on."""
    current = processes(app).current
    assert current is not None
    assert app.session.chosen.key == current.key == processes(app).selected
    assert script_of(app).plan.map_of == current.key
    return current.pid


def beside(app: MemtuiApp) -> str:
    """What stands right of the process list."""
    left = app.query_one("#beside").region
    lines = screen_text(app)[left.y : left.bottom]
    return "\n".join(line[left.x :] for line in lines)


async def test_it_opens_on_the_largest_whose_map_may_be_read() -> None:
    app = dashboard()
    async with running(app):
        assert chosen(app) == BIG.pid
        assert listed(app)[:2] == [SECRET.pid, BIG.pid]
        assert "10 big" in beside(app)
        assert "/bin/big" in beside(app)


async def test_it_opens_on_the_largest_where_no_map_may_be_read() -> None:
    app = app_of([sample(1000.0, *EVERYONE)], {})
    async with running(app):
        assert chosen(app) == SECRET.pid
        assert "may not be read" in beside(app)


async def test_it_opens_with_nobody_there() -> None:
    app = app_of([sample(1000.0)], {})
    async with running(app) as pilot:
        assert "no processes can be seen" in screen(app)
        await press(pilot, "down", "up", "enter", "escape", "s", "I", "home", "end")
        await deliver(pilot, sample(1001.0, BIG))
        assert listed(app) == [BIG.pid]


async def test_it_opens_on_the_process_asked_for() -> None:
    app = dashboard(Target(MIDDLE.pid, ""))
    async with running(app):
        assert app.view_name == "map"
        assert "20 middle" in screen_text(app)[1]


async def test_it_opens_on_the_name_asked_for() -> None:
    app = dashboard(Target(None, "DD"))
    async with running(app):
        assert listed(app) == [MIDDLE.pid]
        assert chosen(app) == MIDDLE.pid


async def test_arrows_walk_the_list_and_the_map_follows() -> None:
    app = dashboard()
    async with running(app) as pilot:
        for key, pid, name in (
            ("down", 20, "/bin/middle"),
            ("down", 30, "/bin/aardvark"),
            ("up", 20, "/bin/middle"),
            ("j", 30, "/bin/aardvark"),
            ("k", 20, "/bin/middle"),
        ):
            await press(pilot, key)
            assert chosen(app) == pid
            assert name in beside(app)
        await press(pilot, "end")
        assert chosen(app) == listed(app)[-1]
        await press(pilot, "down", "pagedown")
        assert chosen(app) == listed(app)[-1]
        await press(pilot, "home")
        assert chosen(app) == listed(app)[0]
        await press(pilot, "up", "pageup")
        assert chosen(app) == listed(app)[0]


async def test_a_click_chooses_and_a_double_click_opens() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await pilot.click("#top-processes", offset=(5, 1 + listed(app).index(SMALL.pid)))
        await pilot.pause()
        assert chosen(app) == SMALL.pid
        await pilot.click("#top-processes", offset=(5, 1 + listed(app).index(MIDDLE.pid)), times=2)
        await pilot.pause()
        assert (app.view_name, app.session.chosen.key) == ("map", MIDDLE.key)


async def test_sorting_by_every_column_and_the_other_way_round() -> None:
    app = dashboard()
    async with running(app) as pilot:
        grown = BIG._replace(rss_bytes=(BIG.rss_bytes or 0) - 5000)
        await deliver(pilot, sample(1001.0, grown, *EVERYONE[1:]))
        orders = {
            "rss": [40, 10, 20, 30, 2, 50],
            "gain": [2, 20, 30, 40, 50, 10],
            "swap": [20, 30, 10, 2, 40, 50],
            "oom_share": [50, 40, 20, 30, 10, 2],
            "pid": [2, 10, 20, 30, 40, 50],
            "name": [30, 10, 2, 20, 40, 50],
        }
        for column, order in orders.items():
            downwards = column not in ("pid", "name")
            assert processes(app).sorted_by() == (column, downwards)
            assert listed(app) == order, column
            assert ("▼" if downwards else "▲") in screen(app)
            assert chosen(app) == BIG.pid
            await press(pilot, "I")
            assert processes(app).sorted_by() == (column, not downwards)
            value = {"rss": "rss_bytes", "swap": "swap_bytes", "oom_share": "oom_score"}.get(column)
            if value:
                values = [getattr(row, value) for row in processes(app)._rows]
                assert values == sorted(values)
            await press(pilot, "I", "s")
        assert processes(app).sorted_by() == ("rss", True)


async def test_a_click_on_a_head_sorts_by_its_column() -> None:
    app = dashboard()
    async with running(app) as pilot:
        head = screen_text(app)[processes(app).region.y]
        for title, column in (
            ("PID", "pid"),
            ("NAME", "name"),
            ("SWAP", "swap"),
            ("OOM", "oom_share"),
        ):
            await pilot.click("#top-processes", offset=(head.index(title) + 1, 0))
            await pilot.pause()
            sorted_by = processes(app).sorted_by()
            assert sorted_by is not None
            assert sorted_by[0] == column
            await pilot.click("#top-processes", offset=(head.index(title) + 1, 0))
            await pilot.pause()
            assert processes(app).sorted_by() == (column, not sorted_by[1])


async def test_details_are_asked_for_where_they_decide_the_order() -> None:
    app = dashboard()
    async with running(app) as pilot:
        assert not script_of(app).plan.every_detail
        assert script_of(app).plan.visible == {each.key for each in EVERYONE}
        await press(pilot, "s", "s")
        assert script_of(app).plan.every_detail
        await press(pilot, "enter")
        assert script_of(app).plan.visible == {BIG.key}
        assert not script_of(app).plan.every_detail


async def test_a_filter_works_as_it_is_typed_and_escape_clears_it() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "slash", "D")
        assert "filter:" in screen_text(app)[-1]
        assert set(listed(app)) == {20, 30, 50, 2}
        await press(pilot, "d")
        assert listed(app) == [20]
        assert chosen(app) == 20
        await press(pilot, "enter")
        assert listed(app) == [20]
        assert not app.query("#prompt")
        assert app.focused is processes(app)
        await press(pilot, "escape")
        assert len(listed(app)) == len(EVERYONE)
        assert chosen(app) == 20


async def test_escape_leaves_the_filter_that_was_there() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "slash", "d", "d", "enter")
        assert listed(app) == [20]
        await press(pilot, "slash", "backspace", "x")
        assert listed(app) == []
        await press(pilot, "escape")
        assert not app.query("#prompt")
        assert processes(app).filter == "dd"
        assert listed(app) == [20]
        await press(pilot, "slash", *["backspace"] * 2, "enter")
        assert len(listed(app)) == len(EVERYONE)


async def test_a_filter_of_digits_finds_pids_and_of_nonsense_nobody() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "slash", "3", "0")
        assert listed(app) == [30]
        await press(pilot, "[", "/")
        assert listed(app) == []
        assert "no process has “30[/”" in screen(app)
        await press(pilot, "escape")
        assert len(listed(app)) == len(EVERYONE)
        assert not app.query("#prompt")


async def test_the_cursor_follows_its_process_when_the_order_changes() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "down")
        before = processes(app).cursor
        grown = MIDDLE._replace(rss_bytes=2000 << 20)
        await deliver(pilot, sample(1001.0, BIG, grown, SMALL, SECRET))
        assert listed(app)[0] == MIDDLE.pid
        assert processes(app).cursor == 0 != before
        assert chosen(app) == MIDDLE.pid


async def test_a_process_that_dies_stays_with_its_last_map() -> None:
    app = dashboard()
    async with running(app) as pilot:
        rest = [each for each in EVERYONE if each is not BIG]
        await deliver(pilot, sample(1001.0, *rest))
        assert chosen(app) == BIG.pid
        assert "big gone" in screen(app)
        assert "10 big · gone at" in beside(app)
        assert "/bin/big" in beside(app)
        await deliver(pilot, sample(1002.0, *rest))
        assert chosen(app) == BIG.pid
        assert listed(app).count(BIG.pid) == 1
        await press(pilot, "enter")
        assert "gone at" in screen_text(app)[1]
        await press(pilot, "escape", "down")
        assert chosen(app) != BIG.pid
        assert BIG.pid not in listed(app)


async def test_a_reused_pid_is_not_the_process_that_died() -> None:
    app = dashboard()
    async with running(app) as pilot:
        again = BIG._replace(key=ProcessKey(BIG.pid, 77), name="other", rss_bytes=1 << 20)
        await deliver(pilot, sample(1001.0, again, MIDDLE))
        assert app.session.chosen.key == BIG.key
        assert "big gone" in screen(app)
        assert "other" in screen(app)


async def test_an_exec_is_the_same_process_under_a_new_name_with_a_new_map() -> None:
    app = dashboard()
    async with running(app) as pilot:
        script_of(app).read(BIG.key, map_of(BIG.key, "newborn"))
        await deliver(pilot, sample(1001.0, BIG._replace(name="newborn"), *EVERYONE[1:]))
        assert chosen(app) == BIG.pid
        assert "10 newborn" in beside(app)
        assert "/bin/newborn" in beside(app)
        assert "/bin/big" not in beside(app)


@pytest.mark.parametrize(
    ("pid", "words"),
    [
        (KTHREAD.pid, ["2 kswapd0 is a kernel thread.", "no address space of its own"]),
        (ZOMBIE.pid, ["50 undead is a zombie", "its parent 30"]),
        (SECRET.pid, ["map of 40 secret may not be read", "belongs to root"]),
    ],
)
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_why_there_is_no_map(pid: int, words: list[str], size: tuple[int, int]) -> None:
    app = dashboard()
    async with running(app, size) as pilot:
        await press(pilot, "slash", *str(pid), "enter")
        await press(pilot, "home")
        await press(pilot, *["down"] * listed(app).index(pid))
        assert chosen(app) == pid
        for word in words:
            assert word in beside(app)
        await press(pilot, "enter")
        for word in words:
            assert word in screen(app)


async def test_a_map_that_turns_unreadable_says_so() -> None:
    app = dashboard()
    async with running(app) as pilot:
        assert "/bin/big" in beside(app)
        script_of(app).read(BIG.key, Gap("proc/10/smaps", "denied"))
        await pilot.pause()
        assert "may not be read" in beside(app)
        assert "/bin/big" not in beside(app)


async def test_a_process_is_opened_by_pid_or_name() -> None:
    app = dashboard()
    async with running(app) as pilot:
        await press(pilot, "o", "3", "0", "enter")
        assert (app.view_name, app.session.chosen.key) == ("map", SMALL.key)
        await press(pilot, "o", *"midd", "enter")
        assert (app.view_name, app.session.chosen.key) == ("map", MIDDLE.key)
        await press(pilot, "o", *"[nobody]", "down", "enter")
        assert "no process is or is named" in screen(app)
        assert "[nobody]" in screen(app)
        await press(pilot, "o", "escape")
        assert not app.query("#prompt")
        assert app.view_name == "map"
