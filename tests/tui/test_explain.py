"""The sheet that explains, and the list of terms: on small screens, by keys and by the mouse."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from memtui.kernel.files import Files
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.pressure import Pressure, Stall
from memtui.live.machine import machine_of
from memtui.model.explain import explain as explaining
from memtui.model.explain.explain import Context, explain
from memtui.model.sample import Sample, SystemSample
from memtui.ondemand.context import context_of
from memtui.tui.app import MemtuiApp
from memtui.tui.sheets.explain import ExplainSheet, TermsSheet, open_explanation, text_lines
from memtui.tui.widgets.page import text_of
from tests.interface import app_of, is_whole, press, running, screen_text, settle
from tests.samples import GIB, MIB, process, sample

SMALL = (80, 24)
MOMENT = Context(
    Sample(
        0.0,
        1.0,
        SystemSample(
            {
                "MemTotal": 16 * GIB,
                "MemFree": 2 * GIB,
                "MemAvailable": 8 * GIB,
                "Buffers": GIB,
                "Cached": 5 * GIB,
                "SReclaimable": GIB,
                "Slab": 2 * GIB,
                "Shmem": GIB,
            },
            {},
            Pressure(Stall(1.0, 2.0, 3.0, 0), Stall(0.1, 0.2, 0.3, 0)),
        ),
        {},
    )
)


def dashboard(files: Files | None = None) -> MemtuiApp:
    return app_of([sample(10.0, process(1, "init", 10))], {}, files=files)


async def show(pilot: Pilot[None], *names: str) -> None:
    open_explanation(pilot.app, names, MOMENT)
    await settle(pilot)


def lines(pilot: Pilot[None]) -> list[str]:
    return [line.rstrip() for line in screen_text(pilot.app)]


async def test_a_figure_on_a_small_screen() -> None:
    async with running(dashboard(), SMALL) as pilot:
        await show(pilot, "mem_used_bytes")
        is_whole(pilot.app)
        shown = lines(pilot)
        assert shown[:12] == [
            " used  Used memory                                                   PgDn: more",
            " free(1)'s used, as procps 4 defines it. It overlaps buff/cache by the part of",
            " the cache that does not give way.",
            "",
            "  MemTotal − available = 16.000 GiB − 8.000 GiB = 8.000 GiB",
            "",
            " from   /proc/meminfo MemTotal, MemAvailable",
            *shown[7:12],
        ]
        assert shown[7].startswith(" not    It is not what programs use")
        text = "\n".join(shown)
        assert "   8.0 GiB  btop: MemTotal − available" in text
        # 16 − 2 − 1 − 5 − 1 + 1
        assert "   8.0 GiB  htop 3: MemTotal − MemFree − Buffers − Cached − SReclaimable" in text
        assert shown[17] == " SEE ALSO"
        assert "Available memory" in shown[18]
        assert "Esc back" in shown[23]


async def test_see_also_leads_on_and_esc_back() -> None:
    async with running(dashboard(), SMALL) as pilot:
        await show(pilot, "used")
        sheet = pilot.app.screen
        assert isinstance(sheet, ExplainSheet)
        await press(pilot, "down", "enter")
        assert sheet.explanation.name == "buff/cache"
        assert lines(pilot)[0].startswith(" buff/cache  Buffers and cache")
        await press(pilot, "enter")
        assert sheet.explanation.name == "available"
        await press(pilot, "escape", "escape")
        assert sheet.explanation.name == "used"
        assert lines(pilot)[19].startswith("▌buff/cache")  # where it was left
        await press(pilot, "escape")
        assert not isinstance(pilot.app.screen, ExplainSheet)


async def test_the_mouse_leads_on_too() -> None:
    async with running(dashboard(), SMALL) as pilot:
        await show(pilot, "used")
        await pilot.click("#explain-see", offset=(5, 4), times=2)
        await settle(pilot)
        assert lines(pilot)[0].startswith(" shared  Shared memory")
        await pilot.click("#footer", offset=(lines(pilot)[23].index("Esc back") + 1, 0))
        await settle(pilot)
        assert lines(pilot)[0].startswith(" used  ")


async def test_what_does_not_fit_is_scrolled_to() -> None:
    async with running(dashboard(), SMALL) as pilot:
        await show(pilot, "used")
        assert "OLDER DEFINITIONS" not in "\n".join(lines(pilot))
        await press(pilot, "pagedown")
        assert "OLDER DEFINITIONS" in "\n".join(lines(pilot))
        await press(pilot, "pageup", "pageup")
        assert "free(1)'s used" in lines(pilot)[1]
        is_whole(pilot.app)


@pytest.mark.parametrize("name", explaining.names())
def test_every_explanation_fits_the_width(name: str) -> None:
    for width in (60, 79, 200):
        for line in text_lines(explain(name, MOMENT), width):
            assert len(text_of(line)) <= width, (name, text_of(line))
    text = " ".join(text_of(line).strip() for line in text_lines(explain(name, MOMENT), 79))
    assert explain(name, MOMENT).definition in text


async def test_the_key_opens_the_list_of_terms_which_is_typed_into() -> None:
    async with running(dashboard(LiveFiles()), SMALL) as pilot:
        await press(pilot, "i")
        assert isinstance(pilot.app.screen, TermsSheet)
        assert lines(pilot)[0].endswith(f"all {len(explaining.names())}")
        await press(pilot, *"oom k")
        is_whole(pilot.app)
        assert lines(pilot)[3:6] == [
            "▌OOM killer               OOM killer",
            " OOM kills                OOM kills",
            " oom_kill_allocating_task Kill the task that asks",
        ]
        await press(pilot, "down", "down", "enter")
        sheet = pilot.app.screen
        assert isinstance(sheet, ExplainSheet)
        assert sheet.explanation.name == "oom_kill_allocating_task"
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, TermsSheet)
        await press(pilot, "escape")  # empties the line
        assert pilot.app.screen.query_one(Input).value == ""
        await press(pilot, *"qqq", "enter")
        assert "nothing is explained under that" in "\n".join(lines(pilot))
        await press(pilot, "escape", "escape")
        assert not isinstance(pilot.app.screen, TermsSheet)


async def test_of_several_the_list_has_these_first() -> None:
    async with running(dashboard(), SMALL) as pilot:
        await show(pilot, "mem_used_bytes", "no such figure", "slab")
        assert isinstance(pilot.app.screen, TermsSheet)
        assert [line[1:25].strip() for line in lines(pilot)[3:6]] == ["used", "slab", "total"]
        await press(pilot, "down", "enter")
        assert lines(pilot)[0].startswith(" slab  Slabs")


async def test_an_unknown_name_opens_the_list() -> None:
    async with running(dashboard(), SMALL) as pilot:
        await show(pilot, "no such figure")
        assert isinstance(pilot.app.screen, TermsSheet)
        assert lines(pilot)[0].endswith(f"all {len(explaining.names())}")


async def test_finding_from_an_explanation() -> None:
    async with running(dashboard(), SMALL) as pilot:
        await show(pilot, "used")
        await press(pilot, "slash", *"pte", "enter")
        assert lines(pilot)[0].startswith(" PTE  Page table entry")


async def test_copying_takes_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    async with running(dashboard(), SMALL) as pilot:
        monkeypatch.setattr(pilot.app, "copy_to_clipboard", copied.append)
        await show(pilot, "used")
        await press(pilot, "y")
    assert copied[0].startswith("used: Used memory\n")
    assert "OLDER DEFINITIONS" in copied[0]


@pytest.mark.parametrize("size", [(60, 15), (120, 40), (200, 60)])
async def test_other_sizes(size: tuple[int, int]) -> None:
    async with running(dashboard(), size) as pilot:
        await show(pilot, "available")
        is_whole(pilot.app)
        assert " SEE ALSO" in lines(pilot)
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        is_whole(pilot.app)


def test_sizes_are_of_the_moment() -> None:
    assert explain("buff/cache", MOMENT).value == 7 * GIB
    assert explain("shared", MOMENT).value == 1024 * MIB


def test_a_setting_is_other_peoples_text(tmp_path: Path) -> None:
    (tmp_path / "proc/sys/vm").mkdir(parents=True)
    for name in ("swappiness", "overcommit_memory"):
        (tmp_path / "proc/sys/vm" / name).write_bytes(b"\x1b[31m60\n")
    files = LiveFiles(str(tmp_path))
    moment = context_of(MOMENT.sample, files, machine_of(files))
    assert explain("swappiness", moment).value is None
    whole = "".join(text_of(line) for line in text_lines(explain("overcommit", moment), 79))
    assert whole.isprintable()
    assert "\\e[31m60: a mode unknown to memtui" in whole
