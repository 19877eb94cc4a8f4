"""`memtui run` in a real terminal, on real programs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.programs import compiled
from tests.terminal import Terminal, memtui, state, wait_until
from tests.tui.test_terminal import is_restored

# It reads a line, says it again, and goes on until the next.
# What it says is not what stands in its command line, which is told too.
ECHO = (
    "import sys\nprint('re' 'ady', flush=True)\n"
    "for line in sys.stdin: print('heard', line.strip().upper())"
)
F12 = "\x1b[24~"
DOWN = "\x1b[B"


def watching(*command: str, columns: int = 120, rows: int = 40) -> Terminal:
    return memtui("run", "--", *command, columns=columns, rows=rows)


def program_pid(terminal: Terminal) -> int:
    """The pid in the run's line, once that is painted."""
    found: list[str] = []

    def is_there() -> bool:
        found[:] = re.findall(r"^ \S+ \((\d+)\) · ", terminal.text, re.M)
        return bool(found)

    terminal.wait_until(is_there, "the run's line")
    return int(found[0])


def titled_pid(terminal: Terminal) -> int:
    """The pid in the title of the sheet, once that is painted."""
    terminal.wait_until(lambda: re.search(r"\(\d+\)", terminal.lines[0]), "the sheet's title")
    return int(re.findall(r"\((\d+)\)", terminal.lines[0])[0])


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40)])
def test_a_crash_stands_explained_and_is_let_go(tmp_path: Path, columns: int, rows: int) -> None:
    crasher = compiled("nullwrite", tmp_path, "-g", "-O0")
    with watching(str(crasher), columns=columns, rows=rows) as terminal:
        terminal.wait_for("write to 0x", "a null pointer", "held", "exit 139", "WHAT HAPPENED")
        pid = titled_pid(terminal)
        assert state(pid) == "t"
        terminal.type("Esc")
        terminal.wait_for("its terminal", "Enter lets it die")
        assert state(pid) == "t"
        terminal.type("w")
        terminal.wait_for("WHAT HAPPENED")
        terminal.type("Enter")
        terminal.wait_for("q quits with 139", "peak RSS")
        assert state(pid) == ""
        terminal.type("q")
        assert terminal.wait_exit() == 139
        is_restored(terminal)


def test_the_map_of_a_child_that_crashed_is_shown(tmp_path: Path) -> None:
    crasher = compiled("nullwrite", tmp_path, "-g", "-O0")
    with watching("sh", "-c", f"{crasher}; echo status $?; sleep 1000") as terminal:
        terminal.wait_for("WHAT HAPPENED", "exit 139")
        child = titled_pid(terminal)
        terminal.type("Esc")
        terminal.wait_for(
            f" {child} nullwrite · user", f"nullwrite ({child}): SIGSEGV", "Enter lets it die"
        )
        terminal.type("Enter")
        terminal.wait_for("status 139")


def test_what_is_typed_in_the_pane_is_read_by_the_program() -> None:
    with watching(sys.executable, "-c", ECHO) as terminal:
        terminal.wait_for("ready", "F12 takes them back")
        terminal.type("h", "i", "Enter")
        terminal.wait_for("heard HI")
        terminal.type("\x04")  # Ctrl+D: the end of its input
        terminal.wait_for("exited 0", "q quits with 0")
        terminal.type("q")
        assert terminal.wait_exit() == 0
        is_restored(terminal)


def test_control_c_is_the_programs() -> None:
    with watching(sys.executable, "-c", ECHO) as terminal:
        terminal.wait_for("ready", "F12 takes them back")
        terminal.type("^C")
        terminal.wait_for("SIGINT", "q quits with 130")
        terminal.type("q")
        assert terminal.wait_exit() == 130


def test_quitting_while_it_runs_asks_first_and_kills() -> None:
    with watching("sleep", "1000") as terminal:
        terminal.wait_for("running", "F12 takes them back")
        pid = program_pid(terminal)
        terminal.type(F12)
        terminal.wait_for("gives it the keys")
        terminal.type("q")
        terminal.wait_for(f"quit and kill sleep ({pid})?")
        assert state(pid) != ""
        terminal.type(DOWN, "Enter")
        assert terminal.wait_exit() == 128 + signal.SIGKILL
        wait_until(lambda: state(pid) == "", "gone with it")
        is_restored(terminal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_memtui_that_is_ended_takes_the_program_with_it(number: signal.Signals) -> None:
    with watching("sh", "-c", "sleep 1000; true") as terminal:
        terminal.wait_for("running", "1 more process")
        pid = program_pid(terminal)
        terminal.signal(number)
        assert terminal.wait_exit() == 128 + number
        wait_until(lambda: state(pid) == "", "gone with it")
        is_restored(terminal)


def test_memtui_that_is_killed_takes_the_program_with_it() -> None:
    with watching("sleep", "1000") as terminal:
        terminal.wait_for("running")
        pid = program_pid(terminal)
        terminal.signal(signal.SIGKILL)
        assert terminal.wait_exit() == -signal.SIGKILL
        wait_until(lambda: state(pid) == "", "gone with it")


@pytest.mark.parametrize("further", [0, 3000, 12_000])
def test_a_terminal_that_is_lost_while_it_starts_is_the_end(further: int) -> None:
    with watching("sleep", "1000") as terminal:
        terminal.wait_until(lambda: len(terminal.output) > further, "begun")
        terminal.hang_up()
        wait_until(lambda: terminal.process.poll() is not None, "ended")


@pytest.mark.parametrize("shown", [b"LIVE", b"held", b"WHAT HAPPENED"])
def test_an_interrupt_while_a_crash_opens_is_no_defect(tmp_path: Path, shown: bytes) -> None:
    crasher = compiled("nullwrite", tmp_path, "-g", "-O0")
    with watching(str(crasher)) as terminal:
        terminal.wait_until(lambda: shown in terminal.output, "there")
        terminal.signal(signal.SIGINT)
        assert terminal.wait_exit() in (0, 128 + signal.SIGINT, 128 + signal.SIGKILL)
        is_restored(terminal)


def test_a_full_screen_program_has_the_size_of_its_pane_at_any_time(tmp_path: Path) -> None:
    tell = (
        "import os, signal\n"
        "tell = lambda *words: os.write(1, (' '.join(map(str, words)) + '\\n').encode())\n"
        "say = lambda *_: tell('size', *os.get_terminal_size(), os.environ['TERM'])\n"
        "signal.signal(signal.SIGWINCH, say); say()\n"
        "while True: signal.pause()"
    )
    with watching(sys.executable, "-c", tell) as terminal:
        terminal.wait_for("size 89 25 xterm-256color")
        terminal.resize(80, 24)
        terminal.wait_for("size 80 11")
        terminal.resize(200, 60)
        terminal.wait_for("size 91 41")


def test_an_editor_can_be_used(tmp_path: Path) -> None:
    if not shutil.which("vim"):
        pytest.skip("vim is not installed")
    file = tmp_path / "text"
    with watching("vim", "-u", "NONE", "-N", str(file)) as terminal:
        terminal.wait_for("F12 takes them back", "[New]")
        terminal.type("i")
        terminal.wait_for("-- INSERT --")
        terminal.type("o", "n", "e", "Enter", "t", "w", "o", "Up", "!", "Esc")
        terminal.wait_until(lambda: "INSERT" not in terminal.text, "out of it")
        terminal.type(":", "x", "Enter")
        terminal.wait_for("q quits with 0")
    assert file.read_text() == "one!\ntwo\n"


def test_rubbish_and_floods_leave_the_screen_usable() -> None:
    script = "head -c 300000 /dev/urandom; tput reset; yes | head -c 3000000; echo; echo 'all' done"
    with watching("bash", "-c", script) as terminal:
        terminal.wait_for("all done", "q quits with 0")
        terminal.wait_until(
            lambda: (
                terminal.lines[0].startswith(" memtui")
                and terminal.lines[-1].startswith(" 1 Overview")
            ),
            "the screen as ever",
        )
        terminal.type(F12, "q")  # it ended: nobody would get the keys
        assert terminal.wait_exit() == 0
        is_restored(terminal)


def test_keys_are_heard_while_it_floods() -> None:
    with watching("yes") as terminal:
        terminal.wait_for("running", "F12 takes them back")
        terminal.type(F12)
        terminal.wait_for("gives it the keys")
        terminal.type("2")
        terminal.wait_for("PID", "RSS")
        terminal.type("7")
        terminal.wait_for("F12 takes them back")
        terminal.type("^C")
        terminal.wait_for("q quits with 130")


def test_output_that_is_detached_goes_to_its_file(tmp_path: Path) -> None:
    file = tmp_path / "out"
    script = "import sys; print(repr(sys.stdin.read())); print('oops', file=sys.stderr)"
    with memtui(
        "run", "--detach-output", str(file), "--", sys.executable, "-c", script
    ) as terminal:
        terminal.wait_for("q quits with 0", "exited 0")
        assert "its terminal" not in terminal.text
        terminal.type("q")
        assert terminal.wait_exit() == 0
        is_restored(terminal)
    assert sorted(file.read_text().splitlines()) == ["''", "oops"]
    with memtui("run", "--detach-output", str(file), "--", "true") as terminal:
        assert terminal.wait_exit() == 1
        assert "exists, and is not written over" in terminal.text


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("no-such-program", 127, "memtui: no-such-program: no such command in PATH"),
        (os.devnull, 126, f"memtui: {os.devnull}"),
    ],
)
def test_a_program_that_cannot_be_started_is_a_line(command: str, status: int, words: str) -> None:
    with watching(command) as terminal:
        assert terminal.wait_exit() == status
        assert words in terminal.text
        assert b"\x1b[?1049h" not in terminal.output


def test_a_pipeline_has_each_of_its_processes_in_the_list() -> None:
    with watching("bash", "-c", "sleep 1000 | cat | sort") as terminal:
        terminal.wait_for("3 more processes")
        for name in ("bash", "sleep", "cat", "sort"):
            terminal.wait_until(
                lambda name=name: re.search(rf"\d+ {name} .*lives", terminal.text),  # type: ignore[misc]
                f"{name} in the list",
            )
