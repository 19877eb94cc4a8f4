"""Where in time a screen stands, in words: at every width the moment is there."""

from __future__ import annotations

import pytest

from memtui.tui.words.cells import cells
from memtui.tui.words.frame import header_line
from memtui.tui.words.time import PAST, Replaying, Standing, standing_forms
from tests.interface import MACHINE
from tests.samples import GIB, process, sample

SAMPLE = sample(1000.0, process(10, "big", 500))
PAST_MOMENT = Standing("14:32:07", 372.0)
PLAYED = Standing("14:32:07", day="29 Nov", replaying=Replaying("db7.memtui", 5.0, 0.374))


def header(width: int, standing: Standing, host: str = "db7", state: str = "LIVE") -> str:
    line = header_line(
        width,
        MACHINE._replace(name=host),
        SAMPLE,
        state,
        1.0,
        total_bytes=62 * GIB,
        standing=standing,
    )
    assert cells(line) <= width
    return "".join(text for text, _ in line)


def test_a_moment_stands_where_live_does() -> None:
    words = header(80, PAST_MOMENT)
    assert words.startswith(" memtui  db7 · host · 62.0 GiB ")
    assert words.endswith(" ◀ 14:32:07, 6 min 12 s ago · 0 live ")
    assert "LIVE" not in words


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 120, 200])
@pytest.mark.parametrize(
    "standing",
    [
        PAST_MOMENT,
        PAST_MOMENT._replace(records=True),
        PAST_MOMENT._replace(missing="maps and details of processes were not kept"),
        PLAYED,
        PLAYED._replace(replaying=Replaying("a-long-name-of-a-file" * 9, 0.0, None)),
    ],
)
def test_the_moment_is_there_at_every_width(width: int, standing: Standing) -> None:
    words = header(width, standing, host="a-host-with-a-long-name." * 4)
    assert "14:32:07" in words
    assert "LIVE" not in words


def test_what_was_not_kept_is_said_before_how_to_get_back() -> None:
    lacking = PAST_MOMENT._replace(missing="maps not kept")
    assert "maps not kept · 0 live" in header(120, lacking)
    assert "14:32:07 · maps not kept " in header(38, lacking)
    assert "not all kept" in header(
        38, PAST_MOMENT._replace(missing="maps and details were not kept")
    )


def test_of_a_replay_what_was_not_kept_is_said_before_its_file() -> None:
    lacking = PLAYED._replace(missing="map of 2851 read 37 s before", day="")
    assert header(120, lacking).endswith("db7.memtui · 5 × · 37 % · map of 2851 read 37 s before ")
    assert "· map of 2851 read 37 s before " in header(80, lacking)
    assert "REPLAY 14:32:07 · map of 2851 read 37 s before " in header(60, lacking)
    assert "not all kept" in header(45, lacking)


def test_a_recording_says_its_file_and_its_speed() -> None:
    words = header(120, PLAYED)
    assert " ▶ REPLAY 29 Nov 14:32:07 db7.memtui · 5 × · 37 % " in words
    paused = PLAYED._replace(replaying=Replaying("db7.memtui", 0.0, 0.5))
    assert " ‖ REPLAY 29 Nov 14:32:07 db7.memtui · paused · 50 % " in header(120, paused)
    assert " ‖ REPLAY 29 Nov 14:32:07 " in header(80, paused)


def test_a_files_name_is_other_peoples_text() -> None:
    odd = PLAYED._replace(replaying=Replaying("\x1b[31mred", 1.0, None))
    assert "\x1b" not in header(120, odd)


def test_recording_is_said_beside_live_too() -> None:
    assert "● REC ● LIVE 1 s" in header(80, Standing(records=True))
    assert "REC" not in header(80, Standing())


def test_the_moment_has_a_colour_that_nothing_else_has() -> None:
    for form in standing_forms(PAST_MOMENT):
        assert [text for text, style in form if style == PAST and "14:32:07" in text]
    plain = header_line(120, MACHINE, SAMPLE, "LIVE", 1.0)
    assert all(style.bgcolor is None for _, style in plain)


def test_without_colours_a_glyph_of_the_console_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "linux")
    assert " < 14:32:07, 6 min" in header(80, PAST_MOMENT)
    assert " > REPLAY " in header(80, PLAYED)
