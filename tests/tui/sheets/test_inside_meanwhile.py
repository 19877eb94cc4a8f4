"""What is inside a mapping, while its process, its file or the sheet goes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from textual.pilot import Pilot

from memtui.kernel.files import Gap
from memtui.model.map.image import Image, Symbols
from tests.elf_files import (
    Running,
)
from tests.inside import (
    app_on,
    column,
    look_inside,
    on_map,
    sizes,
    spoken,
)
from tests.interface import (
    cursor,
    deliver,
    go_to,
    is_whole,
    loaded,
    press,
    screen,
    screen_text,
    script_of,
    until,
)
from tests.samples import sample


@sizes
async def test_the_process_ends_while_its_inside_is_looked_at(
    program: Running, size: tuple[int, int]
) -> None:
    key, address = program.key, program.places["function_7"]
    app = app_on(key)
    async with on_map(app, size) as pilot:
        await look_inside(pilot, address)
        os.kill(key.pid, signal.SIGKILL)
        os.waitpid(key.pid, 0)
        script_of(app).read(key, Gap(f"proc/{key.pid}/smaps", "gone"))
        await deliver(pilot, sample(1001.0))
        is_whole(app)
        # What was read of it stays.
        assert "function_7" in screen(app)
        await press(pilot, "up", "down", "y")
        is_whole(app)
        await press(pilot, "enter")
        assert len(app.screen_stack) == 1
        assert "gone at" in screen_text(app)[1]
        # Opened only now.
        sheet = await look_inside(pilot, address)
        assert "is not known: the process has ended." in spoken(app)
        assert "rss" in column(sheet, "name")
        await press(pilot, "enter", "escape")
        assert len(app.screen_stack) == 1


class Stuck:
    """A file on a server that does not answer until it is told to, and then with `answer`."""

    def __init__(self) -> None:
        self.asked = 0
        self.answered = 0
        self.may_answer = threading.Event()
        self.answer: tuple[Image, Symbols] | Gap = Gap("/server/file", "failed", "answered late")

    def read_image(self, *_: object) -> tuple[Image, Symbols] | Gap:
        self.asked += 1
        self.may_answer.wait(120)
        self.answered += 1
        return self.answer


@contextmanager
def stuck(patch: pytest.MonkeyPatch) -> Iterator[Stuck]:
    """Every file is on such a server."""
    server = Stuck()
    patch.setattr("memtui.ondemand.elf.read_image", server.read_image)
    try:
        yield server
    finally:
        server.may_answer.set()


async def ask(pilot: Pilot[None], address: int, server: Stuck) -> None:
    """Opens the sheet, which now waits."""
    before = server.asked
    await go_to(pilot, address)
    await press(pilot, "enter")
    await until(pilot, lambda: server.asked == before + 1, "asked")
    assert "Reading the file …" in screen(pilot.app)
    is_whole(pilot.app)


@sizes
@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_quitting_does_not_wait_for_a_file(
    program: Running, monkeypatch: pytest.MonkeyPatch, key: str, size: tuple[int, int]
) -> None:
    with stuck(monkeypatch) as server:
        app = app_on(program.key)
        async with on_map(app, size) as pilot:
            await ask(pilot, program.places["function_7"], server)
            await pilot.press(key)
            assert app._exit
        assert (server.asked, server.answered) == (1, 0)
        waiting = [each for each in threading.enumerate() if each.name == "answering"]
        # Nor does the interpreter wait for them at its end.
        assert waiting and all(each.daemon for each in waiting)
    for each in waiting:
        each.join(60)
    # The answer found nobody, and nobody minded.
    assert server.answered == 1


@sizes
async def test_an_answer_after_the_sheet_was_closed_does_nothing(
    program: Running, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    with stuck(monkeypatch) as server:
        app = app_on(program.key)
        async with on_map(app, size) as pilot:
            await ask(pilot, program.places["function_7"], server)
            await press(pilot, "escape")
            assert len(app.screen_stack) == 1
            before, here = screen(app), cursor(app)
            server.may_answer.set()
            await until(pilot, lambda: server.answered, "answered")
            await loaded(pilot)
            assert len(app.screen_stack) == 1
            assert (screen(app), cursor(app)) == (before, here)
            is_whole(app)


@sizes
async def test_an_answer_to_the_sheet_before_is_not_shown_in_this_one(
    program: Running, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    app = app_on(program.key)
    async with on_map(app, size) as pilot:
        with monkeypatch.context() as patch, stuck(patch) as server:
            await ask(pilot, program.places["function_7"], server)
            await press(pilot, "escape")
            patch.undo()
            await look_inside(pilot, program.places["constant"])
            before = screen(app)
            server.may_answer.set()
            await until(pilot, lambda: server.answered, "answered")
            await loaded(pilot)
            assert screen(app) == before
            assert "is in .rodata · constant" in before


@sizes
async def test_its_mapping_is_gone_when_the_answer_comes(
    program: Running, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """The process may no longer be read, or has become another program."""
    with stuck(monkeypatch) as server:
        app = app_on(program.key)
        async with on_map(app, size) as pilot:
            await ask(pilot, program.places["function_7"], server)
            script_of(app).read(program.key, Gap(f"proc/{program.key.pid}/smaps", "denied"))
            await deliver(pilot)
            server.may_answer.set()
            await until(pilot, lambda: "answered late" in screen(app), "shown")
            is_whole(app)
            await press(pilot, "down", "enter", "y", "escape")
            assert len(app.screen_stack) == 1
            is_whole(app)
