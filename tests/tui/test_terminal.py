"""The dashboard end to end: in a pseudo-terminal, as its user has it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import HOSTS_DIR
from tests.terminal import (
    PROJECT,
    SLEEP,
    Terminal,
    cursor_pid,
    memtui,
    names,
    pid_beside,
    sleeper,
    starts,
    state,
    wait_until,
)

DEBIAN = ("--root", str(HOSTS_DIR / "debian-6.18"))
HOSTILE = HOSTS_DIR / "hostile"
SIZES = ((80, 24), (120, 40), (200, 60))


def mem_total_kib(root: Path) -> int:
    return int((root / "proc/meminfo").read_text().split()[1])


def total_shown_kib(terminal: Terminal) -> tuple[float, float]:
    """The machine's memory in the header, and the most that rounding may have changed it by."""
    shown = re.search(r"host · ([\d.]+) ([KMGT])iB", terminal.lines[0])
    assert shown
    unit = 1024 ** "KMGT".index(shown[2])
    decimals = len(shown[1].partition(".")[2])
    return float(shown[1]) * unit, unit * 10**-decimals * 0.51


def is_restored(terminal: Terminal) -> None:
    """The terminal is as the next program expects it, and was something else meanwhile."""
    assert b"\x1b[?1049h" in terminal.output
    assert b"\x1b[?1049l" in terminal.output
    assert terminal.modes_left() == {}
    assert terminal.settings() == terminal.settings_before
    # The keyboard protocol is a stack: as many taken off as put on.
    assert terminal.output.count(b"\x1b[>1u") <= terminal.output.count(b"\x1b[<u")
    assert b"Traceback" not in terminal.output


@pytest.mark.parametrize(("columns", "rows"), SIZES)
@pytest.mark.parametrize("words", [(), DEBIAN], ids=["live", "captured"])
def test_real_figures_at_each_size(words: tuple[str, ...], columns: int, rows: int) -> None:
    root = Path(words[1]) if words else Path("/")
    with memtui(*words, columns=columns, rows=rows) as terminal:
        starts(terminal)
        terminal.wait_until(lambda: len(terminal.lines[0]) == columns - 1, "as wide as the screen")
        shown, rounding = total_shown_kib(terminal)
        assert shown == pytest.approx(mem_total_kib(root), abs=rounding)
        # Not while a machine that is too busy has given no sample for a while.
        terminal.wait_until(lambda: "LIVE 1 s" in terminal.lines[0], "live")
        assert ("captured machine" in terminal.lines[0]) == bool(words)
        terminal.wait_for("-1 min", "┤", "START")


@pytest.mark.parametrize("words", [(), DEBIAN], ids=["live", "captured"])
def test_the_map_beside_follows_the_cursor(words: tuple[str, ...]) -> None:
    with contextlib.ExitStack() as stack:
        if not words:  # processes that hold still, as rows that move take the cursor with them
            for _ in range(5):
                stack.enter_context(sleeper("memtui-rows"))
        terminal = stack.enter_context(memtui(*(words or ("memtui-rows",))))
        starts(terminal)
        seen = [cursor_pid(terminal)]
        for key in ("Down", "Down", "Down", "Up", "End", "Home"):
            terminal.type(key)
            terminal.wait_until(
                lambda: (
                    cursor_pid(terminal) not in ("", seen[-1])
                    and cursor_pid(terminal) == pid_beside(terminal)
                ),
                f"another map after {key}",
            )
            seen.append(cursor_pid(terminal))
        if words:  # nothing moves on a captured machine
            assert seen[4] == seen[2]
            assert seen[6] == seen[0]


def test_enter_opens_the_map_and_escape_goes_back() -> None:
    with memtui(*DEBIAN) as terminal:
        starts(terminal)
        terminal.type("Down")
        terminal.wait_until(lambda: pid_beside(terminal) == "874", "at 874")
        terminal.type("Enter")
        terminal.wait_for("874 python3 · user", "mappings · size", "KIND", "START")
        terminal.type("Esc")
        terminal.wait_until(
            lambda: pid_beside(terminal) == "874" and "KIND" not in terminal.text, "back at 874"
        )


def test_a_pid_opens_on_its_map() -> None:
    with sleeper() as child, memtui(str(child.pid)) as terminal:
        program = Path(os.path.realpath(sys.executable)).name
        terminal.wait_for(f" {child.pid} ", "START", program, "usage read")


def test_a_name_that_several_have_opens_the_list_filtered() -> None:
    with sleeper("memtui-twins") as one, sleeper("memtui-twins") as two:
        pids = {str(one.pid), str(two.pid)}
        with memtui("memtui-twins") as terminal:
            starts(terminal)
            terminal.wait_until(
                lambda: (
                    set(re.findall(r"^[▌ ] *(\d+) memtui-twins", terminal.text, re.M)) == pids
                    and cursor_pid(terminal) in pids
                    and names(terminal) == ["memtui-twins"] * 2
                ),
                "the two, and nobody else",
            )


def test_a_filter_leaves_what_it_fits() -> None:
    with memtui(*DEBIAN) as terminal:
        starts(terminal)
        terminal.wait_until(lambda: len(set(names(terminal))) > 3, "everyone")
        terminal.type("/")
        terminal.wait_for("filter:")
        terminal.type("REDIS")
        terminal.wait_until(lambda: names(terminal) == ["redis-server"], "filtered")
        terminal.type("Enter")
        terminal.wait_until(lambda: "filter:" not in terminal.lines[-1], "the prompt gone")
        terminal.wait_until(
            lambda: (
                pid_beside(terminal) == cursor_pid(terminal) != ""
                and names(terminal) == ["redis-server"]
            ),
            "its map",
        )
        terminal.type("Esc")
        terminal.wait_until(lambda: len(set(names(terminal))) > 3, "everyone again")


def test_a_resize_redraws() -> None:
    with memtui(*DEBIAN) as terminal:
        starts(terminal)
        for columns, rows in ((80, 24), (50, 12), (200, 60), (50, 12), (60, 15), (120, 40)):
            terminal.resize(columns, rows)
            if columns < 60:
                terminal.wait_for("60x15 shows the graph and the map", "23.5 GiB")
                continue
            starts(terminal)
            terminal.wait_until(
                lambda columns=columns: (  # type: ignore[misc]
                    terminal.lines[-1].startswith(" 1 Overview")
                    # The machine's right end, where there is room for it.
                    and (columns < 80 or len(terminal.lines[0]) == columns - 1)
                    and "60x15" not in terminal.text
                ),
                f"drawn at {columns}x{rows}",
            )


@pytest.mark.parametrize("key", ["q", "^C"])
def test_quit_leaves_the_terminal_as_it_was(key: str) -> None:
    with memtui() as terminal:
        starts(terminal)
        assert terminal.settings() != terminal.settings_before
        terminal.type(key)
        assert terminal.wait_exit() == 0
        is_restored(terminal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_the_terminal_as_it_was(number: signal.Signals) -> None:
    with memtui() as terminal:
        starts(terminal)
        terminal.signal(number)
        status = terminal.wait_exit()
        # An interrupt is what Ctrl+C sends, which is a way to quit.
        assert status == 128 + number or (status, number) == (0, signal.SIGINT)
        is_restored(terminal)


@pytest.mark.parametrize("further", [0, 1000, 2000, 3000, 4000, 6000])
def test_a_signal_while_it_starts(further: int) -> None:
    """The figures are there, the graphs not yet: whatever is still to be mounted is not."""
    with memtui() as terminal:
        terminal.wait_until(lambda: b"available" in terminal.output, "begun")
        size = len(terminal.output) + further
        terminal.wait_until(lambda: len(terminal.output) >= size, "further")
        terminal.signal(signal.SIGTERM)
        assert terminal.wait_exit() == 128 + signal.SIGTERM
        is_restored(terminal)


def test_a_lost_terminal_is_the_end() -> None:
    with memtui() as terminal:
        starts(terminal)
        terminal.hang_up()
        wait_until(lambda: terminal.process.poll() is not None, "ended")


def test_suspended_and_brought_back() -> None:
    shell = ["bash", "--norc", "--noprofile", "--noediting", "-i"]
    if not shutil.which("bash"):
        pytest.skip("needs bash")
    with sleeper() as child, Terminal(shell, environment={"PS1": "prompt> "}) as terminal:
        terminal.wait_for("prompt>")
        # What bash itself changes at its prompt is none of memtui's.
        settings = terminal.settings()
        terminal.type(f"{sys.executable} -m memtui {child.pid}", "Enter")
        terminal.wait_for("START  ", "usage read")
        children = Path(f"/proc/{terminal.pid}/task/{terminal.pid}/children")
        (own,) = (int(pid) for pid in children.read_text().split())
        try:
            terminal.type("^Z")
            terminal.wait_until(lambda: state(own) == "T", "stopped")
            terminal.wait_for("prompt>")
            assert terminal.modes_left() == {}
            assert terminal.settings() == settings
            terminal.type("echo six times seven is $((6 * 7))", "Enter")
            terminal.wait_for("is 42")
            before = len(terminal.output)
            terminal.type("fg", "Enter")
            # The alternate screen has no prompt.
            terminal.wait_until(lambda: b"\x1b[?1049h" in terminal.output[before:], "back")
            terminal.wait_for("START  ")
            # All of it, and not only what has changed since.
            terminal.wait_until(
                lambda: all(each in terminal.output[before:] for each in (b"LIVE", b"quit")),
                "painted whole",
            )
            assert state(own) != "T"
            child.kill()
            child.wait()
            terminal.wait_for("gone at")
            terminal.type("q")
            terminal.wait_until(lambda: state(own) == "", "ended")
            terminal.type("echo its status is $?.", "Enter")
            terminal.wait_for("its status is 0.")
            assert terminal.modes_left() == {}
            assert terminal.settings() == settings
        finally:
            if state(own):
                os.kill(own, signal.SIGKILL)


def become_sleep(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin
    child.stdin.write(b"\n")
    child.stdin.flush()


def code(terminal: Terminal) -> list[str]:
    """Where the executable mappings on the screen are; what of them is in memory may change."""
    return re.findall(r"([0-9a-f]{12}) .* r-xp ", terminal.text)


def mapped_code(pid: int) -> list[str]:
    """Where they are by the kernel."""
    text = Path(f"/proc/{pid}/maps").read_text()
    return [start.rjust(12, "0") for start in re.findall(r"^(\w+)-\w+ r-xp ", text, re.M)]


def test_the_map_of_a_process_that_ends_stays() -> None:
    # As sleep(1), all of whose mappings are on the screen.
    with sleeper() as child, memtui(str(child.pid), rows=60) as terminal:
        become_sleep(child)
        terminal.wait_for(f" {child.pid} sleep ", "START  ", "usage read")
        terminal.wait_until(lambda: code(terminal) == mapped_code(child.pid) != [], "its map")
        mappings = code(terminal)
        child.kill()
        child.wait()
        terminal.wait_for("gone at", "its last map")
        terminal.wait_until(lambda: code(terminal) == mappings, "still there")
        terminal.type("Esc")
        terminal.wait_until(
            lambda: pid_beside(terminal) == str(child.pid) and "gone at" in terminal.text, "back"
        )


def test_a_zombie_counts_as_gone() -> None:
    with sleeper() as child, memtui(str(child.pid)) as terminal:
        terminal.wait_for("START  ", "usage read")
        child.kill()  # and nobody waits for it
        terminal.wait_for("gone at", "START")


def test_an_exec_shows_the_new_program() -> None:
    program = Path(os.path.realpath(SLEEP)).name
    with sleeper() as child, memtui(str(child.pid)) as terminal:
        terminal.wait_for("START  ", "usage read")
        assert f"{child.pid} sleep" not in terminal.text
        become_sleep(child)
        terminal.wait_for(f" {child.pid} sleep ")
        terminal.wait_until(
            lambda: re.search(rf" r-xp .*\b{re.escape(program)}$", terminal.text, re.M),
            "the new program's mappings",
        )
        assert "gone" not in terminal.text


def test_in_a_pipe_it_names_the_reports() -> None:
    command = f"{sys.executable} -m memtui | cat; echo status ${{PIPESTATUS[0]}}"
    if not shutil.which("bash"):
        pytest.skip("needs bash")
    with Terminal(["bash", "-c", command], columns=200) as terminal:
        terminal.wait_exit()
        error, status = terminal.output.decode().splitlines()
        assert error.startswith("memtui: the dashboard needs a terminal")
        assert "memtui procs" in error
        assert status == "status 1"


def test_what_nobody_may_see() -> None:
    with as_nobody() as terminal:
        starts(terminal)
        terminal.wait_for("maps of own processes")
    with as_nobody("1") as terminal:
        terminal.wait_for("may not be read", "belongs to root", "as root")
        assert "Traceback" not in terminal.text


def as_nobody(*words: str) -> Terminal:
    """memtui as a user without any rights; skips where that cannot be."""
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv to become nobody")
    # This interpreter may be in root's home; its packages may be elsewhere.
    path = os.pathsep.join((str(PROJECT), sysconfig.get_path("purelib")))
    version = f"python3.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        probe = subprocess.run(
            [*become, python, "-c", "import memtui, textual"],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            check=False,
        )
        if probe.returncode == 0:
            argv = [*become, python, "-m", "memtui", *words]
            return Terminal(argv, environment={"PYTHONPATH": path})
    pytest.skip("nobody may run no Python with textual here")


# What the interface itself may send: CSI, queries, and the shape of the mouse's pointer.
_OWN_SEQUENCES = re.compile(r"\x1b\[[0-9;?<>=$]*[A-Za-z]|\x1b\]22;[a-z-]*\x07")
_FORBIDDEN = re.compile(
    "[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def hostile_bytes() -> set[bytes]:
    """From each control character in a name, line or path, to a few bytes behind it."""
    found: set[bytes] = set()
    for path in HOSTILE.glob("proc/[0-9]*/*"):
        if path.name in ("stat", "comm", "cmdline", "maps", "smaps", "cgroup"):
            for line in re.split(rb"[\n\0]", path.read_bytes()):
                found.update(re.findall(rb"(?=([\x01-\x08\x0b-\x1f\x7f][^\n\0]{4,8}))", line))
    return found


def test_other_peoples_names_are_not_obeyed() -> None:
    known = hostile_bytes()
    assert any(b"\x1b[31mred" in each for each in known)
    processes = sum(1 for _ in HOSTILE.glob("proc/[0-9]*"))
    with memtui("--root", str(HOSTILE)) as terminal:
        starts(terminal)
        seen = {cursor_pid(terminal)}
        for _ in range(processes - 1):
            before = cursor_pid(terminal)
            terminal.type("Down")
            terminal.wait_until(
                lambda before=before: (  # type: ignore[misc]
                    cursor_pid(terminal) not in ("", before)
                    and cursor_pid(terminal) == pid_beside(terminal)
                ),
                f"past {before}",
            )
            seen.add(cursor_pid(terminal))
            terminal.type("Enter")
            terminal.wait_until(lambda: "PID" not in terminal.text, "the map")
            terminal.type("PgDn")
            terminal.type("Esc")
            starts(terminal)
        assert len(seen) == processes
        terminal.wait_until(lambda: is_well_formed(terminal), "well formed")
        terminal.type("q")
        assert terminal.wait_exit() == 0
        is_restored(terminal)
        output = bytes(terminal.output)
    assert not [each for each in known if each in output]
    rest = _OWN_SEQUENCES.sub("", output.decode())
    assert not _FORBIDDEN.findall(rest)


def is_well_formed(terminal: Terminal) -> bool:
    """Header, footer, and the line between list and map in one column all the way."""
    lines, cells = terminal.lines, terminal.screen.buffer
    heads = [y for y, line in enumerate(lines) if re.match(" +PID NAME.*▏", line)]
    if not (heads and lines[0].startswith(" memtui ") and lines[-1].startswith(" 1 Overview")):
        return False
    line_x = next(x for x in range(terminal.screen.columns) if cells[heads[0]][x].data == "▏")
    return all(cells[y][line_x].data == "▏" for y in range(heads[0], terminal.screen.lines - 1))


def test_without_colours() -> None:
    with memtui(*DEBIAN, NO_COLOR="1") as terminal:
        starts(terminal)
        terminal.wait_for("23.5 GiB", "18.2 GiB")
        # Greys are left, which Textual makes of colours for NO_COLOR.
        for codes in set(re.findall(rb"\x1b\[([0-9;]*)m", terminal.output)):
            plain = re.sub(rb"[34]8;2;(\d+);\1;\1(?!\d)", b"", codes)
            numbers = {int(code) for code in plain.split(b";") if code}
            assert not numbers & {*range(30, 39), *range(40, 49), *range(90, 108)}, codes


@pytest.mark.parametrize("term", ["linux", "xterm", "vt220", "screen-256color"])
def test_on_plainer_terminals(term: str) -> None:
    with memtui(*DEBIAN, TERM=term, COLORTERM="") as terminal:
        starts(terminal)
        terminal.wait_for("23.5 GiB", "18.2 GiB")
        terminal.type("q")
        assert terminal.wait_exit() == 0
        is_restored(terminal)
