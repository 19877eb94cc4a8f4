"""A core dump in the dashboard, in a pseudo-terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.coredumps import NOTES, Load, by_gcore, died, dumped, made
from tests.terminal import memtui
from tests.tui.test_terminal import is_restored


def test_the_explanation_opens_over_the_map_and_again_by_its_key(tmp_path: Path) -> None:
    with dumped(tmp_path, 2) as process:
        path = died(process, tmp_path)
    with memtui("core", str(path)) as terminal:
        terminal.wait_for("WHAT HAPPENED", "write to 0x10: not mapped", "exit 139")
        terminal.type("Esc")
        terminal.wait_for(
            f"core dump of dumped ({process.pid}) · SIGSEGV",
            "in the dump",
            "000000000010 is not mapped",
            "DUMPED",
        )
        assert "RSS" not in terminal.text
        assert "LIVE" not in terminal.text and "NO SAMPLE" not in terminal.text
        terminal.type("x")
        terminal.wait_for("WHAT HAPPENED")
        terminal.type("Enter")  # nothing is left that could die: to the map
        terminal.wait_for("is not mapped")
        terminal.type("q")
        assert terminal.wait_exit() == 0
        is_restored(terminal)


def test_other_views_say_that_a_dump_has_no_such_thing(tmp_path: Path) -> None:
    path = tmp_path / "core"
    path.write_bytes(made((Load(0x400000, b"x" * 4096, 8192),)))
    with memtui("core", str(path)) as terminal:
        terminal.wait_for("WHAT HAPPENED")
        terminal.type("Esc")
        terminal.wait_for("core dump of made (7)")
        for key in ("1", "2", "4", "5"):
            terminal.type(key)
            terminal.wait_for("its map is all there is", "core dump of made (7)")
        terminal.type("t")
        terminal.wait_for("not mapped", "SEGV_MAPERR")
        terminal.type("Esc")
        terminal.wait_for("core dump of made (7)")
        terminal.type("w")  # not who else maps it, as in a live process: nobody else is in it
        terminal.wait_for("WHAT HAPPENED")
        terminal.type("q")
        assert terminal.wait_exit() == 0


def test_of_a_living_programs_dump_the_map_opens_alone(tmp_path: Path) -> None:
    with dumped(tmp_path) as process:
        path = by_gcore(process.pid, tmp_path)
    with memtui("core", str(path)) as terminal:
        terminal.wait_for("taken while it lived", "in the dump", "[heap]")
        terminal.type("Enter")
        terminal.wait_for("A core dump does not have the kernel's flags of it")
        terminal.type("Esc")
        # All of the sheet is gone: what is sent right behind Esc would be one key with it.
        terminal.wait_until(
            lambda: " inside " not in terminal.lines[0] and "by address" in terminal.text
        )
        terminal.type("+", "+", "+", "+")
        terminal.wait_for("a dump has no page map")
        terminal.type("x")
        terminal.wait_for("no crash of it is known")
        terminal.type("q")
        assert terminal.wait_exit() == 0


def test_a_compressed_dump_tells_how_far_it_is_before_it_opens(tmp_path: Path) -> None:
    if not shutil.which("xz"):
        pytest.skip("xz is not installed")
    path = tmp_path / "core"
    path.write_bytes(made((Load(0x400000, os.urandom(4 << 20), 4 << 20),), NOTES))
    subprocess.run(["xz", "-q", path], check=True)
    with memtui("core", f"{path}.xz", TMPDIR=str(tmp_path)) as terminal:
        terminal.wait_for("WHAT HAPPENED")
        told = bytes(terminal.output)
        assert told.index(b"decompressing ") < told.index(b"\x1b[?1049h")
        assert b"100 %\r\x1b[K" in told
        terminal.type("q")
        assert terminal.wait_exit() == 0
    assert [each.name for each in tmp_path.iterdir()] == ["core.xz"]
