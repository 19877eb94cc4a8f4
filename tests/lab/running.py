"""Experiments run to their end, by whoever runs the tests and by nobody."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import pytest

PROJECT: Final = Path(__file__).parents[2]
User = Literal["me", "nobody"]

_BECOME: Final = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
_SYSTEM_PYTHON: Final = "/usr/bin/python3"  # an environment's may lie where nobody else may go
_ENVIRONMENT: Final = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)}


class Done(NamedTuple):
    """The document of a run; `measured` is of all its steps, the last one's where a key comes twice."""

    document: dict[str, Any]

    @property
    def titles(self) -> list[str]:
        return [step["title"] for step in self.document["steps"]]

    @property
    def disagreeing(self) -> list[dict[str, Any]]:
        return [step for step in self.document["steps"] if not step["agrees"]]

    def measured(self, title: str) -> dict[str, int]:
        """What was measured of the step of that title."""
        found = [step for step in self.document["steps"] if step["title"] == title]
        assert found, f"{title!r} is none of {self.titles}"
        measured: dict[str, int] = found[0]["measured"]
        return measured


def run_lab(name: str, user: User) -> Done:
    """`memtui lab NAME --headless --json`. Skips where it says that it cannot be run here."""
    python = [sys.executable] if user == "me" else _as_nobody()
    done = subprocess.run(
        [*python, "-m", "memtui", "lab", name, "--headless", "--json"],
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    document = json.loads(done.stdout)
    if document["skipped"] and done.returncode == 0:
        pytest.skip(document["skipped"])
    assert done.returncode == 0, done.stderr + json.dumps(document, indent=1)
    return Done(document)


def is_root() -> bool:
    return os.geteuid() == 0


def _as_nobody() -> Sequence[str]:
    why = _no_nobody()
    if why is not None:
        pytest.skip(why)
    return (*_BECOME, _SYSTEM_PYTHON)


@functools.cache
def _no_nobody() -> str | None:
    if not is_root() or not shutil.which("setpriv"):
        return "needs root and setpriv to become nobody"
    check = "import sys, memtui; sys.exit(sys.version_info < (3, 11))"
    python = [*_BECOME, _SYSTEM_PYTHON, "-c", check]
    if subprocess.run(python, env=_ENVIRONMENT, capture_output=True, check=False).returncode:
        return "nobody may not run a Python 3.11 here, or not read memtui"
    return None
