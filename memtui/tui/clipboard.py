"""Where a copy goes: to the terminal, which may keep it or not, and says nothing of it."""

from __future__ import annotations

from collections.abc import Mapping


def sent_words(environment: Mapping[str, str]) -> str:
    """What to say of a text that was sent to the terminal (OSC 52), and what it may want for it."""
    term = environment.get("TERM", "")
    if environment.get("TMUX"):
        return "sent to the terminal: tmux takes it with `set -s set-clipboard on`"
    if environment.get("STY") or term.startswith("screen"):
        return "sent to the terminal, but screen does not take it"
    if term == "linux":
        return "sent to the terminal, but the console has no clipboard"
    return "sent to the terminal, for its clipboard if it allows that (OSC 52)"
