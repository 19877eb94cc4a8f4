"""The lab end to end: a real experiment in a terminal, and what is left of it when memtui is gone."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from memtui.lab.catalogue import experiment_of, names
from tests.conftest import HOSTS_DIR
from tests.terminal import Terminal, memtui, state, wait_until
from tests.test_cli import run

PROMISE = experiment_of("promise")
assert PROMISE is not None
STEPS = PROMISE.steps


def program_of(terminal: Terminal) -> int:
    """The pid of the experiment's program, once its map is on the screen."""
    found: list[str] = []

    def is_there() -> bool:
        found[:] = re.findall(r"(\d+) lab-promise", terminal.text)
        return bool(found)

    terminal.wait_until(is_there, "the program's map")
    return int(found[0])


def wait_for_title(terminal: Terminal, step: int, way: str) -> None:
    """Until that step is there, and Enter does that."""
    words = f"step {step} of {len(STEPS)} · {way}"
    terminal.wait_until(lambda: words in terminal.lines[1], words)


def wait_for_line(terminal: Terminal, pattern: str) -> None:
    """Until it is painted whole."""
    terminal.wait_until(lambda: re.search(pattern, terminal.text), pattern)


def wait_until_asked(terminal: Terminal, step: int) -> None:
    asks = STEPS[step - 1].prediction is not None
    wait_for_title(terminal, step, "a–" if asks else "Enter does it")


def wait_until_made(terminal: Terminal, step: int) -> None:
    wait_for_title(terminal, step, "Enter next" if step < len(STEPS) else "Enter ends it")


def keeper_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def are_gone(*pids: int) -> Callable[[], bool]:
    return lambda: all(state(pid) in ("", "Z") for pid in pids)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40)])
def test_an_experiment_to_its_end(columns: int, rows: int) -> None:
    with memtui("lab", "promise", columns=columns, rows=rows) as terminal:
        wait_until_asked(terminal, 1)
        assert "allocating is promising" in terminal.lines[1]
        program = program_of(terminal)
        keeper = keeper_of(program)
        terminal.type("a", "Enter")
        wait_until_made(terminal, 1)
        terminal.wait_for("you said a: right")
        wait_for_line(terminal, r"VIRT .* \+1\.0 GiB +✓ yes")
        terminal.type("Enter")
        wait_until_asked(terminal, 2)
        terminal.type("b", "Enter")
        wait_until_made(terminal, 2)
        wait_for_line(terminal, r"you said b: wrong, it is c")
        wait_for_line(terminal, r"RSS .* \+[0-9.]+ MiB +✓ yes")
        for step in range(3, len(STEPS) + 1):
            terminal.type("Enter")
            wait_until_asked(terminal, step)
            terminal.type("Enter")
            wait_until_made(terminal, step)
        terminal.type("3")
        terminal.wait_for(f"{program} lab-promise", "START")
        terminal.type("6")
        terminal.wait_for("Enter ends it")
        terminal.type("q")
        assert terminal.wait_exit() == 0
        assert terminal.modes_left() == {}
    wait_until(are_gone(program, keeper), "gone with memtui")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_when_memtui_is_killed(number: signal.Signals) -> None:
    with memtui("lab", "promise") as terminal:
        wait_until_asked(terminal, 1)
        program = program_of(terminal)
        keeper = keeper_of(program)
        terminal.type("Enter")
        wait_until_made(terminal, 1)
        terminal.signal(number)
        terminal.wait_exit()
        wait_until(are_gone(program, keeper), "gone with memtui")


def test_left_with_escape_its_program_is_gone_and_memtui_goes_on() -> None:
    with memtui("lab", "promise") as terminal:
        program = program_of(terminal)
        keeper = keeper_of(program)
        terminal.type("Esc")
        terminal.wait_for(f"{len(names())} experiments")
        wait_until(are_gone(program, keeper), "gone")
        terminal.type("1")
        terminal.wait_for("available")
        terminal.type("q")
        assert terminal.wait_exit() == 0


def test_without_a_terminal_it_prints() -> None:
    done = run("lab", "promise")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("allocating is promising (promise)\n")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("lab", "nosuch"), 2, "no experiment 'nosuch': there are "),
        (("lab", "one", "two"), 2, "'two' is one argument too many"),
    ],
)
def test_what_is_wrong_is_said_before_a_screen_is_opened(
    words: tuple[str, ...], status: int, said: str
) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1)
    assert done.stderr.startswith(f"memtui: {said}")


def test_below_root_it_says_why_there_is_none() -> None:
    root = str(HOSTS_DIR / "debian-6.18")
    with Terminal([sys.executable, "-m", "memtui", "--root", root, "lab", "promise"]) as terminal:
        terminal.wait_for("none can be had here", "not below --root")
        terminal.type("q")
        assert terminal.wait_exit() == 0
