"""The OOM killer's page: bars, sums, what-if, policy; captured machines and small terminals."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.oom import OomTask
from memtui.model.oom.ranking import CandidateOom, OomScope, rank_tasks, signed
from memtui.ondemand.oom import Outlook, group_of, read_outlook
from memtui.session.scope import in_group
from memtui.tui.app import MemtuiApp
from memtui.tui.pages.oom import OomPage
from memtui.tui.pages.ranking import Trial, bar_parts, ranking_page, stepped
from memtui.tui.sheets.explain import ExplainSheet
from memtui.tui.sheets.policy import PolicySheet
from memtui.tui.widgets.page import text_of, wrapped
from tests.conftest import open_host
from tests.interface import (
    answer,
    app_of,
    captured,
    deliver,
    is_whole,
    press,
    running,
    screen,
    screen_text,
    until,
)
from tests.oracles import until_alike

PAGE = 4096
MIB = 1 << 20
SCOPE = OomScope(None, 1_000_000, 1_000_000, True)


def candidate(rss: int, swap: int = 0, tables: int = 0, adj: int = 0, **more: Any) -> CandidateOom:
    """Sizes in pages."""
    sizes = (rss * PAGE, swap * PAGE, tables * PAGE)
    task = OomTask(10, 1, 1, "big", "S", False, *sizes, None, adj)._replace(**more)
    return rank_tasks([task], SCOPE, PAGE).candidates[0]


def bar(each: CandidateOom, most: int, cells: int = 20) -> str:
    parts = bar_parts(each, most, cells)
    assert parts is not None
    text = text_of(parts)
    assert len(text) == cells
    return text.rstrip()


def test_a_bar_is_made_of_its_parts() -> None:
    assert bar(candidate(1000), 1000) == "█" * 20
    assert bar(candidate(500, 250, 250), 1000) == "█" * 10 + "▓" * 5 + "▒" * 5
    assert bar(candidate(100, 0, 0, 1), 2000) == "█" + "+" * 10
    # What a negative adj takes off is there, and does not count.
    assert bar(candidate(2000, adj=-1), 2000) == "█" * 10 + "-" * 10
    assert bar(candidate(1000, 1000, adj=-1), 2000) == "█" * 10 + "-" * 10
    assert bar(candidate(500, adj=-1), 1000) == "-" * 10
    assert bar(candidate(0), 1000) == ""
    assert bar_parts(candidate(5, adj=-1000), 1000, 20) is None


@given(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**5),
    st.integers(-999, 1000),
    st.integers(1, 60),
)
def test_every_bar_is_as_wide_as_its_column(
    rss: int, swap: int, tables: int, adj: int, cells: int
) -> None:
    each = candidate(rss, swap, tables, adj)
    most = max(each.points or 0, rss + swap + tables, 1)
    parts = bar_parts(each, most, cells)
    assert parts is not None and len(text_of(parts)) == cells
    drawn = text_of(parts).rstrip()
    assert (drawn.count("+") == 0) if adj <= 0 else (drawn.count("-") == 0)


def test_steps_go_by_round_hundreds_and_end() -> None:
    each = candidate(100, adj=150)
    assert stepped(each, None, 1) == Trial(10, 200)
    assert stepped(each, None, -1) == Trial(10, 100)
    assert stepped(each, Trial(10, -1000), -1) == Trial(10, -1000)
    assert stepped(each, Trial(10, 1000), 1) == Trial(10, 1000)
    assert stepped(each, Trial(11, 700), 1) == Trial(10, 200)


# Captured machines.


def outlook_of(host: str, group: str | None = None) -> Outlook:
    outlook = read_outlook(open_host(host), PAGE, group)
    assert isinstance(outlook, Outlook)
    return outlook


def about(outlook: Outlook, pid: int, trial: Trial | None = None) -> str:
    page = ranking_page(outlook, 120, trial)
    at = page.keys.index(str(pid))
    return "\n".join(text_of(line) for line in wrapped(page.about(at), 200))


def test_the_sum_of_the_first_is_its_points() -> None:
    outlook = outlook_of("debian-6.18")
    first = outlook.ranking.ranked[0]
    text = about(outlook, first.pid)
    assert f"rank 1 of {len(outlook.ranking.ranked)}" in text
    assert first.points is not None
    assert f"{first.points:,} pages".replace(",", " ") in text
    assert "The kernel's own oom_score on the whole machine" in text
    tried = about(outlook, first.pid, Trial(first.pid, -1000))
    assert "With adj −1000 it would never be taken, and " in tried
    assert "Nothing is changed" in tried


def test_the_immune_come_last_with_their_reasons() -> None:
    outlook = outlook_of("debian-6.18")
    page = ranking_page(outlook, 120, None)
    immune = [at for at, each in enumerate(outlook.ranking.candidates) if each.immune]
    assert immune and immune[-1] == len(page.rows) - 1
    reasons = {str(page.rows[at]["bar"][0]) for at in immune}
    assert "kernel thread" in reasons
    assert "It is never taken: kernel thread." in about(
        outlook, outlook.ranking.candidates[immune[-1]].pid
    )


def test_inside_a_group_its_limit_is_all_there_is() -> None:
    files = open_host("pod")
    pids = [pid for pid in files.pids() if isinstance(group_of(files, pid), str)]
    path = group_of(files, pids[0])
    assert isinstance(path, str)
    outlook = outlook_of("pod", path)
    assert outlook.ranking.scope.path == path
    words = "\n".join(text_of(line) for line in wrapped(ranking_page(outlook, 120, None).head, 200))
    assert f"in {path}" in words and "Esc: the whole machine." in words
    assert isinstance(read_outlook(files, PAGE, "/no/such/group"), Gap)


# In the application.


def words_on(app: MemtuiApp) -> str:
    """The screen without its lines' ends."""
    return " ".join(screen(app).split())


Test = Callable[[MemtuiApp, Pilot[None]], Coroutine[Any, Any, None]]


def on(
    host: str, size: tuple[int, int] = (120, 40)
) -> Callable[[Test], Callable[[], Coroutine[Any, Any, None]]]:
    """Runs a test on the page, of a captured machine."""

    def decorate(test: Test) -> Callable[[], Coroutine[Any, Any, None]]:
        @wraps(test)
        async def run() -> None:
            await opened(host, size, test)

        del run.__wrapped__
        return run

    return decorate


async def opened(host: str, size: tuple[int, int], test: Test) -> None:
    now, maps = captured(host)
    app = app_of([now], maps, files=open_host(host))
    async with running(app, size) as pilot:
        await press(pilot, "4", "right", "right", "right")
        await until(pilot, lambda: app.query_one(OomPage).outlook is not None, "the ranking")
        await test(app, pilot)


@pytest.mark.parametrize(
    ("host", "size"),
    [
        ("hostile", (80, 24)),
        ("hostile", (200, 60)),
        ("debian-6.18", (80, 24)),
        ("pod", (200, 60)),
        ("linux-3.2", (120, 40)),
    ],
)
async def test_it_is_whole_in_every_size(host: str, size: tuple[int, int]) -> None:
    async def test(app: MemtuiApp, pilot: Pilot[None]) -> None:
        is_whole(app)
        await press(pilot, "end")
        is_whole(app)

    await opened(host, size, test)


@on("debian-6.18")
async def test_it_names_the_first_and_explains_the_policy(
    app: MemtuiApp, pilot: Pilot[None]
) -> None:
    outlook = app.query_one(OomPage).outlook
    assert outlook is not None
    first = outlook.ranking.ranked[0]
    text = screen(app)
    assert f"† {first.name} ({first.pid}) would be killed on the machine" in text
    assert "panic_on_oom" in text and "swappiness" in text
    assert "the policy in force" in text.lower()


@on("debian-6.18", (80, 24))
async def test_in_a_small_terminal_the_policy_has_a_sheet(
    app: MemtuiApp, pilot: Pilot[None]
) -> None:
    assert "panic_on_oom" not in screen(app)
    await press(pilot, "p")
    assert isinstance(app.screen, PolicySheet)
    for name in ("panic_on_oom", "oom_kill_allocating_task", "overcommit_memory", "swappiness"):
        assert name in screen(app)
    is_whole(app)
    await press(pilot, "escape")
    assert not isinstance(app.screen, PolicySheet)


@on("debian-6.18")
async def test_another_adj_is_tried_and_taken_back(app: MemtuiApp, pilot: Pilot[None]) -> None:
    page = app.query_one(OomPage)
    outlook = page.outlook
    assert outlook is not None
    first, second = outlook.ranking.ranked[:2]
    await press(pilot, "w")
    await answer(pilot, "much")
    assert "a number from -1000 to 1000" in screen(app)
    await answer(pilot, "-900")
    assert f"and {second.name} ({second.pid}) would be the first" in words_on(app)
    assert "−900?" in screen(app)
    await press(pilot, "plus")
    assert "−800?" in screen(app)
    await press(pilot, "minus", "minus")
    assert "−1000?" in screen(app) or "−1…" in screen(app)
    assert "it would never be taken" in words_on(app)
    # Nothing was changed: there is nothing that could.
    assert first.adj is not None and signed(first.adj) in screen(app)
    await press(pilot, "escape")
    assert "?" not in [line for line in screen_text(app) if str(first.pid) in line][1]
    await press(pilot, "minus")
    assert "Nothing is changed; Esc takes it back" in words_on(app)
    await press(pilot, "down")
    assert "Esc takes it back" not in words_on(app)


@on("debian-6.18")
async def test_a_process_is_found_and_its_group_entered_and_left(
    app: MemtuiApp, pilot: Pilot[None]
) -> None:
    page = app.query_one(OomPage)
    outlook = page.outlook
    assert outlook is not None
    limited = next(each for each in outlook.ranking.ranked if "nightly" in (each.group or ""))
    await press(pilot, "slash")
    await answer(pilot, "nobody-is-called-so")
    assert "no process is or is named" in screen(app)
    await answer(pilot, str(limited.pid))
    assert page.rows.key == str(limited.pid)
    await press(pilot, "enter")
    await until(
        pilot,
        lambda: page.outlook and page.outlook.ranking.scope.path == limited.group,
        "in the group",
    )
    assert f"would be killed in {limited.group}" in screen(app)
    assert "at this limit one of the group dies" in screen(app)
    await press(pilot, "escape")
    await until(
        pilot, lambda: page.outlook and page.outlook.ranking.scope.path is None, "on the machine"
    )


@on("debian-6.18")
async def test_i_explains_the_killer(app: MemtuiApp, pilot: Pilot[None]) -> None:
    await press(pilot, "i")
    for words in ("OOM killer", "oom_score", "oom_score_adj"):
        assert words in screen(app)
    is_whole(app)
    assert app.screen is not app.default_screen or isinstance(app.screen, ExplainSheet)


@on("pod")
async def test_in_the_groups_scope_it_ranks_the_group(app: MemtuiApp, pilot: Pilot[None]) -> None:
    last = app.session.history.last
    assert last is not None and in_group(last) is not None
    await press(pilot, "c")
    page = app.query_one(OomPage)
    await until(
        pilot,
        lambda: page.outlook and page.outlook.ranking.scope.path is not None,
        "the group",
    )
    outlook = page.outlook
    assert outlook is not None and outlook.ranking.scope.path is not None
    assert outlook.ranking.scope.path in screen(app) or "kubepods" in screen(app)


@on("debian-6.18")
async def test_it_is_read_no_more_often_than_it_may_cost(
    app: MemtuiApp, pilot: Pilot[None]
) -> None:
    page = app.query_one(OomPage)
    before, now = page.outlook, app.session.history.last
    assert now is not None
    for later in range(1, 4):
        await deliver(pilot, now._replace(time_s=now.time_s + later))
    assert page.outlook is before
    await press(pilot, "space")
    await deliver(pilot, now._replace(time_s=now.time_s + 9))
    await press(pilot, "left", "right")
    assert page.outlook is before


async def test_without_a_kernel_behind_the_samples_it_says_so() -> None:
    now, maps = captured("debian-6.18")
    async with running(app_of([now], maps)) as pilot:
        await press(pilot, "4", "right", "right", "right")
        assert "the ranking: not recorded" in screen(pilot.app)
        await press(pilot, "w", "plus", "enter", "escape", "p")
        is_whole(pilot.app)


def test_this_machines_own_ranking_agrees_with_the_kernel() -> None:
    page = os.sysconf("SC_PAGE_SIZE")

    def compare() -> None:
        outlook = read_outlook(LiveFiles(), page)
        assert isinstance(outlook, Outlook)
        differing = [each for each in outlook.ranking.ranked if each.differs]
        # Processes grow between two reads: few may.
        assert len(differing) <= 1 + len(outlook.ranking.ranked) // 20

    until_alike(compare)
