"""What it costs a program to be watched."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.bench.row import Row, interleaved, seconds
from tests.bench.setup import ELSEWHERE, Setup, run
from tests.terminal import PROJECT

_LOST_AT_MOST_PCT = 10.0
_SLOWER_AT_MOST_PCT = 2.0  # what is left of noise
_TIMES_AT_MOST = 2.0
_ROUNDS = 9
_SPAN_S = 1.0
_SPINS = 300_000_000
_CHILDREN = 1000


def watching(setup: Setup) -> Iterator[Row]:
    """Programs alone, and in turn with that under `memtui run`, each where it was disturbed least."""
    yield _children(setup)
    compiler = shutil.which("gcc")
    if compiler is None:
        yield Row("run, pairs of mmap and munmap lost", None, note="gcc is not installed")
        return
    with tempfile.TemporaryDirectory(prefix="memtui-bench-") as directory:
        program = str(Path(directory, "paces"))
        source = str(PROJECT / "tests" / "programs" / "paces.c")
        subprocess.run([compiler, "-O1", source, "-o", program], check=True)
        yield _pairs(setup, program)
        yield _spinning(setup, program)


def _printed(*argv: str) -> float:
    done = subprocess.run(argv, cwd=ELSEWHERE, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _both(
    setup: Setup, best: Callable[[Sequence[float]], float], *argv: str
) -> tuple[float, float]:
    """What the program says of itself, alone and under watch."""
    watched = (setup.memtui, "run", "--headless", "--", *argv)
    alone, under = interleaved(
        setup.rounds(_ROUNDS), lambda: _printed(*argv), lambda: _printed(*watched), take=best
    )
    return alone, under


def _pairs(setup: Setup, program: str) -> Row:
    alone, under = _both(setup, max, program, "pairs", str(setup.span_s(_SPAN_S)))
    return Row(
        "run, pairs of mmap and munmap lost",
        100 * (1 - under / alone),
        _LOST_AT_MOST_PCT,
        " %",
        f"of {alone:,.0f} a second",
    )


def _spinning(setup: Setup, program: str) -> Row:
    alone, under = _both(setup, min, program, "spin", str(max(1, int(setup.span_s(_SPINS)))))
    return Row(
        "run, longer time of a program that computes",
        100 * (under / alone - 1),
        _SLOWER_AT_MOST_PCT,
        " %",
        f"than {alone:.2f} s",
    )


def _children(setup: Setup) -> Row:
    count = max(1, setup.rounds(_CHILDREN))
    script = f"i=0; while [ $i -lt {count} ]; do /bin/true; i=$((i+1)); done"
    argv = ("sh", "-c", script)
    alone, under = interleaved(
        setup.rounds(_ROUNDS),
        lambda: seconds(lambda: run(*argv)),
        lambda: seconds(lambda: run(setup.memtui, "run", "--headless", "--json", "--", *argv)),
        take=min,
    )
    return Row(
        f"run of {count:,} children / alone",
        under / alone,
        _TIMES_AT_MOST,
        "",
        f"{1000 * under:.0f} / {1000 * alone:.0f} ms, memtui's own start and the document with it",
    )
