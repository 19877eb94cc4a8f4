"""The lab's screen: the list, predictions and figures, by itself, what fails, what is cleaned up."""

from __future__ import annotations

import re

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.settings.values import DEFAULTS
from memtui.tui.sheets.explain import TermsSheet
from memtui.tui.views import lab
from tests.conftest import open_host
from tests.interface import (
    Script,
    app_on,
    deliver,
    is_whole,
    press,
    running,
    screen,
    screen_text,
    until,
)
from tests.samples import GIB, map_of, sample
from tests.tui.labs import BIG, PID, PROGRAM, TOY, LabScript, app_in_lab, asks, lab_of, paper_of

SIZES = [(80, 24), (120, 40), (200, 60)]


def title(text: str) -> str:
    return text.splitlines()[1]


@pytest.mark.parametrize("size", [*SIZES, (60, 15)])
async def test_the_list_says_what_there_is_and_why_one_is_not(size: tuple[int, int]) -> None:
    app = app_in_lab(LabScript())
    async with running(app, size) as pilot:
        await press(pilot, "6")
        is_whole(app)
        text = screen(app)
        assert "lab · 2 experiments" in title(text)
        assert re.search(r"▌toy +allocating is promising +–", text) or size[0] >= 130
        assert TOY.summary in " ".join(text.split())
        assert "Steps that need root are left out here. Enter begins it." in " ".join(text.split())
        await press(pilot, "down")
        assert "Not here: it needs root." in screen(app)
        await press(pilot, "enter")
        assert "other: it needs root" in screen(app)
        assert lab_of(app).trial is None


@pytest.mark.parametrize("size", SIZES)
async def test_from_a_prediction_to_its_figures(size: tuple[int, int]) -> None:
    script = LabScript()
    app = app_in_lab(script)
    async with running(app, size) as pilot:
        await press(pilot, "6", "enter")
        await until(pilot, lambda: "How much will RSS grow?" in screen(app), "asked")
        is_whole(app)
        assert "step 1 of 3 · a–c guesses, Enter does it" in title(screen(app))
        await press(pilot, "enter")
        await until(pilot, lambda: "no guess: it is a" in screen(app), "told")
        assert "step 1 of 3 · Enter next · Esc leaves" in title(screen(app))
        await press(pilot, "enter")
        assert "FIGURE" not in screen(app)
        await press(pilot, "b")
        assert "▌b 1,000 bytes" in screen(app)
        await press(pilot, "right")
        assert "▌c 1,000 × 4,096 bytes" in screen(app)
        await press(pilot, "enter")
        await until(pilot, lambda: "you said c: right" in " ".join(screen(app).split()), "told")
        is_whole(app)
        text = paper_of(app)
        assert re.search(r"^ RSS +12\.0 MiB +15\.9 MiB +\+3\.9 MiB +✓ yes", text, re.M)
        assert re.search(r"^ VIRT +1\.0 GiB +1\.0 GiB +– +✓ yes", text, re.M)
        assert re.search(r"^ minor faults +2 108 +3 108 +\+1 000 +✓ yes", text, re.M)
        assert re.search(r"^ page tables +48\.0 KiB +56\.0 KiB +\+8\.0 KiB +✗ no", text, re.M)
        assert "expected –: there are tables enough" in text
        assert re.search(r"^ swap +n/a +n/a$", text, re.M)
        assert re.search(r"^ touched +1 000 +✓ yes", text, re.M)
        assert "one fault a page" in text


async def test_a_wrong_guess_is_told() -> None:
    app = app_in_lab(LabScript())
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "6", "enter")
        await until(pilot, lambda: asks(app), "asked")
        await press(pilot, "left", "enter")  # the last one
        await until(pilot, lambda: "you said c: wrong, it is a" in screen(app), "told")
        assert "✓a 0" in screen(app)
        assert "✗c 1 GiB" in screen(app)
        # Neither an answer nor a step: what the letter is elsewhere.
        scope = app.session.scope
        await press(pilot, "c")
        assert "no control group around memtui has a limit" in screen(app)
        assert app.session.scope == scope
        await press(pilot, "enter", "enter")
        await until(pilot, lambda: "no guess: it is c" in screen(app), "told")
        assert "1 ✓ mmap of 1 GiB, guessed wrong" in screen(app)


async def test_the_program_is_what_is_looked_at_in_every_view() -> None:
    app = app_in_lab(LabScript())
    async with running(app) as pilot:
        await press(pilot, "6")
        assert app.session.chosen.key == BIG.key
        await press(pilot, "enter")
        await until(pilot, lambda: asks(app), "asked")
        await deliver(pilot, sample(1001.0, BIG, PROGRAM))
        assert app.session.chosen.key == PROGRAM.key
        assert f"{PID} lab-toy" in screen(app)
        await press(pilot, "3")
        assert "lab-toy" in screen_text(app)[1]
        await press(pilot, "6")
        assert "How much will RSS grow?" in screen(app)


async def test_no_other_map_stands_beside_an_experiment_whose_program_is_not_there() -> None:
    script = LabScript()
    app = app_on(script)
    app.deliver(sample(1000.0, BIG))
    async with running(app) as pilot:
        await press(pilot, "6", "enter")
        await until(pilot, lambda: asks(app), "asked")
        assert app.session.chosen.key == BIG.key
        assert f"{BIG.pid} {BIG.name}" not in screen(app)
        await deliver(pilot, sample(1001.0, BIG, PROGRAM))
        await until(pilot, lambda: f"{PID} lab-toy" in screen(app), "the program's own")


async def test_the_maps_cursor_goes_to_what_a_step_has_changed() -> None:
    script = LabScript()
    app = app_in_lab(script)
    async with running(app) as pilot:
        await press(pilot, "6", "enter")
        await until(pilot, lambda: asks(app), "asked")
        await deliver(pilot, sample(1001.0, BIG, PROGRAM))
        await press(pilot, "enter")
        await until(pilot, lambda: "FIGURE" in screen(app), "told")
        before = app.session.chosen.address
        script.read(PROGRAM.key, map_of(PROGRAM.key, "toy", heap_pages=64))
        await until(pilot, lambda: app.session.chosen.address != before, "pointed")
        assert app.session.chosen.address == 0x556000000
        assert re.search(r"▌h 000556000000", screen(app))
        # And stays where somebody goes from there.
        app.session.chosen.address = 0x555000000
        script.read(PROGRAM.key, map_of(PROGRAM.key, "toy", heap_pages=128))
        await deliver(pilot, sample(1002.0, BIG, PROGRAM))
        assert app.session.chosen.address == 0x555000000


async def test_by_itself_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "PLAY_S", 0.01)
    app = app_in_lab(LabScript())
    async with running(app) as pilot:
        await press(pilot, "6", "p", "enter")  # nothing to play yet
        await until(pilot, lambda: asks(app), "asked")
        assert "by itself" not in title(screen(app))
        await press(pilot, "p")
        await until(
            pilot, lambda: "step 3 of 3 · Enter ends it" in title(screen(app)), "at its end"
        )
        assert "3 ✓" not in screen(app)
        assert "2 ✗ one byte into each of 1,000 pages" in screen(app)
        await press(pilot, "enter")
        assert "2 experiments" in title(screen(app))


async def test_p_stops_what_p_began() -> None:
    app = app_in_lab(LabScript())
    async with running(app) as pilot:
        await press(pilot, "6", "enter")
        await until(pilot, lambda: asks(app), "asked")
        await press(pilot, "p")
        await until(pilot, lambda: "no guess" in screen(app), "made")
        assert "by itself · p stops" in title(screen(app))
        await press(pilot, "p")
        assert "Enter next" in title(screen(app))


async def test_leaving_ends_the_program_and_coming_back_does_not() -> None:
    script = LabScript()
    app = app_in_lab(script)
    async with running(app) as pilot:
        await press(pilot, "6", "enter")
        await until(pilot, lambda: asks(app), "asked")
        await press(pilot, "2", "6")
        assert not script.benches[0].is_closed
        assert "How much will RSS grow?" in screen(app)
        await press(pilot, "escape")
        assert "2 experiments" in title(screen(app))
        await until(pilot, lambda: script.benches[0].is_closed, "closed")
        await press(pilot, "enter")
        await until(pilot, lambda: asks(app), "asked again")
        await press(pilot, "r")
        await until(pilot, lambda: len(script.benches) == 3, "anew")
        await until(pilot, lambda: script.benches[1].is_closed, "the one before closed")
        await until(pilot, lambda: asks(app), "asked")
        assert not script.benches[2].is_closed
    assert script.benches[2].is_closed  # memtui has ended


async def test_a_step_that_takes_long_holds_nothing_and_can_be_left() -> None:
    script = LabScript()
    app = app_in_lab(script)
    async with running(app) as pilot:
        await press(pilot, "6", "enter")
        await until(pilot, lambda: asks(app), "asked")
        script.benches[0].gate.clear()
        await press(pilot, "enter", "enter")  # the second finds it at work
        assert "working …" in title(screen(app))
        assert "it does that …" in screen(app)
        await press(pilot, "1")
        assert "available" in screen_text(app)[1]
        await press(pilot, "6", "escape")
        await until(pilot, lambda: script.benches[0].is_closed, "closed")
        assert "2 experiments" in title(screen(app))


async def test_a_step_that_fails_is_told_in_a_line() -> None:
    script = LabScript(fails_at=0)
    app = app_in_lab(script)
    async with running(app, (80, 24)) as pilot:
        await press(pilot, "6", "enter")
        await until(pilot, lambda: asks(app), "asked")
        await press(pilot, "enter")
        await until(pilot, lambda: "✗ OSError: [Errno 12]" in screen(app), "told")
        assert "r tries again · Esc leaves" in title(screen(app))
        await press(pilot, "enter", "p")
        is_whole(app)
        script.fails_at = None
        await press(pilot, "r")
        await until(pilot, lambda: asks(app), "asked again")


async def test_its_terms_are_explained() -> None:
    app = app_in_lab(LabScript())
    async with running(app) as pilot:
        await press(pilot, "6", "enter")
        await until(pilot, lambda: asks(app), "asked")
        await press(pilot, "i")
        assert isinstance(app.screen, TermsSheet)
        assert "page table" in screen(app)


@pytest.mark.parametrize("size", SIZES)
async def test_below_root_there_is_none(size: tuple[int, int]) -> None:
    app = app_on(Script({}, open_host("debian-6.18")))
    app.deliver(sample(1000.0, BIG))
    async with running(app, size) as pilot:
        await press(pilot, "6")
        await until(pilot, lambda: "not below --root" in title(screen(app)), "said")
        is_whole(app)
        await press(pilot, "enter")
        assert lab_of(app).trial is None


async def test_where_nothing_can_be_read_there_is_none() -> None:
    app = app_on(Script({}))
    app.deliver(sample(1000.0, BIG, free=GIB))
    async with running(app, (80, 24)) as pilot:
        await press(pilot, "6")
        await until(
            pilot, lambda: "experiments run on a live machine" in title(screen(app)), "said"
        )
        await press(pilot, "enter", "escape", "i")
        is_whole(app)


async def test_readonly_has_none_that_changes_the_machine() -> None:
    script = Script({}, LiveFiles())
    app = app_on(script, DEFAULTS._replace(readonly=True))
    app.deliver(sample(1000.0, BIG))
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "6")
        view = lab_of(app)
        await until(pilot, lambda: view._offers is not None, "listed")
        assert view._offers is not None and not isinstance(view._offers, Gap)
        changing = {"cgroup v1", "swap"}
        for offer in view._offers:
            assert bool(offer.why_not) or not offer.experiment.needs & changing
            stage = offer.bench().run.stage
            assert not stage.has & changing


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "linux")])
@pytest.mark.parametrize("size", SIZES)
async def test_without_colours(
    size: tuple[int, int], name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    app = app_in_lab(LabScript())
    async with running(app, size) as pilot:
        await press(pilot, "6", "enter")
        await until(pilot, lambda: asks(app), "asked")
        await press(pilot, "b", "enter")
        await until(pilot, lambda: "you said b: wrong, it is a" in screen(app), "told")
        right, wrong = ("√", "x") if name == "TERM" else ("✓", "✗")
        assert f"{right}a 0" in screen(app)
        assert f"{wrong}b 4 MiB" in screen(app)
        assert f"{right} yes" in screen(app)
