"""`memtui report` and `memtui owners`: what is in the file, and that it is never another's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memtui.kernel.livefiles import LiveFiles
from memtui.reports.bundle import report
from memtui.reports.output import Failure
from memtui.reports.owners import owners
from tests.conftest import HOSTS, open_host
from tests.terminal import PROJECT

PARTS = [
    *("free", "pressure", "zones", "processes", "oom", "cgroups", "owners", "events", "map"),
]


def written(files: Any, path: Path, **options: Any) -> str:
    return "".join(report(files, str(path), **options))


@pytest.mark.parametrize("host", HOSTS)
def test_every_part_is_there_or_says_why_not(host: str, tmp_path: Path) -> None:
    files = open_host(host)
    path = tmp_path / "bug.json"
    said = written(files, path, form="json")
    found = json.loads(path.read_text())
    assert [key for key in found if key in PARTS] == PARTS
    missing = [part for part in PARTS if isinstance(found[part], dict) and "failed" in found[part]]
    for part in missing:
        assert found[part]["failed"]
        assert part in said.partition("not to be had")[2]
    assert "free" not in missing
    text = tmp_path / "bug.txt"
    written(files, text, form="text")
    heads = [line for line in text.read_text().splitlines() if line.startswith("== ")]
    assert [head.split()[1].rstrip(":") for head in heads if "commands" not in head] == PARTS


def test_it_is_of_the_process_that_is_meant_and_has_the_labels(tmp_path: Path) -> None:
    path = tmp_path / "bug.json"
    written(LiveFiles(), path, form="json", process=str(os.getpid()))
    found = json.loads(path.read_text())
    assert found["map"]["pid"] == os.getpid()
    assert "main heap, grown by brk" in {row["label"] for row in found["map"]["mappings"]}
    assert path.stat().st_mode & 0o777 == 0o600


def test_without_commands_no_command_line_is_in_it(tmp_path: Path) -> None:
    secret = "--password=hunter2"
    with subprocess.Popen(
        [sys.executable, "-c", "input()", secret], stdin=subprocess.PIPE, text=True
    ) as process:
        try:
            for form in ("text", "json"):
                with_it, without = tmp_path / f"with.{form}", tmp_path / f"without.{form}"
                written(LiveFiles(), with_it, form=form)
                written(LiveFiles(), without, form=form, commands=False)
                assert secret in with_it.read_text()
                assert secret not in without.read_text()
        finally:
            process.kill()


def test_nothing_is_written_over_or_left_behind(tmp_path: Path) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_text("mine")
    with pytest.raises(Failure, match="exists") as exists:
        written(LiveFiles(), kept, form="text")
    assert exists.value.status == 1
    with pytest.raises(Failure) as unknown:
        written(LiveFiles(), tmp_path / "new.txt", form="text", process="99999999")
    assert unknown.value.status == 4
    with pytest.raises(Failure, match="No such file"):
        written(LiveFiles(), tmp_path / "no" / "new.txt", form="text")
    assert kept.read_text() == "mine"
    assert os.listdir(tmp_path) == ["kept.txt"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_what_cannot_be_written_whole_fails(tmp_path: Path) -> None:
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
    limit += "import sys; from memtui.cli import main; sys.exit(main(sys.argv[1:]))"
    path = tmp_path / "bug.txt"
    done = subprocess.run(
        [sys.executable, "-c", limit, "report", str(path)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not path.exists()


@pytest.mark.parametrize("words", [["report"], ["report", "--no-commands"]])
def test_it_needs_a_file(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "memtui", *words], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "FILE" in done.stderr


@pytest.mark.parametrize("host", HOSTS)
def test_owners_of_every_host(host: str) -> None:
    files = open_host(host)
    found = json.loads("".join(owners(files, "json")))
    held = [each["held_bytes"] or 0 for each in found["owners"]]
    assert held == sorted(held, reverse=True)
    counted = [each["held_bytes"] or 0 for each in found["owners"] if each["is_counted"]]
    assert found["named_bytes"] == sum(counted)
    lines = "".join(owners(files, "csv")).splitlines()
    assert lines[0].startswith("kind,name,held_bytes")
    assert "".join(owners(files, "text"))
