"""Opening a core dump: of 20 GiB, of which nearly nothing is written, and the same without these."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.drawing import start, until
from tests.bench.row import Row, interleaved, seconds
from tests.bench.setup import ELSEWHERE, Setup
from tests.coredumps import PAGE, Load, made, with_hole

_MAP = re.compile(rb"DUMPED")  # the head of the table of mappings
_LOADS = 200  # of a program with some forty libraries


def opening(setup: Setup) -> Iterator[Row]:
    """To its map on a terminal, to the report, and the memory that takes."""
    with tempfile.TemporaryDirectory() as directory:
        small = Path(directory, "small")
        loads = [Load(0x1000_0000 + 3 * PAGE * each, b"x", 2 * PAGE) for each in range(_LOADS)]
        small.write_bytes(made(loads))
        large = with_hole(small, Path(directory, "large"))

        def shown(path: Path) -> float:
            with start((setup.memtui, "core", str(path))) as terminal:
                return until(terminal, _MAP) - terminal.started_s

        def printed(path: Path) -> float:
            command = [setup.memtui, "core", str(path), "--json"]
            return seconds(
                lambda: subprocess.run(
                    command, cwd=ELSEWHERE, stdout=subprocess.DEVNULL, check=True
                )
            )

        of_small, of_large = interleaved(
            setup.rounds(15), lambda: shown(small), lambda: shown(large)
        )
        report_small, report_large = interleaved(
            setup.rounds(15), lambda: printed(small), lambda: printed(large)
        )
    note = f"{1000 * of_large:.0f} / {1000 * of_small:.0f} ms of a small one"
    yield Row("a core dump of 20 GiB, to its map", 1000 * of_large, 500, " ms")
    yield Row("the same / a small one's", of_large / of_small, 1.2, note=note)
    note = f"{1000 * report_large:.0f} / {1000 * report_small:.0f} ms of a small one"
    yield Row("its report as JSON / a small one's", report_large / report_small, 1.2, note=note)
