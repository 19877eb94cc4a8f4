"""Reports as CSV: JSON's keys and values, any name's bytes, and when there is none."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.commands import COMMANDS
from memtui.model.csvlines import csv_lines, flat
from memtui.reports.mapdiff import maps_diff
from memtui.reports.mappings import maps
from memtui.reports.memory import free
from memtui.reports.output import csv_document
from memtui.reports.processes import procs
from tests.conftest import HOSTS, HOSTS_DIR, may_read, open_host
from tests.test_cli import DEBIAN, PROJECT, fails

# What the kernel's bytes can become, and some that a format might stumble over.
NAMES = st.binary(max_size=12).map(lambda name: name.decode("utf-8", "surrogateescape"))


def read(pieces: Iterator[str]) -> list[list[str]]:
    """What a program that reads the output sees."""
    text = "".join(pieces)
    assert text.endswith("\n")
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def cells(value: dict[str, Any]) -> list[str]:
    return ["" if cell is None else str(cell) for cell in flat(value).values()]


@given(st.lists(st.lists(NAMES, min_size=3, max_size=3)))
def test_every_name_comes_back_as_it_was(rows: list[list[str]]) -> None:
    written = "".join(csv_lines(["a", "b", "c"], rows)).encode("utf-8", "surrogateescape")
    assert read(iter([written.decode("utf-8", "surrogateescape")])) == [["a", "b", "c"], *rows]


def test_rows_come_as_they_are_made() -> None:
    def endless() -> Iterator[list[int]]:
        number = 0
        while True:
            number += 1
            yield [number]

    pieces = csv_lines(["n"], endless(), 1)
    assert [next(pieces), next(pieces)] == ["n\n1\n", "2\n"]
    assert list(csv_lines(["n"], [])) == ["n\n"]


def test_objects_lists_and_nothing_become_cells() -> None:
    values: list[dict[str, Any]] = [
        {"zone": "DMA", "orders": [3, 0, 1], "side": {"start": "0x1", "size": 2}, "is": True},
        {"zone": None, "side": None, "more": 1},
    ]
    keys = ["zone", "orders", "side.start", "side.size", "is"]
    assert read(csv_document(keys, values)) == [
        keys,
        ["DMA", "3 0 1", "0x1", "2", "true"],
        [""] * 5,
    ]


@pytest.mark.parametrize("name", HOSTS)
def test_each_report_says_what_its_json_says(name: str) -> None:
    files = open_host(name)
    document = json.loads("".join(free(files, "json")))
    heads, mem, swap = read(free(files, "csv"))
    assert heads == ["name", *document["mem"]]
    assert mem == ["mem", *cells(document["mem"])]
    assert swap == ["swap", *cells(document["swap"]), *[""] * 5]
    processes = json.loads("".join(procs(files, "json")))
    heads, *rows = read(procs(files, "csv"))
    assert heads == list(processes[0])
    assert rows == [cells(process) for process in processes]
    for pid in map(str, sorted(files.pids())):
        if may_read(files, f"proc/{pid}/maps"):
            mappings = json.loads("".join(maps(files, pid, "json")))["mappings"]
            heads, *rows = read(maps(files, pid, "csv"))
            assert rows == [cells(mapping) for mapping in mappings]
            assert not mappings or heads == list(mappings[0])


def test_changes_have_a_line_each(tmp_path: Path) -> None:
    before = tmp_path / "before.json"
    before.write_text("".join(maps(open_host("leaking"), "4711", "json")))
    words = (open_host("leaking-later"), "4711", [str(before)])
    changes = json.loads("".join(maps_diff(*words, "json")))["changes"]
    assert {change["what"] for change in changes} >= {"new", "gone", "shrunk"}
    heads, *rows = read(maps_diff(*words, "csv"))
    assert len(rows) == len(changes)
    for row, change in zip(rows, changes, strict=True):
        named = {head: cell for head, cell in zip(heads, row, strict=True) if cell}
        assert named == {
            key: str(value) for key, value in flat(change).items() if value not in (None, "")
        }


def test_a_saved_name_that_is_no_text_is_still_written(tmp_path: Path) -> None:
    """JSON may hold half of a surrogate pair, which no bytes of a name become."""
    document = json.loads("".join(maps(open_host("debian-6.18"), "688", "json")))
    for name, size in (("a", 1 << 12), ("b", 1 << 13)):
        mapping = document["mappings"][0] | {"path": "/\ud800x\udcff", "start": "0x1000"}
        mapping["end"] = hex(0x1000 + size)
        (tmp_path / name).write_text(json.dumps(document | {"mappings": [mapping]}))
    files = [str(tmp_path / "a"), str(tmp_path / "b")]
    text = "".join(maps_diff(open_host("debian-6.18"), None, files, "csv"))
    assert b"/\xef\xbf\xbdx\xff" in text.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_names_are_written_as_the_bytes_that_they_were(encoding: str) -> None:
    root = HOSTS_DIR / "hostile"
    done = subprocess.run(
        [sys.executable, "-m", "memtui", "--csv", "maps", "1000010", "--root", str(root)],
        cwd=PROJECT,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    rows = csv.DictReader(io.StringIO(done.stdout.decode("utf-8", "surrogateescape"), newline=""))
    paths = [row["path"].encode("utf-8", "surrogateescape") for row in rows]
    raw = (root / "proc/1000010/maps").read_bytes()
    assert any(not path.isascii() for path in paths)
    assert all(path in raw for path in paths)


def test_csv_is_refused_where_there_is_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert "memtui free" in fails(capsys, 2, "--csv")
    assert "--json" in fails(capsys, 2, "--csv", "sample", "--root", DEBIAN)
    for command in COMMANDS:
        words = [
            command.name,
            *(["688"] if command.argument[:1].isupper() else []),
            "--root",
            DEBIAN,
        ]
        assert "not both" in fails(capsys, 2, *words, "--csv", "--json")
