"""What gdb says of a crash."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

_FRAME = re.compile(
    r"(?:^|\t)#(\d+) +(?:0x([0-9a-f]+) in )?(\S+) \(.*?\)(?: at (\S+):(\d+))?(?: from \S+)?$",
    re.MULTILINE,
)


class View(NamedTuple):
    """`frames`: function, base name of the source, line; "" and None where gdb knows none."""

    signal: str
    code: int
    address: int
    pointer: int
    mnemonic: str
    frames: tuple[tuple[str, str, int | None], ...]


def gdb_view(command: Sequence[str | Path]) -> View:
    """Runs a program under gdb until it stops; skips where there is none."""
    if not shutil.which("gdb"):
        pytest.skip("gdb is not installed")
    asked = (
        *(
            "set confirm off",
            "set width 0",
            "set startup-with-shell off",
            "set debuginfod enabled off",
        ),
        *("unset environment", "set disassembly-flavor intel", "handle SIGUSR1 nostop noprint"),
        "set print frame-arguments none",
        *("run", "print $_siginfo.si_signo", "print $_siginfo.si_code"),
        "print/x (long) $_siginfo._sifields._sigfault.si_addr",
        *("print/x (long) $pc", "x/i $pc", "backtrace 20"),
    )
    arguments = [word for each in asked for word in ("-ex", each)]
    result = subprocess.run(
        ["gdb", "-nx", "-q", "-batch", *arguments, "--args", *map(str, command)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )
    text = result.stdout
    if "ptrace: Operation not permitted" in result.stderr:
        pytest.skip("gdb may not trace here")
    values = [int(each, 0) for each in re.findall(r"^\$\d+ = (-?\w+)$", text, re.MULTILINE)]
    stopped = re.search(r"received signal (\w+)", text)
    assert stopped and len(values) == 4, text + result.stderr
    shown = re.search(r"^=> 0x\w+[^\n]*?:\s+(?:rep |bnd )?(\w+)", text, re.MULTILINE)
    frames = tuple(
        (name, Path(file).name if file else "", int(line) if line else None)
        for _, _, name, file, line in _FRAME.findall(text)
    )
    return View(
        stopped[1],
        values[1],
        values[2] % (1 << 64),
        values[3] % (1 << 64),
        shown[1] if shown else "",
        frames,
    )
