"""The themes on a real terminal: whatever is written in them can be read."""

from __future__ import annotations

import pytest

from memtui.config import THEMES
from memtui.tui import theme
from memtui.tui.palettes import PALETTES
from tests.conftest import HOSTS_DIR
from tests.terminal import Terminal, memtui, starts

DEBIAN = str(HOSTS_DIR / "debian-6.18")
# Characters that are areas and lines, not text.
_DRAWN = "█▓▒░▁▂▃▄▅▆▇▌▐▏│┤├└┘┌┐─┬┴┼╎▊▎ "


def contrasts(terminal: Terminal) -> list[tuple[float, str]]:
    """Of every letter and digit on the screen, its contrast to what is behind it, and its line."""
    found = []
    for y, row in terminal.screen.buffer.items():
        for cell in row.values():
            if cell.data.isalnum() and cell.data.isascii() and cell.data not in _DRAWN:
                colours = [cell.bg, cell.fg] if cell.reverse else [cell.fg, cell.bg]
                if "default" not in colours:
                    ratio = theme.contrast(f"#{colours[0]}", f"#{colours[1]}")
                    found.append((ratio, terminal.lines[y]))
    return found


@pytest.mark.parametrize("name", THEMES)
def test_what_is_written_can_be_read(name: str) -> None:
    with memtui("--theme", name, "--root", DEBIAN) as terminal:
        starts(terminal)
        looks = [contrasts(terminal)]
        ground = terminal.screen.buffer[20][0].bg
        terminal.type("3")
        terminal.wait_for("KIND", "everything", "rw-p")
        looks.append(contrasts(terminal))
        terminal.type("?")
        terminal.wait_for("KEYS EVERYWHERE")
        looks.append([each for each in contrasts(terminal) if "  Tab  " in each[1]])
        terminal.type("^C")
        assert terminal.wait_exit() == 0
    palette = PALETTES[name]
    assert (theme.contrast(f"#{ground}", "#000000") < 2) == palette.dark
    # Of the default theme only what is meant to be faint is fainter.
    least = palette.contrast or 1.0
    for look in looks:
        assert look
        assert min(look) >= (least - 0.1, "")


def test_a_colour_is_moved_no_further_than_it_must() -> None:
    assert theme.legible("#000000", "#ffffff", 4.5) == "#000000"
    for colour in ("#d7ff87", "#ffffff", "#fbfbf9", "#888888"):
        for ground in ("#ffffff", "#000000", "#24436b"):
            moved = theme.legible(colour, ground, 4.5)
            assert theme.contrast(moved, ground) >= 4.5
    assert theme.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert theme.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
