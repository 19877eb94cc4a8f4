"""The themes on a real terminal: whatever is written in them can be read."""

from __future__ import annotations

import pytest

from memtui.settings.table import THEMES
from memtui.tui import theme
from memtui.tui.palettes import PALETTES
from tests.conftest import HOSTS_DIR
from tests.terminal import Terminal, memtui, starts

DEBIAN = str(HOSTS_DIR / "debian-6.18")


def too_faint(terminal: Terminal, least: float, columns: range = range(120)) -> list[str]:
    """The letters and digits on the screen with less contrast to what is behind them than asked,
    and than there can be: neither black nor white has 7 on a middling colour."""
    found, read = [], 0
    for y, row in terminal.screen.buffer.items():
        for x in columns:
            cell = row[x]
            if not (cell.data.isalnum() and cell.data.isascii()):
                continue
            ink, ground = (cell.bg, cell.fg) if cell.reverse else (cell.fg, cell.bg)
            possible = max(theme.contrast(end, f"#{ground}") for end in ("#000000", "#ffffff"))
            ratio = theme.contrast(f"#{ink}", f"#{ground}")
            read += 1
            if ratio < min(least, possible) - 0.1:
                found.append(f"{ratio:.1f}: {cell.data} in {terminal.lines[y]}")
    assert read > 100
    return found


@pytest.mark.parametrize("name", THEMES)
def test_what_is_written_can_be_read(name: str) -> None:
    palette = PALETTES[name]
    # Of the default theme what is meant to be faint is fainter.
    least = palette.contrast or 1.2
    with memtui("--theme", name, "--root", DEBIAN) as terminal:
        starts(terminal)
        assert not too_faint(terminal, least)
        ground = terminal.screen.buffer[20][0].bg
        assert (theme.contrast(f"#{ground}", "#000000") < 2) == palette.dark
        terminal.type("3")
        terminal.wait_for("KIND", "everything", "rw-p")
        assert not too_faint(terminal, least)
        terminal.type("?")
        terminal.wait_for("KEYS IN MAP")
        assert not too_faint(terminal, least, range(20, 100))


def test_a_colour_is_moved_no_further_than_it_must() -> None:
    assert theme.legible("#000000", "#ffffff", 4.5) == "#000000"
    for colour in ("#d7ff87", "#ffffff", "#fbfbf9", "#888888"):
        for ground in ("#ffffff", "#000000", "#24436b"):
            moved = theme.legible(colour, ground, 4.5)
            assert theme.contrast(moved, ground) >= 4.5
    assert theme.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert theme.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
