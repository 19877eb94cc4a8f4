"""Looks at every report and one screen of a memtui that is installed for another Python.

`python -m tests.looks PATH`: of that environment's `memtui`, which needs nothing of the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from memtui.commands import Command
from tests.commandwords import PRINTING, arguments_of
from tests.terminal import Terminal, starts

_GOOD, _NOT_PERMITTED = 0, 3


def main(argv: Sequence[str]) -> int:
    """Tells what is not as it should be; the exit status is 1 then."""
    (program,) = argv
    faults = [fault for command in PRINTING for fault in _faults(program, command)]
    faults += _faults_of_screen(program)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def _faults(program: str, command: Command) -> Iterator[str]:
    forms: list[list[str]] = [[]]
    forms += [["--json"]] * command.is_document + [["--csv"]] * command.is_table
    for form in forms:
        with tempfile.TemporaryDirectory() as folder:
            words = [
                command.name,
                *arguments_of(command, Path(folder, "written"), str(os.getpid())),
            ]
            run = subprocess.run(
                [program, *words, *form], cwd="/", capture_output=True, text=True, timeout=60
            )
        printed = run.stdout if run.returncode == _GOOD else run.stderr
        if run.returncode not in (_GOOD, _NOT_PERMITTED) or not printed.strip():
            yield f"{' '.join(run.args)}: status {run.returncode}: {run.stderr.strip() or 'nothing'}"
        elif run.returncode == _GOOD and run.stderr:
            yield f"{' '.join(run.args)}: complains: {run.stderr.strip()}"


def _faults_of_screen(program: str) -> Iterator[str]:
    with Terminal([program], directory="/") as terminal:
        try:
            starts(terminal)
            terminal.type("q")
            status = terminal.wait_exit()
        except AssertionError as error:
            yield f"{program}: {error}; the screen:\n{terminal.text}"
        else:
            if status or terminal.modes_left():
                yield f"{program}: status {status}, modes left {terminal.modes_left()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
