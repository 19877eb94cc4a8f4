"""The pane's terminal without a pane: what an emulator shows of any bytes, and what keys are sent as."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.style import Style
from textual import events
from textual._xterm_parser import XTermParser

from memtui import units
from memtui.tui.widgets.emulator import Emulator
from memtui.tui.xtermkeys import encoded, pasted

CURSOR = Style(reverse=True, blink=True)


def emulator(*written: bytes, columns: int = 20, rows: int = 4) -> Emulator:
    made = Emulator(columns, rows, lambda reply: None)
    for data in written:
        feed(made, data)
    return made


def feed(to: Emulator, data: bytes) -> None:
    while data:
        data = data[to.feed(data) :]


def text(shown: Emulator, y: int = 0) -> str:
    return "".join(text for text, _ in shown.line(y, Style.null()))


def texts(shown: Emulator) -> list[str]:
    return [text(shown, y).rstrip() for y in range(shown.size[1])]


def test_colours_and_attributes_of_a_line() -> None:
    shown = emulator(
        b"a\x1b[1;31mb\x1b[0;38;5;200mc\x1b[48;2;1;2;3md\x1b[0;7me\x1b[0;93;4mf\x1b[0;33;3;9mg"
    )
    hide = b"\x1b[?25l"
    feed(shown, hide)
    assert shown.line(0, CURSOR) == [
        ("a", Style()),
        ("b", Style(color="red", bold=True)),
        ("c", Style(color="#ff00d7")),
        ("d", Style(color="#ff00d7", bgcolor="#010203")),
        ("e", Style(reverse=True)),
        ("f", Style(color="bright_yellow", underline=True)),
        ("g", Style(color="yellow", italic=True, strike=True)),
        (" " * 13, Style()),
    ]


def test_wide_and_combining_characters_take_their_cells() -> None:
    shown = emulator("한글e\u0301x".encode())
    assert text(shown).rstrip() == "한글éx"
    assert units.width(text(shown)) == 20
    # One half overwritten leaves the other blank.
    feed(shown, b"\x1b[1;2HZ")
    assert text(shown).rstrip() == " Z글éx"
    assert units.width(text(shown)) == 20


def test_the_cursor_has_a_style_of_its_own_and_can_be_hidden() -> None:
    shown = emulator("ab한".encode(), b"\x1b[1;3H")
    assert (shown.cursor, shown.line(0, CURSOR)[:2]) == ((2, 0), [("ab", Style()), ("한", CURSOR)])
    feed(shown, b"\x1b[?25l")
    assert shown.cursor is None
    assert CURSOR not in [style for _, style in shown.line(0, CURSOR)]


def test_a_full_screen_program_leaves_what_was_before_it() -> None:
    shown = emulator(b"$ less\r\n", b"\x1b[?1049h\x1b[H\x1b[2Jfile\r\n:")
    assert texts(shown) == ["file", ":", "", ""]
    feed(shown, b"\x1b[?1049l")
    assert texts(shown) == ["$ less", "", "", ""]
    assert shown.cursor == (0, 1)


def test_what_xterm_has_beyond_a_vt102() -> None:
    assert texts(emulator(b"1\r\n2\r\n3\r\n4\x1b[2S")) == ["3", "4", "", ""]
    assert texts(emulator(b"1\r\n2\r\n3\r\n4\x1b[T")) == ["", "1", "2", "3"]
    assert text(emulator(b"-\x1b[5b|")).rstrip() == "------|"
    assert text(emulator(b"\x1b(0lqk\x1b(Bq")).rstrip() == "┌─┐q"


def test_what_it_does_not_know_is_not_shown() -> None:
    unknown = (
        b"\x1b[>4;1m\x1b[=5u\x1b[2 q\x1b[!p\x1b[4:3m\x1bP+q544e\x1b\\\x1b]0;title\x07\x1b[?1$p"
    )
    shown = emulator(b"a", unknown, b"b")
    assert text(shown).rstrip() == "ab"
    # Whatever pieces it comes in.
    pieces = (bytes([each]) for each in b"a" + unknown + b"b")
    assert text(emulator(*pieces)).rstrip() == "ab"


def test_it_answers_where_the_cursor_is_and_what_it_is() -> None:
    replies: list[bytes] = []
    shown = Emulator(20, 4, replies.append)
    feed(shown, b"ab\x1b[6n\x1b[c")
    assert replies == [b"\x1b[1;3R", b"\x1b[?6c"]


def test_a_smaller_terminal_keeps_what_is_at_the_cursor() -> None:
    shown = emulator(b"1\r\n2")
    shown.resize(20, 2)
    assert texts(shown) == ["1", "2"]
    shown = emulator(b"1\r\n2\r\n3\r\n4")
    shown.resize(10, 2)
    assert (texts(shown), shown.cursor) == (["3", "4"], (1, 1))


def test_a_string_that_never_ends_does_not_swallow_what_follows() -> None:
    shown = emulator(b"\x1b]" + b"x" * 10_000, b"\r\nshown", columns=80)
    assert "shown" in texts(shown)


def test_only_what_changed_is_to_be_drawn_again() -> None:
    shown = emulator(b"1\r\n2\r\n3")
    shown.take_changed()
    feed(shown, b"\x1b[1;1Hx")
    assert shown.take_changed() == {0, 2}  # where the cursor was, too


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=80), st.sampled_from((b"\x1b[", b"\x1b]", b"9;9H", b"?1049h")))
    )
)
def test_any_bytes_leave_a_screen_of_that_size(pieces: list[bytes]) -> None:
    shown = emulator(*pieces)
    for y in range(4):
        line = text(shown, y).replace("\ufffd", "?")
        assert units.width(line) == 20
        assert units.printable(line) == line
    shown.take_changed()


def test_text_that_runs_on_is_shown_by_its_end() -> None:
    lines = [b"\x1b[32m%d\x1b[0m is a line" % number for number in range(50_000)]
    slow = emulator(b"\r\n".join(lines[-20:]))
    began_s = time.process_time()
    quick = emulator(b"\r\n".join(lines))
    took_s = time.process_time() - began_s
    assert [quick.line(y, CURSOR) for y in range(4)] == [slow.line(y, CURSOR) for y in range(4)]
    # Had each line been drawn, this would be a second and more: 10 µs a character.
    began_s = time.process_time()
    emulator(*(line + b"\r\n" for line in lines[:2_000]))
    assert took_s < (time.process_time() - began_s) * 25 / 4


# Each as a terminal sends it, and as Textual calls it.
SENT = (
    "\x1b[A \x1b[B \x1b[C \x1b[D \x1b[H \x1b[F \x1b[1;2A \x1b[1;5C \x1b[1;3D \x1b[1;6B \x1b[1;5H "
    "\x1b[5~ \x1b[6~ \x1b[5;5~ \x1b[2~ \x1b[3~ \x1b[3;5~ \x1bOP \x1bOQ \x1bOR \x1bOS \x1b[15~ "
    "\x1b[17~ \x1b[24~ \x1b[1;2P \x1b[15;5~ \x1b[Z \x01 \x03 \x1a \x1c \x1d \x1e \x1f \x00 \x7f "
    "\r \t \n é 한 [ ] ~ a Z 0"
).split(" ")


@pytest.mark.parametrize("sent", [*SENT, " "])
def test_a_key_is_sent_on_as_it_came(sent: str) -> None:
    (event,) = XTermParser().feed(sent)
    assert isinstance(event, events.Key)
    assert encoded(event.key, event.character) == sent.encode()


@pytest.mark.parametrize(
    ("key", "character", "sent"),
    [
        ("escape", "\x1b", b"\x1b"),
        ("ctrl+c", None, b"\x03"),
        ("ctrl+left_square_bracket", None, b"\x1b"),
        ("ctrl+space", None, b"\0"),
        ("ctrl+backspace", None, b"\x08"),
        ("alt+backspace", None, b"\x1b\x7f"),
        ("alt+enter", None, b"\x1b\r"),
        ("alt+a", "a", b"\x1ba"),
        ("alt+shift+x", None, b"\x1bX"),
        ("shift+enter", None, b"\r"),
        ("f20", None, b""),
        ("ctrl+é", None, b""),
    ],
)
def test_keys_by_their_names(key: str, character: str | None, sent: bytes) -> None:
    assert encoded(key, character) == sent


def test_cursor_keys_in_the_other_mode() -> None:
    shown = emulator(b"\x1b[?1h")
    assert shown.cursor_mode
    assert encoded("up", None, cursor_mode=True) == b"\x1bOA"
    assert encoded("ctrl+up", None, cursor_mode=True) == b"\x1b[1;5A"
    assert encoded("pageup", None, cursor_mode=True) == b"\x1b[5~"


def test_pasted_text_cannot_end_its_bracket() -> None:
    assert pasted("a\nb\r\nc", bracketed=False) == b"a\rb\rc"
    assert pasted("a\x1b[201~rm", bracketed=True) == b"\x1b[200~a[201~rm\x1b[201~"
    assert emulator(b"\x1b[?2004h").bracketed_paste
