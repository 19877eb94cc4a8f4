"""`memtui core` as a report: this kernel's dumps and gcore's, for people and as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memtui.cli import main
from memtui.model.map import leftout
from tests.coredumps import (
    AUXV,
    FILE,
    NOTES,
    PAGE,
    Load,
    auxv,
    by_gcore,
    died,
    dumped,
    file_note,
    made,
    note,
    with_hole,
)
from tests.programs import compiled, look
from tests.terminal import PROJECT


def prints(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["core", *map(str, words)]) == 0
    done = capsys.readouterr()
    assert done.err == ""
    return done.out


def document(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(prints(capsys, *words, "--json"))
    return found


def fails(capsys: pytest.CaptureFixture[str], status: int, *words: object) -> str:
    assert main(["core", *map(str, words)]) == status
    done = capsys.readouterr()
    assert done.out == "" and done.err.count("\n") == 1
    return done.err


def test_a_crash_is_explained_from_its_dump(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with dumped(tmp_path, 2) as process:
        alive = look(process.pid)
        path = died(process, tmp_path)
    found = document(capsys, path)
    assert (found["name"], found["pid"], found["signal"]) == ("dumped", process.pid, "SIGSEGV")
    assert found["file"] == str(path)
    crash = found["crash"]
    assert (crash["signal"], crash["code"], crash["address"]) == ("SIGSEGV", "SEGV_MAPERR", "0x10")
    assert crash["access"] == "write" and "null pointer" in crash["sentence"]
    assert crash["frames"][0]["function"] == "main"
    first, *others = found["threads"]
    assert first["tid"] == process.pid and len(others) == 2
    assert (
        first["registers"]["rip" if "rip" in first["registers"] else "pc"] == crash["instruction"]
    )
    assert [int(each["start"], 16) for each in found["mappings"]] == list(alive.mappings.starts)
    assert {each["kind"] for each in found["mappings"]} == {kind.name for kind in alive.by_kind}
    told = [*found["mappings"], *crash["neighbours"]]
    assert {(each["dev"], each["inode"]) for each in told} == {(None, None)}  # it knows of none
    text = prints(capsys, path)
    assert crash["sentence"] in " ".join(text.split())
    assert text.startswith(f"{process.pid} dumped: SIGSEGV, core dump written ")
    assert text.count("dumped+0x") + text.count("libc") >= 3  # where each thread is


def test_what_the_filter_left_out_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = {}
    for coredump_filter in (0x33, 0x32, 0x31, 0x3F):
        directory = tmp_path / f"{coredump_filter:x}"
        directory.mkdir()
        with dumped(directory, 0, coredump_filter) as process:
            path = died(process, directory)
        found = document(capsys, path)
        dump = found["dumped"]
        missing = sum(each["size_bytes"] for each in dump["left_out"])
        assert dump["bytes"] + missing == dump["of_bytes"]
        assert sum(kind["dumped_bytes"] for kind in found["by_kind"].values()) == dump["bytes"]
        reasons[coredump_filter] = {
            (each["kind"], each["why"]): each["size_bytes"] for each in dump["left_out"]
        }
    usual = reasons[0x33]
    assert usual["text", leftout.FILES] > 0
    assert usual["guard", leftout.NOTHING_THERE] == 4 << 20
    assert ("shm", leftout.SHARED) not in usual
    # 1 MiB that the program asked to leave out; 2 MiB that nothing was ever written to.
    assert (
        sorted(size for (_, why), size in usual.items() if why == leftout.UNTOUCHED)[-1] <= 2 << 20
    )
    assert reasons[0x32]["heap", leftout.ANONYMOUS] > 0
    assert reasons[0x31]["shm", leftout.SHARED] == 1 << 20
    assert not any(why == leftout.FILES for _, why in reasons[0x3F])


def test_a_living_programs_dump_has_no_crash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with dumped(tmp_path, 1) as process:
        path = by_gcore(process.pid, tmp_path)
    found = document(capsys, path)
    assert (found["crash"], found["signal"], len(found["threads"])) == (None, None, 2)
    assert "taken by gcore while it lived" in prints(capsys, path)


def test_the_program_that_is_named_must_be_the_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = compiled("dumped", tmp_path, "-g")
    with dumped(tmp_path, program=program) as process:
        path = died(process, tmp_path)
    moved = program.rename(tmp_path / "moved")
    without = document(capsys, path)
    assert any("No such file" in gap or "no such file" in gap for gap in without["gaps"])
    assert document(capsys, path, moved)["crash"]["frames"][0]["source"].endswith("dumped.c")
    assert "another build" in fails(capsys, 1, path, sys.executable)
    assert "no such file" in fails(capsys, 1, path, tmp_path / "nowhere").lower()


def test_what_cannot_be_opened_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "No such file" in fails(capsys, 1, tmp_path / "none")
    assert "no core dump: an exec" in fails(capsys, 1, sys.executable)
    assert "core needs a FILE" in fails(capsys, 2)
    assert "core needs a FILE" in fails(capsys, 2, "--headless")
    assert "no table" in fails(capsys, 2, tmp_path / "none", "--csv")
    (tmp_path / "core").write_bytes(made()[:150])
    assert "cut off" in fails(capsys, 1, tmp_path / "core")
    (tmp_path / "\x1b[2J\n").write_text("no dump")
    assert "\x1b" not in fails(capsys, 1, tmp_path / "\x1b[2J\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_one_that_may_not_be_read_is_not_permitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "core").write_bytes(made())
    (tmp_path / "core").chmod(0)
    fails(capsys, 3, tmp_path / "core")


def test_a_dump_that_is_cut_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "core"
    path.write_bytes(made((Load(0x400000, b"y" * 2 * PAGE, 2 * PAGE),))[:-PAGE])
    found = document(capsys, path)
    assert any("the dump is cut off" in gap for gap in found["gaps"])
    assert [each["why"] for each in found["dumped"]["left_out"]] == [leftout.CUT]
    assert "the dump is cut off" in prints(capsys, path)


def test_other_peoples_names_are_shown_and_not_obeyed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "core"
    files = file_note([(0x400000, 0x402000, 0, b"/a\x1b[31m\nb\xff")])
    path.write_bytes(made(notes=(*NOTES, note(FILE, files))))
    assert "\x1b" not in prints(capsys, path)
    assert document(capsys, path)["mappings"][0]["path"] == "/a\x1b[31m\\012b\udcff"


_FILES = file_note([(0x400000, 0x402000, 0, b"/bin/sh"), (0x700000, 0x702000, 3, b"/dev/shm/x")])
_WHOLE = made(
    (Load(0x400000, b"\x7fELF\2\1" * 512, 2 * PAGE, 5), Load(0x600000, b"", PAGE)),
    (
        *NOTES[:3],
        note(AUXV, auxv({3: 0x400040, 6: PAGE, 31: 0x600010, 33: 0x600000})),
        note(FILE, _FILES),
    ),
)


@given(st.lists(st.tuples(st.integers(0, 0x7FF), st.binary(min_size=1, max_size=9)), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_damaged_dump_is_reported_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: list[tuple[int, bytes]]
) -> None:
    data = bytearray(_WHOLE)
    for at, piece in changes:
        data[at : at + len(piece)] = piece
    path = tmp_path / "core"
    path.write_bytes(data)
    status = main(["core", str(path), "--json"])
    done = capsys.readouterr()
    assert "defect" not in done.err and "defect" not in done.out
    if status:
        assert status == 1 and done.err.count("\n") == 1
    else:
        found = json.loads(done.out)
        starts = [int(each["start"], 16) for each in found["mappings"]]
        assert starts == sorted(starts)


def test_twenty_gib_take_no_more_memory_than_a_small_dump(tmp_path: Path) -> None:
    with dumped(tmp_path) as process:
        small = died(process, tmp_path)
    large = with_hole(small, tmp_path / "large")
    peaks = []
    for path in (small, large):
        script = (
            "import re, sys; from memtui.cli import main; "
            f"status = main(['core', {str(path)!r}, '--json']); "
            # Not getrusage's, which begins at what the test itself takes.
            "peak, = re.findall(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read()); "
            "print(peak, file=sys.stderr)"
        )
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
        peaks.append(int(done.stderr))
        bytes_ = json.loads(done.stdout)["dumped"]["bytes"]
    assert bytes_ > 20 << 30
    assert peaks[1] < 1.1 * peaks[0]
