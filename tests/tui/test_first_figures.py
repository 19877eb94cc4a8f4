"""What stands on the terminal before the interface is imported, and what becomes of it then."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import HOSTS_DIR
from tests.terminal import Terminal, memtui, starts, state, wait_until

DEBIAN = ("--root", str(HOSTS_DIR / "debian-6.18"))
ENTER = b"\x1b[?1049h"
DRIVER = b"\x1b[?1000h"  # the mouse: Textual takes over


def cells(terminal: Terminal) -> list[list[tuple[Any, ...]]]:
    """Every cell's letter and colours; of a blank those that are seen."""
    return [
        [
            (cell.data, cell.bg) if cell.data == " " else (cell.data, cell.fg, cell.bg, cell.bold)
            for cell in (terminal.screen.buffer[y][x] for x in range(terminal.screen.columns))
        ]
        for y in range(terminal.screen.lines)
    ]


def screens(output: bytes, columns: int, rows: int) -> list[list[list[tuple[Any, ...]]]]:
    """What stood on the screen one after the other, from the first figures to the first frame.

    The footer, which the first figures leave out, is the last line that a frame draws.
    """
    with Terminal(["true"], columns, rows) as terminal:
        first = output.index(DRIVER)
        terminal.take(output[:first])
        found = [cells(terminal)]
        for at in range(first, len(output), 200):
            terminal.take(output[at : at + 200])
            found.append(cells(terminal))
            if "quit" in terminal.lines[-1]:
                return found
    raise AssertionError("no frame")


@pytest.mark.parametrize(
    ("columns", "rows", "theme", "environment"),
    [
        (80, 24, "memtui", {}),
        (120, 40, "light", {}),
        (200, 60, "high-contrast", {}),
        (101, 27, "light", {"COLORTERM": "", "TERM": "xterm-256color"}),
        (120, 40, "memtui", {"COLORTERM": "", "TERM": "xterm"}),
        (159, 33, "memtui", {"NO_COLOR": "1"}),
        (80, 25, "memtui", {"TERM": "linux", "COLORTERM": ""}),
    ],
)
def test_the_interface_paints_the_same_cells_over_them(
    columns: int, rows: int, theme: str, environment: dict[str, str]
) -> None:
    words = ("--theme", theme, *DEBIAN)
    with memtui(*words, columns=columns, rows=rows, **environment) as terminal:
        starts(terminal)
        output = bytes(terminal.output)
    # Never entered again, which would clear it on some terminals.
    assert output.count(ENTER) == 1
    found = screens(output, columns, rows)
    first, last = found[0], found[-1]
    verdict = 2 + (rows - 4) // 2
    list_width = 39 if columns < 100 else 64 if columns >= 160 else columns * 44 // 100
    assert first[0] == last[0]
    assert first[1] == last[1]
    assert first[verdict] == last[verdict]
    text = "".join(cell[0] for cell in first[verdict])
    assert "stalled" in text and "swap" in text
    shown = 0
    for y in range(verdict + 1, rows - 1):
        mine, theirs = first[y][:list_width], last[y][:list_width]
        shown += any(cell[0].isdigit() for cell in mine)
        if theirs[0][0] == "▌":  # the cursor
            mine, theirs = ([cell[:1] for cell in row[1:]] for row in (mine, theirs))
        assert mine == theirs
    assert shown > 3
    # What is there stays there until then.
    assert all(screen[1] == first[1] and screen[verdict] == first[verdict] for screen in found)


def test_a_small_terminal_waits_for_the_interface() -> None:
    with memtui(*DEBIAN, columns=59, rows=20) as terminal:
        terminal.wait_for("available", "60x15")
        assert terminal.output.index(b"available") > terminal.output.index(DRIVER)


def test_keys_typed_meanwhile_arrive_and_are_not_echoed() -> None:
    with memtui(*DEBIAN) as terminal:
        terminal.wait_for("available", "stalled")
        terminal.type("5")
        terminal.wait_for("SECTION")
        # An echo would stand after what was drawn.
        assert terminal.output[: terminal.output.index(DRIVER)].endswith(b"\x1b[0m")
        terminal.type("q")
        assert terminal.wait_exit() == 0
        is_as_found(terminal)


@pytest.fixture
def interface(tmp_path: Path) -> Path:
    """A package that is found in Textual's place."""
    package = tmp_path / "textual" / "__init__.py"
    package.parent.mkdir()
    return package


def is_as_found(terminal: Terminal) -> None:
    assert terminal.modes_left() == {}
    assert terminal.settings() == terminal.settings_before
    assert b"Traceback" not in terminal.output


@pytest.mark.parametrize(
    ("how", "status"),
    [
        (signal.SIGTERM, 128 + signal.SIGTERM),
        (signal.SIGHUP, 128 + signal.SIGHUP),
        (signal.SIGINT, 130),
        ("^C", 130),
    ],
)
def test_ended_before_the_interface_is_there(
    interface: Path, how: signal.Signals | str, status: int
) -> None:
    interface.write_text("import time\ntime.sleep(1000)\n")
    with memtui(*DEBIAN, PYTHONPATH=str(interface.parent.parent)) as terminal:
        terminal.wait_for("available", "stalled")
        assert terminal.settings() != terminal.settings_before
        if isinstance(how, str):
            terminal.type(how)
        else:
            terminal.signal(how)
        assert terminal.wait_exit() == status
        is_as_found(terminal)


def test_an_interface_that_cannot_be_imported(interface: Path) -> None:
    interface.write_text("raise ModuleNotFoundError('no', name='textual')\n")
    with memtui(*DEBIAN, PYTHONPATH=str(interface.parent.parent)) as terminal:
        assert terminal.wait_exit() == 1
        assert "the dashboard needs textual" in terminal.text
        assert b"available" in terminal.output
        is_as_found(terminal)


def test_stopped_and_continued_before_the_interface_is_there(interface: Path) -> None:
    interface.write_text("import time\ntime.sleep(1000)\n")
    with memtui(*DEBIAN, PYTHONPATH=str(interface.parent.parent)) as terminal:
        terminal.wait_for("available", "stalled")
        terminal.type("^Z")
        wait_until(lambda: state(terminal.pid) == "T", "stopped")
        while terminal.pump(0):
            pass
        is_as_found(terminal)
        terminal.screen.reset()
        terminal.signal(signal.SIGCONT)
        terminal.wait_for("available", "stalled")
        terminal.type("^C")
        assert terminal.wait_exit() == 130
        is_as_found(terminal)
