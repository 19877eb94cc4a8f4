"""`memtui run --headless`: programs as they are, their story, and their own exit status."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.terminal import PROJECT, Terminal, wait_until
from tests.watch.forbidding import is_possible
from tests.watch.runs import is_alive, lives

__all__ = ["lives"]

MEMTUI = (sys.executable, "-m", "memtui", "run", "--headless")
NOBODY = 65534


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """memtui with these words, its output as text with strange bytes kept."""
    return subprocess.run(
        [*MEMTUI, *words],
        cwd=options.pop("cwd", PROJECT),
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=60,
        check=False,
        **options,
    )


def told(*words: str, **options: Any) -> dict[str, Any]:
    """The document of a run; its exit status is memtui's."""
    done = run("--json", "--", *words, **options)
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == found["exit_status"]
    return found


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137), ("kill -TERM $$", 143)],
)
def test_the_exit_status_is_the_programs_own(script: str, status: int) -> None:
    done = run("--", "sh", "-c", f"echo here; {script}")
    assert (done.returncode, done.stdout) == (status, "here\n")
    assert f"exit status {status}\n" in done.stderr


def test_the_document_of_a_run() -> None:
    found = told("sh", "-c", "ls / >/dev/null; exit 3")
    assert found["command"] == "sh -c ls / >/dev/null; exit 3"
    assert (found["exit_status"], found["signal"], found["core_dumped"]) == (3, None, False)
    assert found["crash"] is None and found["missing"] == []
    assert 0 < found["ended_with_bytes"] <= found["peak_rss_bytes"]
    assert found["minor_faults"] > 0 and found["major_faults"] >= 0
    phases = found["phases"]
    assert phases[0]["name"] == "start" and len(phases) == 2
    assert sum(each["duration_s"] for each in phases) == pytest.approx(found["duration_s"])
    (child,) = found["processes"]
    assert (child["name"], child["parent"], child["exit_status"]) == ("ls", found["pid"], 0)
    happened = [(each["pid"], each["what"]) for each in found["happenings"]]
    assert happened[:2] == [(found["pid"], "start"), (found["pid"], "exec")]
    assert (child["pid"], "exec") in happened
    assert happened[-1] == (found["pid"], "exit")
    times = [each["at_s"] for each in found["happenings"]]
    assert times[-1] - times[0] == pytest.approx(found["duration_s"])


def test_a_crash_is_explained(lives: str) -> None:
    done = run("--json", "--", lives, "null")
    found = json.loads(done.stdout)
    assert (done.returncode, found["exit_status"], found["signal"]) == (139, 139, "SIGSEGV")
    crash = found["crash"]
    assert (crash["signal"], crash["code"]) == ("SIGSEGV", "SEGV_MAPERR")
    assert crash["address"] == "0x10"
    text = run("--", lives, "null").stderr
    assert "\nwrite to 0x10: not mapped, a null pointer plus 0x10" in text
    assert "was ended by SIGSEGV" in text and "exit status 139\n" in text


def test_the_crash_of_a_child_is_told_too(lives: str) -> None:
    found = told("sh", "-c", f"{lives} null; exit 0")
    assert found["exit_status"] == 0
    (child,) = found["processes"]
    assert child["signal"] == "SIGSEGV"
    assert child["crash"] == found["crash"] is not None


def test_what_it_prints_goes_to_standard_error_beside_the_document() -> None:
    done = run("--json", "--", "sh", "-c", "echo out; echo err >&2")
    assert done.stderr == "out\nerr\n"
    assert json.loads(done.stdout)["exit_status"] == 0


def test_what_it_prints_may_go_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "printed"
    done = run("--json", "--detach-output", str(path), "--", "sh", "-c", "echo out; echo err >&2")
    assert (done.stderr, path.read_text()) == ("", "out\nerr\n")
    assert json.loads(done.stdout)["exit_status"] == 0
    again = run("--detach-output", str(path), "--", "echo", "more")
    assert again.returncode == 1
    assert again.stderr == f"memtui: {path} exists, and is not written over: choose another name\n"
    assert path.read_text() == "out\nerr\n"


def test_a_file_for_nothing_is_not_left(tmp_path: Path) -> None:
    path = tmp_path / "printed"
    assert run("--detach-output", str(path), "--", "no-such-command").returncode == 127
    assert not path.exists()


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["--", "no-such-command"], 127, "no-such-command: no such command in PATH"),
        (["--", "/etc/passwd"], 126, "/etc/passwd: not executable: chmod +x makes a program so"),
        (["ls"], 2, "what to run stands after --: memtui run -- ls …"),
        (["--"], 2, "run needs CMD [ARG …] after --: memtui run --help"),
        (["--csv", "--", "ls"], 2, "run is no table, and so no --csv: take --json"),
        (
            ["--root", "tests/hosts/debian-6.18", "--", "ls"],
            2,
            "run starts a program on this machine, and --root is of another",
        ),
    ],
)
def test_what_cannot_be_run(words: Sequence[str], status: int, complaint: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", f"memtui: {complaint}\n")


def test_without_a_terminal_it_has_no_screen() -> None:
    argv = [sys.executable, "-m", "memtui", "run", "--", "echo", "its own"]
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout == "its own\n"
    assert "WHAT HAPPENED" in done.stderr and "exec echo" in done.stderr


# A stopped job in a group that no shell looks after, as under nohup, in a container or in CI: where one
# of the group ends whose parent is in another group of the session, the kernel hangs all of it up.
_BESIDE_A_STOPPED_JOB = """
import os, signal, subprocess, sys
job = subprocess.Popen(["sleep", "1000"])
job.send_signal(signal.SIGSTOP)
os.waitpid(job.pid, os.WUNTRACED)
done = subprocess.run([sys.executable, "-m", "memtui", "run", "--headless", "--", "true"])
job.kill()
sys.exit(done.returncode)
"""


def test_its_end_hangs_nobody_up() -> None:
    argv = [sys.executable, "-c", _BESIDE_A_STOPPED_JOB]
    done = subprocess.run(
        argv, cwd=PROJECT, capture_output=True, check=False, start_new_session=True
    )
    assert done.returncode == 0


def test_rubbish_on_standard_output_is_left_as_it_is() -> None:
    rubbish = bytes(range(256)) * 4
    script = f"import sys; sys.stdout.buffer.write({rubbish!r})"
    done = subprocess.run(
        [*MEMTUI, "--", sys.executable, "-c", script], cwd=PROJECT, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, rubbish)


def test_its_input_is_the_programs() -> None:
    assert run("--", "tr", "a-z", "A-Z", input="words\n").stdout == "WORDS\n"


def test_names_of_other_people_are_not_obeyed(tmp_path: Path) -> None:
    program = tmp_path / "a\x1b[31m\nb"
    program.symlink_to(shutil.which("true") or "/bin/true")
    done = run("--", str(program))
    assert done.returncode == 0
    assert "\x1b" not in done.stderr and "a\\e[31m\\nb" in done.stderr


def test_many_happenings_are_told_in_part() -> None:
    script = "i=0; while [ $i -lt 100 ]; do /bin/true; i=$((i+1)); done"
    done = run("--", "sh", "-c", script)
    assert done.returncode == 0
    assert "more, all of them with --json\n" in done.stderr
    assert done.stderr.count("\n") < 300
    assert len(told("sh", "-c", script)["processes"]) == 100


def test_ctrl_c_is_for_the_program() -> None:
    """memtui waits for what the program makes of it, and tells it."""
    script = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.01; done"
    with Terminal([*MEMTUI, "--", "sh", "-c", script]) as terminal:
        terminal.wait_for("ready")
        terminal.type("^C")
        assert terminal.wait_exit() == 9
        # It may have been scrolled away: the longer it took, the more happened.
        assert b"caught\r\n" in terminal.output and b"exit status 9" in terminal.output


def test_ctrl_z_stops_both_and_both_go_on(tmp_path: Path) -> None:
    # What it says is not what is typed, of which a line may begin anywhere.
    script = 'echo re""ady; read word; echo got $word'
    with Terminal(["bash", "-i"], directory=tmp_path) as terminal:
        environment = f"PYTHONPATH={PROJECT}"
        words = " ".join([environment, *MEMTUI, "--", "sh", "-c", f"'{script}'"])
        terminal.type(words, "Enter")
        terminal.wait_until(lambda: "\nready" in terminal.text)
        terminal.type("^Z")
        terminal.wait_for("Stopped")
        terminal.wait_until(lambda: not terminal.settings()[3] & termios.ICANON)
        terminal.type("fg", "Enter")
        # The shell's own line is read letter by letter: what is typed there has no end of a line.
        terminal.wait_until(lambda: terminal.settings()[3] & termios.ICANON)
        terminal.type("this", "Enter")
        terminal.wait_for("got this", "stopped by SIGTSTP", "exit status 0")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)]
)
def test_the_end_of_memtui_is_the_programs(number: signal.Signals, status: int, lives: str) -> None:
    with subprocess.Popen(
        [*MEMTUI, "--", lives, "wait"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as memtui:
        assert memtui.stdout and memtui.stdout.readline() == "ready\n"
        watcher = children(memtui.pid)
        (program,) = children(*watcher)
        memtui.send_signal(number)
        assert memtui.wait(60) == status
    wait_until(lambda: not is_alive(program), "ended")
    wait_until(lambda: not any(map(is_alive, watcher)), "ended")


def test_a_second_sigterm_ends_who_does_not_heed_the_first() -> None:
    script = "trap 'echo caught' TERM; echo ready; while :; do sleep 0.01; done"
    with subprocess.Popen(
        [*MEMTUI, "--", "sh", "-c", script],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as memtui:
        assert memtui.stdout
        for said in ("ready\n", "caught\n"):
            assert memtui.stdout.readline() == said
            memtui.send_signal(signal.SIGTERM)
        assert memtui.wait(60) == 137


def test_what_nohup_ignores_is_ignored_by_the_program() -> None:
    """And Ctrl+C's signal is not, which Python takes for itself."""
    script = "kill -HUP $$; echo here; kill -INT $$; echo never"
    done = subprocess.run(
        ["sh", "-c", f"trap '' HUP; exec {' '.join(MEMTUI)} -- sh -c '{script}'"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (130, "here\n")


def children(*pids: int) -> list[int]:
    found = []
    for pid in pids:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        found += list(map(int, text.split()))
    return found


@pytest.mark.skipif(not is_possible(), reason="the number of ptrace is not known here")
class TestWithoutPtrace:
    """As in a container: what the program did is told, and what is missing."""

    def told(self, *words: str) -> tuple[dict[str, Any], int]:
        forbidding = [sys.executable, "-m", "tests.watch.forbidding"]
        done = subprocess.run(
            [*forbidding, *MEMTUI, "--json", "--", *words],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found, done.returncode

    def test_its_end_is_known(self, lives: str) -> None:
        found, status = self.told("sh", "-c", "exit 3")
        assert (status, found["exit_status"]) == (3, 3)
        (missing,) = found["missing"]
        assert (missing["source"], missing["reason"]) == ("ptrace", "denied")
        assert "only the program itself is seen" in missing["detail"]

    def test_the_kernels_log_says_why(self, lives: str) -> None:
        found, status = self.told(lives, "null")
        assert (status, found["signal"], found["crash"]) == (139, "SIGSEGV", None)
        notes = [each["words"] for each in found["happenings"] if each["what"] == "note"]
        if notes:
            assert notes[0].startswith("the kernel's log: write to 0x10: not mapped")
        else:
            assert any(
                "kmsg" in each["source"] or "log" in each["detail"] for each in found["missing"]
            )

    def test_it_dies_with_memtui(self, lives: str) -> None:
        forbidding = [sys.executable, "-m", "tests.watch.forbidding"]
        with subprocess.Popen(
            [*forbidding, *MEMTUI, "--", lives, "wait"],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as memtui:
            assert memtui.stdout and memtui.stdout.readline() == "ready\n"
            (program,) = children(*children(memtui.pid))
            memtui.kill()
        wait_until(lambda: not is_alive(program), "ended")


def as_nobody(*words: str) -> subprocess.CompletedProcess[str]:
    """A run by who had root's rights until a moment ago, and all modules imported."""
    script = (
        "import ctypes, json, locale, os, memtui.cli, memtui.reports.run\n"
        "import memtui.ondemand.crash, memtui.reports.crash, memtui.watch.withoutptrace\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)\n"  # PR_SET_DUMPABLE, as after an exec
        f"raise SystemExit(memtui.cli.main(['run', '--headless', '--json', '--', *{words!r}]))"
    )
    return subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a set-uid program")
def test_a_set_uid_program_runs_unwatched_and_with_its_rights(tmp_path_factory: Any) -> None:
    """Started by nobody it is root's, which it would not be under watch."""
    place = tmp_path_factory.mktemp("set-uid")
    for directory in (place, *place.parents):
        if directory.stat().st_mode & 0o005 != 0o005:
            place = Path("/var/tmp")
    if os.statvfs(place).f_flag & os.ST_NOSUID:
        pytest.skip(f"{place} is mounted nosuid")
    program = place / f"id-{os.getpid()}"
    try:
        shutil.copy(shutil.which("id") or "/usr/bin/id", program)
        program.chmod(0o755 | stat.S_ISUID)
        done = as_nobody(str(program), "-u")
        found = json.loads(done.stdout)
        assert (done.returncode, done.stderr) == (0, "0\n")
        (missing,) = found["missing"]
        assert missing["reason"] == "unsupported" and "it is set-uid" in missing["detail"]
        shell = as_nobody("sh", "-c", f"{program} -u; true")
        happenings = json.loads(shell.stdout)["happenings"]
        assert shell.stderr == f"{NOBODY}\n"
        assert [each["words"] for each in happenings if each["what"] == "note"] == [
            "it is set-uid, but runs without these rights: it is under watch"
        ]
    finally:
        program.unlink(missing_ok=True)


def test_streams_that_a_shell_has_closed() -> None:
    words = " ".join([*MEMTUI, "--json", "--", "sh", "-c", "'exit 3'"])
    for closed in ("<&-", "2>&-", "<&- 2>&-"):
        done = subprocess.run(
            ["sh", "-c", f"{words} {closed}"], cwd=PROJECT, capture_output=True, check=False
        )
        assert done.returncode == 3
        assert json.loads(done.stdout)["exit_status"] == 3
