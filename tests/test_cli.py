"""Commands, options, exit statuses: what the shell sees."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memtui import __version__, commandline
from memtui.cli import main
from memtui.commands import COMMANDS, Command
from memtui.kernel.livefiles import LiveFiles
from memtui.targets import Target, find, named
from tests.conftest import HOSTS_DIR, open_host

PROJECT = Path(__file__).parent.parent
DEBIAN = str(HOSTS_DIR / "debian-6.18")
NO_SUCH_PID = "4199999"  # above the largest that Linux gives out


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """memtui as the shell starts it, away from any terminal."""
    return subprocess.run(
        [sys.executable, "-m", "memtui", *words],
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def fails(capsys: pytest.CaptureFixture[str], status: int, *words: str) -> str:
    """Runs in this process; the one line of error that must come with the status."""
    assert main(list(words)) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("memtui: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err


def prints(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.mark.parametrize(
    "words",
    [
        ["--root", DEBIAN, "--json", "free"],
        ["free", "--root", DEBIAN, "--json"],
        ["--json", "free", f"--root={DEBIAN}"],
        ["--root", DEBIAN, "free", "--json", "--interval", "0.1"],
        ["--root", "/nowhere", "free", "--json", "--root", DEBIAN],
    ],
)
def test_options_mean_the_same_before_and_after_and_the_last_one_counts(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    total = int((HOSTS_DIR / "debian-6.18/proc/meminfo").read_text().split()[1]) * 1024
    assert json.loads(prints(capsys, *words))["mem"]["total"] == total


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--json", "--help"]])
def test_help_lists_every_command_and_option(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = prints(capsys, *words)
    for command in COMMANDS:
        assert f"\n  {command.name} " in text
    for flag in ("--root DIR", "--interval SECONDS", "--json", "--csv", "--version"):
        assert f"\n  {flag} " in text


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_each_command_has_its_own_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    after = prints(capsys, command, "--help")
    assert after == prints(capsys, "-h", command)
    assert after.startswith(f"usage: memtui {command}")


def test_a_command_with_options_of_its_own_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        text = prints(capsys, command.name, "--help")
        for option in command.options:
            assert f"\n  {option.flag} {option.value_name}" in text
    assert "--diff FILE [FILE]" in prints(capsys, "maps", "--help")
    assert "--diff FILE" not in prints(capsys, "procs", "--help")


@pytest.mark.parametrize(
    "words",
    [
        ["maps", "688", "--json", "--diff", "FILE"],
        ["--json", "maps", "688", "--diff=FILE"],
        ["maps", "--diff", "FILE", "--json", "688"],
        ["maps", "--json", "--diff", "FILE", "--", "688"],
        ["maps", "688", "--diff", "/nowhere", "--json", "--diff", "FILE"],
        ["maps", "--json", "--diff", "FILE", "FILE"],
        ["maps", "--diff", "FILE", "FILE", "--interval", "2", "--json"],
        ["maps", "688", "--json", "--diff", "FILE", "FILE"],
        ["maps", "--json", "--diff", "FILE", "FILE", "--", "688"],
    ],
)
def test_files_to_compare_stand_after_their_option(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.json"
    path.write_text(prints(capsys, "--root", DEBIAN, "maps", "688", "--json"))
    words = [word.replace("FILE", str(path)) for word in words]
    found = json.loads(prints(capsys, "--root", DEBIAN, *words))
    assert (found["before"]["file"], found["changes"]) == (str(path), [])
    assert found["after"]["pid"] == 688
    live = words.count(str(path)) + sum(word.startswith("--diff=") for word in words) == 1
    assert found["after"]["file"] == (None if live else str(path))


def what_it_got(_files: object, options: argparse.Namespace) -> Iterator[str]:
    """A report of its own command line."""
    yield json.dumps([options.arguments, options.rest, options.json])


@pytest.fixture
def launching(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that takes all that stands after -- as it is."""
    command = Command(
        "launch", "", "watch a program", "tests.test_cli:what_it_got", rest="CMD [ARG …]"
    )
    monkeypatch.setitem(commandline._COMMAND_BY_NAME, command.name, command)


@pytest.mark.parametrize(
    ("words", "rest"),
    [
        (["launch", "--json", "--", "ls", "-l", "--json"], ["ls", "-l", "--json"]),
        (["--json", "launch", "--", "free", "--", "--help"], ["free", "--", "--help"]),
        (["launch", "--json", "--", "--version"], ["--version"]),
    ],
)
@pytest.mark.usefixtures("launching")
def test_a_command_gets_the_rest_as_it_is(
    words: list[str], rest: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert json.loads(prints(capsys, *words)) == [[], rest, True]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["launch"], "launch needs CMD [ARG …] after --: memtui launch --help"),
        (["launch", "--"], "launch needs CMD [ARG …] after --: memtui launch --help"),
        (["launch", "ls"], "what to launch stands after --: memtui launch -- ls …"),
        (["launch", "ls", "-l"], "what to launch stands after --: memtui launch -- ls …"),
        (["launch", "-l", "--", "ls"], "no option '-l': memtui launch --help"),
    ],
)
@pytest.mark.usefixtures("launching")
def test_a_rest_stands_after_two_dashes(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fails(capsys, 2, *words) == f"memtui: {complaint}\n"
    assert prints(capsys, "launch", "--help").startswith(
        "usage: memtui launch [OPTIONS] -- CMD [ARG …]\n"
    )


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert prints(capsys, "--version") == f"memtui {__version__}\n"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--interval", "0", "free"], "'0'"),
        (["--interval", "0.09"], "'0.09'"),
        (["--interval", "3600.1"], "'3600.1'"),
        (["--interval", "nan"], "'nan'"),
        (["--interval", "-1"], "'-1'"),
        (["--interval", "soon"], "'soon'"),
        (["--interval"], "--interval"),
        (["--root", "", "free"], "--root"),
        (["--roo", "/", "free"], "'--roo'"),  # no abbreviations
        (["--colour"], "'--colour'"),
        (["free", "--colour"], "'--colour'"),
        (["--json=yes", "free"], "--json"),
        (["free", "1"], "'1'"),
        (["maps"], "PID"),
        (["maps", "1", "2"], "'2'"),
        (["1", "2"], "'2'"),
        (["--", "maps", "1"], "'1'"),
        (["-5"], "'-5'"),
        (["--json"], "memtui free"),
        (["maps", "1", "--diff"], "--diff"),
        (["maps", "--diff", "a", "b", "42"], "'42'"),
        (["maps", "42", "--diff", "a", "b", "c"], "'c'"),
        (["maps", "42", "7", "--diff", "a"], "'7'"),
        (["maps", "--diff", "a", "b", "--", "42", "7"], "'7'"),
        (["maps", "--diff", "a", "--colour"], "'--colour'"),
        (["maps", "42", "--dif", "a"], "'--dif'"),
        (["free", "--diff", "a"], "--diff goes with maps"),
        (["free", "--diff=a"], "--diff goes with maps"),
        (["sample", "1", "--diff", "a"], "--diff goes with maps"),
        (["--diff", "a", "maps", "42"], "--diff goes with maps"),
        (["--diff", "a"], "--diff goes with maps"),
    ],
)
def test_wrong_usage(words: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert named in fails(capsys, 2, *words)


@pytest.mark.parametrize(
    "words",
    [
        [NO_SUCH_PID],
        ["maps", NO_SUCH_PID],
        ["sample", NO_SUCH_PID],
        ["--", NO_SUCH_PID],
        ["no-program-has-this-name"],
        ["maps", "no-program-has-this-name"],
        ["maps", "--", "--json"],
        ["--", "-h"],
        ["maps", "9" * 5000],
        [""],
    ],
)
def test_no_such_process(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "no process" in fails(capsys, 4, "--root", DEBIAN, *words)


def test_a_root_without_proc_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert str(tmp_path) in fails(capsys, 1, "--root", str(tmp_path), "free")
    assert str(tmp_path) in fails(capsys, 1, "--root", str(tmp_path))


def test_other_peoples_names_are_not_obeyed_in_errors(capsys: pytest.CaptureFixture[str]) -> None:
    error = fails(capsys, 4, "--root", DEBIAN, "maps", "a\x1b[31m\u202eb\nc")
    assert error.rstrip("\n").isprintable()


def test_without_a_terminal_the_reports_are_named() -> None:
    for words, environment in (([], {}), (["1"], {}), (["--", "1"], {"TERM": "dumb"})):
        done = run("--root", DEBIAN, *words, **environment)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
        for command in COMMANDS:
            assert f"memtui {command.name}" in done.stderr


def on_a_terminal(*words: str, term: str) -> tuple[int, str]:
    """The exit status and standard error of a Python with a terminal for input and output."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb"), os.fdopen(theirs, "wb") as terminal:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=PROJECT,
            env={**os.environ, "TERM": term},
            stdin=terminal,
            stdout=terminal,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    return done.returncode, done.stderr


def test_a_dumb_terminal_is_not_drawn_on() -> None:
    status, error = on_a_terminal("-m", "memtui", "--root", DEBIAN, term="dumb")
    assert (status, error.count("\n")) == (1, 1)
    assert "TERM=dumb" in error


def test_without_textual_the_reports_are_named() -> None:
    # -S: nothing but the standard library.
    status, error = on_a_terminal("-S", "-m", "memtui", "--root", DEBIAN, term="xterm-256color")
    assert (status, error.count("\n")) == (1, 1)
    assert "needs textual" in error
    assert "memtui procs" in error


@pytest.mark.parametrize("words", [["free"], ["maps", "422"], ["procs"], ["sample", "422"]])
def test_a_report_imports_nothing_of_the_interface(words: list[str]) -> None:
    script = (
        "import sys\nfrom memtui.cli import main\n"
        f"status = main({['--root', DEBIAN, *words]!r})\n"
        "top = {name.partition('.')[0] for name in sys.modules}\n"
        "print(status, *sorted(top & {'textual', 'rich', 'plotext', 'textual_plotext', 'psutil'}),"
        " file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stderr == "0\n"


def test_free_imports_only_what_it_needs() -> None:
    script = (
        "import sys\nfrom memtui.cli import main\nmain(['free'])\n"
        "print(*sorted({'memtui.live.source', 'memtui.live.sampler', 'memtui.model.map.addressmap',"
        " 'pwd', 'threading', 'asyncio'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n{script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "\n"


@pytest.mark.parametrize("words", [["procs"], ["sample"], ["free"], ["--help"]])
def test_a_closed_pipe_is_silence(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "memtui", "--root", DEBIAN, *words],
            cwd=PROJECT,
            stdout=pipe,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_is_an_error() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "memtui", "free"],
            cwd=PROJECT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "memtui: cannot write the output: No space left on device\n"


def test_a_closed_standard_output_is_an_error() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -m memtui free >&-', sys.executable],
        cwd=PROJECT,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "memtui: standard output is closed\n"


def test_an_interrupt_is_quiet(stopped_pid: int) -> None:
    # A small pipe that nobody reads on holds a report where it can be interrupted.
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)
    with (
        open(out, "rb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "memtui", "maps", str(stopped_pid), "--json"],
            cwd=PROJECT,
            stdout=into,
            stderr=subprocess.PIPE,
        ) as child,
    ):
        os.close(into)
        assert output.read(1) == b"{"
        child.send_signal(signal.SIGINT)
        output.read()
        _, said = child.communicate(timeout=60)
        assert child.returncode == 130
        assert said == b""


def test_names_survive_an_encoding_that_lacks_them() -> None:
    done = run("--root", str(HOSTS_DIR / "hostile"), "procs", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\ud55c\\uae00" in done.stdout


def test_a_target_is_a_pid_or_the_one_process_of_a_name() -> None:
    files = open_host("debian-6.18")
    assert find(files, "422") == Target(422, "")
    assert find(files, "0422") == Target(422, "")
    assert find(files, "cron") == Target(422, "")
    assert find(files, "CRO") == Target(422, "")
    assert find(files, "nginx") == Target(None, "nginx")
    assert find(files, "no-such-name") is None
    assert find(files, NO_SUCH_PID) is None
    assert find(files, "٤٢٢") is None  # digits, but not those of a pid


def test_kernel_threads_are_targets() -> None:
    files = open_host("debian-6.18")
    assert find(files, "kthreadd") == Target(2, "")


def test_a_thread_stands_for_its_process(stopped_pid: int) -> None:
    tasks = sorted(int(task.name) for task in Path(f"/proc/{stopped_pid}/task").iterdir())
    assert len(tasks) == 4
    for task in tasks:
        assert find(LiveFiles(), str(task)) == Target(stopped_pid, "")


def test_memtui_itself_fits_no_name() -> None:
    own = Path("/proc/self/comm").read_text().rstrip("\n")
    Path("/proc/self/comm").write_text("memtui-itself")
    try:
        assert named(LiveFiles(), "memtui-itself") == []
    finally:
        Path("/proc/self/comm").write_text(own)
