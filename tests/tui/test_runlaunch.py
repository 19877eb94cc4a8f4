"""What stands before a run's screen: nothing but what a fork can bear."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace

import pytest

from memtui.kernel.livefiles import LiveFiles
from memtui.settings.values import DEFAULTS
from memtui.tui import runlaunch

# The watch is made where the program would be started; what there is by then is told instead.
_TELLS = """
import sys, threading
from argparse import Namespace
from memtui.kernel.livefiles import LiveFiles
from memtui.settings.values import DEFAULTS
from memtui.tui import runlaunch
class Watch:
    def __init__(self, command, **how):
        heavy = {"textual", "plotext", "pyte", "elftools", "capstone"} & sys.modules.keys()
        print(threading.active_count(), sorted(heavy))
        raise runlaunch.NotStarted("told", 5)
runlaunch.Watch = Watch
sys.exit(runlaunch.run(LiveFiles(), DEFAULTS, Namespace(rest=["true"], detach_output=None)))
"""


def test_it_forks_before_threads_and_before_the_interface() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _TELLS], capture_output=True, text=True, check=False
    )
    assert (told.stdout, told.returncode) == ("1 []\n", 5)
    assert told.stderr == "memtui: told\n"


@pytest.mark.parametrize(
    ("file", "status", "words"),
    [
        ("no/such/directory/out", 1, "no/such/directory/out: No such file or directory"),
        ("a\0b", 1, "'a\\x00b' is no name for a file"),
    ],
)
def test_a_file_that_cannot_be_made_is_a_line(
    file: str, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        runlaunch.run(LiveFiles(), DEFAULTS, Namespace(rest=["true"], detach_output=file)) == status
    )
    assert capsys.readouterr().err == f"memtui: {words}\n"


def test_of_a_program_that_is_not_there_no_file_is_left(tmp_path: object) -> None:
    file = f"{tmp_path}/out"
    options = Namespace(rest=["no-such-program"], detach_output=file)
    assert runlaunch.run(LiveFiles(), DEFAULTS, options) == 127
    assert not subprocess.run(["test", "!", "-e", file], check=False).returncode
