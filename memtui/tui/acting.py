"""Acting on a process: never without a question, and what went wrong is a line."""

from __future__ import annotations

import signal
from typing import Final

from memtui import units
from memtui.kernel.writes import ADJ_LEAST, ADJ_MOST, Change, Changes
from memtui.model.sample import ProcessSample
from memtui.tui.sheets.choice import Choice, ChoiceSheet
from memtui.tui.views.view import View
from memtui.tui.widgets import prompt
from memtui.tui.widgets.processes import ProcessList
from memtui.tui.words.processes import introduced

# The gentle one first, then those that are of use here, then all others by name.
_FIRST: Final = ("TERM", "INT", "HUP", "KILL", "STOP", "CONT", "QUIT", "USR1", "USR2")
_WORDS: Final = {
    "TERM": "asks it to end: most programs save what they have",
    "INT": "as Ctrl+C does",
    "HUP": "its terminal is gone; servers read their configuration again",
    "KILL": "ends it at once: it cannot save anything",
    "STOP": "halts it where it is; its memory stays",
    "CONT": "lets it go on after STOP",
    "QUIT": "as Ctrl+\\ does, with a core dump; Java prints its threads",
    "USR1": "what the program makes of it",
    "USR2": "what the program makes of it",
    "ABRT": "ends it with a core dump",
    "SEGV": "as a wild pointer would",
}


class Acting:
    """What a view offers to do to the processes of its list, each after a question that names one.

    Keeps what puts back the last thing that was done.
    """

    def __init__(self, view: View, listed: ProcessList) -> None:
        self._view, self._listed = view, listed
        self._changes = Changes(readonly=view.session.settings.readonly)
        self._undo: tuple[Change, ProcessSample] | None = None

    def signal(self, process: ProcessSample | None) -> None:
        """Asks which one, and then whether to send it."""
        if process is None:
            return

        def ask(taken: list[str] | None) -> None:
            if taken:
                self._ask(self._changes.signal(*process.key, taken[0]), process)

        choices = [Choice(name, words) for name, words in signal_names()]
        title = f"signal to {process.pid} {units.printable(process.name)}"
        self._view.app.push_screen(ChoiceSheet(title, choices, ("TERM",)), ask)

    async def adjust(self, process: ProcessSample | None) -> None:
        """Asks for another oom_score_adj, and then whether to set it."""
        if process is None:
            return

        def answer(text: str, final: bool) -> str:
            value = parse_adj(text)
            if value is None:
                return "a number from -1000 (never) to 1000 (first)" if text else ""
            if final:
                change = self._changes.oom_score_adj(*process.key, value)
                # Not from here: the answer would go to the prompt, which is gone by then.
                self._view.call_later(self._ask, change, process)
            return ""

        await prompt.ask(self._view, f"oom_score_adj of {process.pid}: ", answer)

    def undo(self) -> None:
        """Asks whether to put back the last thing that was done."""
        if self._undo is not None:
            self._ask(*self._undo)

    def why_not(self, process: ProcessSample | None) -> str:
        """Why nothing may be done to it, in a line; "" where something may."""
        session = self._view.session
        if session.is_replay:
            return "this is a recording, of the past: nothing can be changed in it"
        if session.is_past:
            return session.machine.no_acting
        if session.settings.readonly:
            return "read-only: nothing here changes the machine"
        if process is None or self._listed.facts is None:
            return "choose a process first"
        if self._listed.is_gone(process):
            return f"{process.pid} has ended"
        return session.machine.no_acting

    def why_no_undo(self) -> str:
        """Why there is nothing to put back, or it may not be; "" where it may."""
        if self._undo is not None:
            return self.why_not(self._undo[1])
        nothing = "nothing was done here that can be put back"
        return self.why_not(None) if self._view.session.is_past else nothing

    def _ask(self, change: Change, process: ProcessSample) -> None:
        def answer(taken: list[str] | None) -> None:
            if taken != ["yes"]:
                return
            if complaint := went_wrong(change, process.pid):
                self._view.notify(complaint, severity="error", markup=False)
                return
            self._undo = (change.undo, process) if change.undo else None
            back = " · u puts it back" if self._undo else ""
            self._view.notify(f"done: {change.words} {process.pid}{back}", markup=False)

        assert self._listed.facts is not None
        question = f"{change.words} {introduced(self._listed.facts, process)}?"
        choices = [Choice("no", "leave it alone"), Choice("yes", "do it")]
        self._view.app.push_screen(ChoiceSheet(question, choices, ("no",)), answer)


def signal_names() -> list[tuple[str, str]]:
    """Every signal by its name without SIG, and what it does."""
    known = [each.name.removeprefix("SIG") for each in signal.Signals]
    rest = sorted(name for name in known if name not in _FIRST)
    return [(name, _WORDS.get(name, "")) for name in (*_FIRST, *rest) if name in known]


def went_wrong(change: Change, pid: int) -> str:
    """Does it; what went wrong, or ""."""
    gap = change.do()
    if gap is None:
        return ""
    if gap.reason == "denied":
        if gap.detail:
            return f"{gap.detail}: nothing was done"
        if gap.source.endswith("oom_score_adj"):
            return f"not permitted: {change.words} {pid}; lowering it takes CAP_SYS_RESOURCE"
        return f"not permitted: {pid} is somebody else's"
    if gap.reason == "gone":
        return (
            f"{pid} is {gap.detail} by now: nothing was done" if gap.detail else f"{pid} has ended"
        )
    return f"{pid}: {gap.detail}"


def parse_adj(text: str) -> int | None:
    """An adjustment as somebody types it; None where it is none."""
    digits = text.strip().removeprefix("+")
    number = digits.removeprefix("-")
    if not (number.isascii() and number.isdecimal() and len(number) <= 4):
        return None
    value = int(digits)
    return value if ADJ_LEAST <= value <= ADJ_MOST else None
