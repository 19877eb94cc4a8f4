"""Alerts and events on the screen: what is told, rung, marked and listed."""

from __future__ import annotations

import time

import pytest
from textual.widgets._toast import Toast

from memtui.kernel.livefiles import LiveFiles
from memtui.live.machine import machine_of
from memtui.model.sample import Sample
from memtui.settings.values import DEFAULTS
from memtui.tui.pages.events import EventTable
from memtui.tui.widgets.graph import TimeGraph
from tests.interface import deliver, is_whole, press, running, screen, screen_text
from tests.moments import confined, dashboard, events_page, moment, ringing, toasts, trouble
from tests.samples import GIB


@pytest.fixture(autouse=True)
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine: what arrives together is taken together, and one word is told of
    it, which stays."""
    monkeypatch.setattr("memtui.tui.app._TAKING_AT_MOST_S", 1e9)
    monkeypatch.setattr("memtui.tui.alerting._SHOWN_S", 1e9)


# Events.


async def test_events_newest_first_with_their_time() -> None:
    app = dashboard(*trouble(5, 15), moment(1030.0, meminfo={"SwapTotal": GIB}))
    async with running(app) as pilot:
        lines = await events_page(app, pilot)
        events = list(app.session.seen["host"].events)
        assert len(events) >= 4
        assert len(lines) == len(events)
        for line, event in zip(lines, reversed(events), strict=True):
            assert app.session.machine.time_of_day(event.time_s) in line
            assert event.text in line
            glyph = {"note": "·", "warning": "!", "alarm": "◆"}[event.level]
            assert f" {glyph} " in line
        assert f"[events {len(events)}]" in screen(app)
        assert {"swap", "gap"} <= {event.kind for event in events}
        # The cursor's event stays under it when others come.
        await press(pilot, "down")
        table = app.query_one(EventTable)
        chosen = table.current
        await deliver(pilot, moment(1031.0, meminfo={"SwapTotal": 3 * GIB}))
        assert f"[events {len(events) + 1}]" in screen(app)
        assert table.current is chosen
        assert table.cursor == 2


async def test_no_events_yet() -> None:
    app = dashboard(moment(1000.0))
    async with running(app) as pilot:
        assert "nothing yet: no threshold was crossed" in " ".join(await events_page(app, pilot))
        assert "[events]" in screen(app)


def test_times_are_of_the_clock() -> None:
    machine = machine_of(LiveFiles())
    for ago in (0, 60, 3600):
        # One and the same moment on both clocks, but for what may pass between these two lines.
        earliest = time.time() - ago
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        latest = time.time() - ago
        expected = {
            time.strftime("%H:%M:%S", time.localtime(second))
            for second in range(int(earliest) - 1, int(latest) + 1)
        }
        assert machine.time_of_day(now - ago) in expected


# Alerts.


LOUD = DEFAULTS.alerts._replace(actions=("mark", "bell", "notify"))


KILL = {"oom_kill": 1001}


async def test_an_alert_tells_rings_and_marks() -> None:
    app = ringing(LOUD, *trouble(5, 0))
    async with running(app) as pilot:
        assert (toasts(app), app.rung) == ([], 0)
        await deliver(pilot, *trouble(5, 6)[6:])
        assert app.rung == 1  # several came at once
        (told,) = toasts(app)
        assert told == "verdict: thrashing"
        assert told in screen(app)
        await deliver(pilot, moment(1012.0, some_us=1_200_000, vmstat=KILL))
        assert toasts(app) == ["the kernel killed a process for want of memory"]
        assert app.rung == 2


async def test_of_several_at_once_the_worst_is_told() -> None:
    low = {"MemAvailable": GIB // 4, "MemFree": GIB // 8}
    app = ringing(LOUD, moment(1000.0))
    async with running(app) as pilot:
        swap = {"SwapTotal": 3 * GIB, **low}
        await deliver(pilot, moment(1001.0, vmstat=KILL, meminfo=swap))
        assert {event.kind for event in app.session.seen["host"].events} >= {
            "available_below",
            "oom_kill",
        }
        assert len(toasts(app)) == 1
        assert toasts(app)[0].startswith("the kernel killed")
        # What is no alert is listed, and silent.
        await deliver(pilot, moment(1002.0, vmstat=KILL, meminfo=low))
        assert len(toasts(app)) == 1
        assert app.rung == 1


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_a_toast_leaves_the_verdict_and_the_figures_to_be_read(
    size: tuple[int, int],
) -> None:
    app = ringing(LOUD, *trouble(5, 6))
    async with running(app, size) as pilot:
        for key in ("1", "4"):
            await press(pilot, key)
            (toast,) = app.screen.query(Toast)
            assert toast.region.height == 1
            assert toast.region.bottom == size[1] - 1  # the footer can be read too
            head = next(line for line in screen_text(app) if "▲ thrashing" in line)
            assert "verdict:" not in head
            is_whole(app)


async def test_only_the_scope_that_is_looked_at_speaks() -> None:
    def tight(time_s: float, current: int) -> Sample:
        return moment(time_s, confinement=confined(current, inactive_file=0, active_file=0))

    full = 1536 * (1 << 20) - 4096
    app = ringing(LOUD, tight(1000.0, GIB))
    async with running(app) as pilot:
        await deliver(pilot, tight(1001.0, full))
        assert [event.kind for event in app.session.seen["group"].events][:1] == ["available_below"]
        assert not list(app.session.seen["host"].events)
        assert (toasts(app), app.rung) == ([], 0)
        await press(pilot, "c")
        assert "events 1" not in screen(app) and app.rung == 0
        await deliver(pilot, tight(1002.0, GIB))
        await deliver(pilot, *(tight(1003.0 + at, GIB) for at in range(40)))
        await deliver(pilot, tight(1043.0, full))
        assert app.rung == 1
        assert toasts(app)[0].startswith("available is 4.0 KiB")


@pytest.mark.parametrize("name", ["", "NO_COLOR"])
async def test_marks_stand_at_their_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name:
        monkeypatch.setenv(name, "1")
    samples = [moment(1000.0 + at, vmstat={"oom_kill": 1000 + (at >= 100)}) for at in range(161)]
    app = dashboard(*samples)
    async with running(app) as pilot:
        for key in ("1", "4"):
            await press(pilot, key)
            for graph in app.view.query(TimeGraph):
                line = graph.render_line(0).text
                if not line.strip():
                    continue
                assert line.count("◆") == 1, line
                # 60 of 300 seconds before the end, and the axis is before it.
                labels = line.index("┤") if "┤" in line else 4
                cells = graph.size.width - labels - 1
                ago = (graph.size.width - 1 - line.index("◆")) * 300 / cells
                assert abs(ago - 60) <= 300 / cells + 1, (ago, line)
