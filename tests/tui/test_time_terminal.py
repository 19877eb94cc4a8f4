"""Back in time on a real terminal: on this machine, and in a recording."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.recording.machines import Machine, recording_process, wait_for_ticks
from tests.terminal import Terminal, memtui, starts, wait_until

MINUTES = 4


def clock(terminal: Terminal) -> str:
    """The time of day in the header; empty in the middle of a repaint."""
    found = re.search(r"\d\d:\d\d:\d\d", terminal.lines[0])
    return found[0] if found else ""


def clock_beside(terminal: Terminal, *words: str) -> str:
    """The time of day in the header, once these patterns are in it too."""
    found: list[str] = []

    def is_there() -> bool:
        line = terminal.lines[0]
        found[:] = [clock(terminal)]
        return found != [""] and all(re.search(each, line) for each in words)

    terminal.wait_until(is_there, f"a time of day beside {words}")
    return found[0]


def test_this_machine_a_few_samples_ago_and_now() -> None:
    with memtui("--interval", "0.2", columns=80, rows=24) as terminal:
        starts(terminal)

        def is_back() -> bool:
            terminal.type("[")
            return "◀" in terminal.lines[0]

        terminal.wait_until(is_back, "back")
        terminal.wait_until(lambda: " ago · 0 live" in terminal.lines[0])
        terminal.type("2")
        terminal.wait_for("LAST MIN")
        terminal.wait_until(lambda: "◀" in terminal.lines[0], "back still")
        # Time goes on meanwhile.
        ago = terminal.lines[0].partition(", ")[2]
        terminal.wait_until(lambda: terminal.lines[0].partition(", ")[2] not in ("", ago))
        terminal.type("0")
        terminal.wait_until(lambda: "LIVE" in terminal.lines[0] and "◀" not in terminal.lines[0])
        terminal.type("q")
        assert terminal.wait_exit() == 0


def test_what_is_shown_is_recorded_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "seen.memtui"
    with memtui("--interval", "0.2") as terminal:
        starts(terminal)
        terminal.type("R")
        terminal.wait_for("record to: ")

        def is_typed() -> bool:
            terminal.type("x")
            return "x" in terminal.lines[-1]

        terminal.wait_until(is_typed, "ready")
        terminal.type("\x15")  # once: it is done after what is typed behind it
        terminal.wait_until(
            lambda: terminal.lines[-1].split() == ["record", "to:", "Esc", "leaves"], "empty"
        )
        terminal.type(str(path), "Enter")
        terminal.wait_until(lambda: "● REC ● LIVE" in terminal.lines[0])
        wait_for_ticks(path, 3)
        terminal.type("R")
        terminal.wait_until(lambda: "REC" not in terminal.lines[0])
        terminal.type("q")
        assert terminal.wait_exit() == 0
    with memtui("replay", str(path)) as terminal:
        terminal.wait_until(lambda: re.search("REPLAY .*seen.memtui", terminal.lines[0]))


@pytest.fixture
def recorded(tmp_path: Path) -> str:
    """Four minutes of a machine that is made."""
    path = str(tmp_path / "made.memtui")
    machine = Machine(path)
    for _ in range(60 * MINUTES):
        machine.tick()
    machine.end()
    return path


def test_a_recording_is_played_and_gone_through(recorded: str) -> None:
    with memtui("replay", recorded, columns=80, rows=24) as terminal:
        end = clock_beside(terminal, "‖ REPLAY", "100 %")
        terminal.type("{", "{")
        middle = clock_beside(terminal, r"\b(49|50) %")
        assert middle < end
        terminal.type("]")
        terminal.wait_until(lambda: clock(terminal) > middle, "a step on")
        terminal.type("Space", ">", ">")
        played = clock_beside(terminal, "▶ REPLAY")
        terminal.wait_until(lambda: clock(terminal) > played, "played")
        terminal.type("Space")
        terminal.wait_until(lambda: "‖ REPLAY" in terminal.lines[0])
        terminal.type("6")
        terminal.wait_for("the lab is live only: this is a recording")
        terminal.type("T")
        terminal.wait_for("time (-15m")
        terminal.type("-3m", "Enter")
        terminal.wait_until(lambda: "" < clock(terminal) < middle, "gone to")
        terminal.type("0")
        terminal.wait_until(lambda: clock(terminal) == end, "at its end")
        terminal.type("q")
        assert terminal.wait_exit() == 0


def test_all_of_a_recording_is_a_row_where_there_is_room(recorded: str) -> None:
    with memtui("replay", recorded) as terminal:
        end = clock_beside(terminal)
        terminal.wait_until(
            lambda: "◀ " in terminal.lines[1] and terminal.lines[1].endswith(end), "the row"
        )
        x = terminal.lines[1].index("◀")
        terminal.type("{")
        terminal.wait_until(lambda: "◀" in terminal.lines[1] and terminal.lines[1].index("◀") < x)
        terminal.type("\x1b[<0;12;2M\x1b[<0;12;2m")  # a click near its begin
        terminal.wait_until(
            lambda: "◀" in terminal.lines[1][:12] and "" < clock(terminal) < end, "clicked"
        )


def test_a_file_that_is_being_written_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "live.memtui"
    recorder = recording_process(path)
    try:
        wait_for_ticks(path, 5)
        with memtui("replay", str(path)) as terminal:
            seen = clock_beside(terminal, "REPLAY")

            def is_later() -> bool:
                terminal.type("0")
                return clock(terminal) > seen

            terminal.wait_until(is_later, "followed")
    finally:
        recorder.terminate()
        recorder.wait()
        wait_until(lambda: recorder.poll() is not None)
