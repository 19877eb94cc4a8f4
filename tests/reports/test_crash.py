"""A crash as JSON and as lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.siginfo import SigInfo
from memtui.model.crash.crash import Crash, Frame, Instruction, Operand, Place
from memtui.reports.crash import crash_document, crash_lines
from memtui.units import width
from tests.held import held
from tests.model.crash.maps import KEY, address_map
from tests.programs import compiled

FIXED = {"signal", "code", "address", "access", "instruction", "mapping", "neighbours", "sentence"}
MAPPING = {"start", "end", "size_bytes", "perms", "offset_bytes", "dev", "inode", "path", "kind"}


def made(frames: tuple[Frame, ...] = ()) -> Crash:
    operand = Operand(0x10021008, 1, "write", "[rax]")
    instruction = Instruction(0x400010, b"", "mov byte ptr [rax], 1", (operand,), (("rax", 16),))
    unread = Gap("registers", "unsupported", "of mips they are not known")
    return Crash(
        KEY, 7, "prog", SigInfo(11, 1, 0x10021008), unread, address_map(), instruction, frames
    )


def test_the_document_has_what_programs_rely_on() -> None:
    found = crash_document(made())
    assert set(found) >= FIXED
    assert (found["signal"], found["code"]) == ("SIGSEGV", "SEGV_MAPERR")
    assert (found["address"], found["access"], found["instruction"]) == (
        "0x10021008",
        "write",
        None,
    )
    assert found["mapping"] is None and found["registers"] is None
    assert [each["path"] for each in found["neighbours"]] == ["[heap]", "/srv/data.bin"]
    assert all(set(each) >= MAPPING for each in found["neighbours"])
    assert found["sentence"].startswith("write to 0x10021008: not mapped, 8 bytes past the end of")
    assert found["exit_status"] == 139 and found["frames"] == []
    assert json.loads(json.dumps(found)) == found


def test_what_is_mapped_is_the_mapping_and_unknown_access_is_said() -> None:
    found = crash_document(
        made()._replace(
            siginfo=SigInfo(11, 2, 0x401010), instruction=Gap("capstone", "unsupported")
        )
    )
    assert found["mapping"]["kind"] == "rodata" and found["neighbours"] == []
    assert (found["access"], found["instruction_text"]) == ("unknown", None)


def test_a_real_crash_as_json_and_lines(tmp_path: Path) -> None:
    program = compiled("crashes", tmp_path, "-g", "-O0")
    with held([program, "null-write"]) as thread:
        crash = thread.crash()
    found = crash_document(crash)
    first = found["frames"][0]
    assert (first["function"], Path(first["source"]).name) == ("null_write", "crashes.c")
    assert (
        first["address"] == found["instruction"] == found["registers"].get("rip", first["address"])
    )
    assert first["how"] == "call frame information"
    lines = crash_lines(crash, 100)
    assert lines[0].startswith(
        "write to 0x10: not mapped, a null pointer plus 0x10; in null_write at"
    )
    text = "\n".join(lines)
    assert "\n1  the CPU looked for the page of 0x10 and found no entry" in text
    assert "(SEGV_MAPERR)" in text and "\n#0  0x" in text
    assert any(line.startswith(f"{first['address']}: ") for line in lines)


@pytest.mark.parametrize("cells", [1, 24, 40, 80, 200])
def test_lines_are_as_wide_as_they_may_be(cells: int) -> None:
    frames = tuple(Frame(Place(at, "/bin/prog", at, at, "", f"f{at}"), at, "") for at in range(40))
    lines = crash_lines(made(frames), cells)
    assert all(width(line) <= max(cells, 24) for line in lines)
    assert lines[-1].strip() == "and 24 more"


def test_recursion_is_told_once_and_names_are_made_printable() -> None:
    place = Place(5, "/bin/\x1b[31mprog", 5, 5, "", "dive\x07")
    frames = (Frame(place, 1, ""), *(Frame(place._replace(address=9), at, "") for at in range(63)))
    lines = crash_lines(made(frames), 120)
    assert [line.endswith("63 times") for line in lines[-3:-1]] == [False, True]
    assert lines[-1] == "   and what called them"  # more are not looked for
    assert not any("\x1b" in line or "\x07" in line for line in lines)
    assert r"dive\x07, \e[31mprog+0x5" in lines[-2]
