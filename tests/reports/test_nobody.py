"""Reports for a user who may read next to nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.terminal import PROJECT

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@pytest.fixture(scope="module")
def as_nobody() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs memtui as a user who owns nothing, with an interpreter that this user may execute."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv to become nobody")
    check = "import sys, memtui; sys.exit(sys.version_info < (3, 11))"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)}
    for python in (sys.executable, "/usr/bin/python3"):
        words = [*NOBODY, python, "-c", check]
        if subprocess.run(words, env=environment, capture_output=True, check=False).returncode == 0:
            break
    else:
        pytest.skip("nobody may not run a Python 3.11 here, or not read memtui")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*NOBODY, python, "-m", "memtui", *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_nobody_is_told_whose_map_it_is_and_what_would_help(
    as_nobody: Callable[..., subprocess.CompletedProcess[str]], stopped_pid: int
) -> None:
    for words in (["maps", str(stopped_pid)], ["maps", "--json", str(stopped_pid)], ["maps", "1"]):
        done = as_nobody(*words)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith("memtui: process ")
        assert done.stderr.count("\n") == 1
        for hint in ("belongs to root", "CAP_SYS_PTRACE"):
            assert hint in done.stderr


def test_nobody_sees_denied_in_procs_and_null_in_json(
    as_nobody: Callable[..., subprocess.CompletedProcess[str]], stopped_pid: int
) -> None:
    done = as_nobody("procs")
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if line.split()[:1] == [str(stopped_pid)]]
    assert line.count("denied") == 2
    assert "nobody" in done.stdout  # memtui itself, whose PSS may be read
    rows = {row["pid"]: row for row in json.loads(as_nobody("procs", "--json").stdout)}
    assert rows[stopped_pid]["pss_bytes"] is None
    assert rows[stopped_pid]["rss_bytes"] > 0
    own = [row for row in rows.values() if row["user"] == "nobody"]
    assert any((row["pss_bytes"] or 0) > 0 for row in own)


def test_nobody_gets_a_sample_with_a_gap(
    as_nobody: Callable[..., subprocess.CompletedProcess[str]], stopped_pid: int
) -> None:
    done = as_nobody("sample", str(stopped_pid))
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["process"]["smaps_rollup"] is None
    source = f"proc/{stopped_pid}/smaps_rollup"
    assert {"source": source, "reason": "denied"} in found["gaps"]
    assert found["process"]["statm"]["resident_pages"] > 0
