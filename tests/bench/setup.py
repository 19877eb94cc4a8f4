"""The memtui that is measured, as its users have it, and how much is measured."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.terminal import PROJECT

# Not the clone, whose modules `python -m` would prefer; its peers do not run from theirs either.
ELSEWHERE: Final = "/"

_ABOUT = """
import os, platform, sys
from importlib.metadata import version
import memtui
print(f"memtui {version('memtui')} of {os.path.dirname(memtui.__file__)}, "
      f"Textual {version('textual')}, Python {platform.python_version()}, "
      f"Linux {platform.release()}, {os.cpu_count()} cores")
"""


class Effort(NamedTuple):
    """How much is measured: what is looked at, and the part of all rounds and times."""

    processes: int
    mappings: int
    part: float


EFFORTS: Final = {
    "full": Effort(1000, 60_000, 1.0),
    "short": Effort(1000, 60_000, 0.4),
    "trial": Effort(30, 2000, 0.02),  # says nothing, but that it works
}


class Setup(NamedTuple):
    """`python` is the interpreter of the environment that memtui is installed in."""

    python: str
    effort: Effort

    @property
    def memtui(self) -> str:
        """The installed program."""
        return str(Path(self.python).with_name("memtui"))

    @property
    def processes(self) -> int:
        return self.effort.processes

    @property
    def mappings(self) -> int:
        return self.effort.mappings

    def rounds(self, full: int) -> int:
        return max(1, round(full * self.effort.part))

    def span_s(self, full: float) -> float:
        return full * self.effort.part


@contextmanager
def installed() -> Iterator[str]:
    """The Python of a new environment with memtui of this clone in it, compiled to bytecode."""
    with tempfile.TemporaryDirectory(prefix="memtui-bench-") as directory:
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        python = f"{directory}/bin/python"
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        subprocess.run([*pip, "--compile", str(PROJECT)], check=True)
        yield python


def about(python: str) -> str:
    """One line on what is measured; OSError: there is no memtui with this Python."""
    argv = (python, "-c", _ABOUT)
    told = subprocess.run(argv, cwd=ELSEWHERE, capture_output=True, text=True)
    if told.returncode or not Path(python).with_name("memtui").exists():
        raise OSError(f"{python} has no memtui: {told.stderr.strip().rpartition(chr(10))[2]}")
    return told.stdout


def run(*argv: str) -> None:
    """A command from its start to its end, its output thrown away."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    subprocess.run(argv, cwd=ELSEWHERE, stdout=subprocess.DEVNULL, env=environment, check=True)


def cpu_s(*argv: str) -> float:
    """The processor time of a command and of what it began."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(*argv)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
