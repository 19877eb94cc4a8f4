"""A copy is sent, and nobody can know whether it was taken."""

from __future__ import annotations

import pytest

from memtui.tui.clipboard import sent_words


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"TERM": "xterm-256color"}, "if it allows that (OSC 52)"),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/tmux-0/default,1,0"}, "set -s set-clipboard on"),
        ({"TERM": "screen", "STY": "12.pts-0"}, "screen does not take it"),
        ({"TERM": "linux"}, "the console has no clipboard"),
        ({}, "sent to the terminal"),
    ],
)
def test_the_terminal_gets_it_and_what_it_wants_is_named(
    environment: dict[str, str], words: str
) -> None:
    assert words in sent_words(environment)
    assert sent_words(environment).startswith("sent to the terminal")
