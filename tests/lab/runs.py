"""Runs of `memtui lab`, as a process of its own, and what it leaves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from memtui.kernel import ground
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.process import parse_identity
from memtui.lab.needs import group_parent
from tests.oracles import until_alike
from tests.terminal import PROJECT

NOBODY: Final = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
TIMEOUT_S: Final = 300


def lab(
    *words: str, before: Sequence[str] = (sys.executable,), project: Path = PROJECT
) -> subprocess.CompletedProcess[str]:
    """`memtui lab …`, to its end; `before`: what runs it."""
    return subprocess.run(
        [*before, "-m", "memtui", "lab", *words],
        cwd="/",
        env=environment(project),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def document(name: str, before: Sequence[str] = (sys.executable,)) -> dict[str, Any]:
    """Of an experiment, all steps of which agreed. Skips where it cannot be run here."""
    found: dict[str, Any] = {}

    def agree() -> None:
        done = lab(name, "--headless", "--json", before=before)
        found.update(json.loads(done.stdout))
        if found["skipped"] and done.returncode == 0:
            pytest.skip(found["skipped"])
        assert done.returncode == 0, done.stderr

    until_alike(agree)
    return found


def measured(name: str, before: Sequence[str] = (sys.executable,)) -> dict[str, dict[str, int]]:
    """What was measured, by the step's title."""
    return {step["title"]: step["measured"] for step in document(name, before)["steps"]}


def environment(project: Path = PROJECT) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"}


def as_nobody() -> tuple[str, ...] | None:
    """What runs Python as a user who owns nothing; None where that cannot be."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        return None
    # Which it may also start itself, as memtui does for an experiment.
    check = "import sys, subprocess, memtui; subprocess.run([sys.executable, '-c', '']).check_returncode()"
    for python in (sys.executable, "/usr/bin/python3"):
        if not os.path.exists(python):
            continue
        words = (*NOBODY, python)
        done = subprocess.run(
            [*words, "-c", check], cwd="/", env=environment(), capture_output=True, check=False
        )
        if done.returncode == 0:
            return words
    return None


def children(pid: int) -> set[int]:
    """Those of a process that live."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = parse_identity(path.read_bytes())
        except OSError:
            continue
        if stat.ppid == pid and not stat.has_ended:
            found.add(int(path.parent.name))
    return found


def descendants(pid: int) -> set[int]:
    below = children(pid)
    return below.union(*(descendants(each) for each in below))


def left(keeper: int) -> list[str]:
    """What there is on the machine that this keeper has made: directories, groups, swap."""
    mark = f"{ground.MARK}-{keeper}-"
    parent = group_parent(LiveFiles())
    places = [Path(ground.place()), *([Path(parent[1])] if parent else [])]
    found = [str(each) for place in places for each in place.glob(f"{mark}*")]
    return found + list(_swaps(mark))


def _swaps(mark: str) -> Iterator[str]:
    for line in Path("/proc/swaps").read_text().splitlines()[1:]:
        if mark in line:
            yield line.split()[0] + " in use"
