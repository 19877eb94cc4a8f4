"""A recording in the dashboard, in a real terminal."""

from __future__ import annotations

from pathlib import Path

from tests.recording.machines import Machine
from tests.terminal import memtui


def test_a_recording_is_opened_where_it_ends_and_left_again(tmp_path: Path) -> None:
    path = str(tmp_path / "day.memtui")
    machine = Machine(path)
    for _ in range(70):
        machine.tick()
    machine.end()
    before = Path(path).read_bytes()
    with memtui("replay", path) as terminal:
        terminal.wait_for("available", "stalled", "not recorded")
        terminal.type("2")
        terminal.wait_for("limits: it was not recorded")
        terminal.type("q")
        assert terminal.wait_exit() == 0
    assert Path(path).read_bytes() == before
