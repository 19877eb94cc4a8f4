"""A program on a terminal of 120x40, when it has drawn something, and what it has used by then."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.setup import ELSEWHERE
from tests.terminal import DEADLINE_S, Terminal


def start(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Terminal:
    """Starts a program; use it in `with`, which ends it."""
    return Terminal(argv, environment=environment, emulate=False, directory=ELSEWHERE)


def until(terminal: Terminal, wanted: re.Pattern[bytes], since: int = 0) -> float:
    """When the output from `since` on first had what is wanted, by perf_counter()."""
    deadline = time.perf_counter() + DEADLINE_S
    while True:
        terminal.pump(0.1)
        now = time.perf_counter()
        if wanted.search(terminal.output, since):
            return now
        if now > deadline or terminal.process.poll() is not None:
            raise OSError(f"{terminal.process.args!r} never drew {wanted.pattern!r}")


def watch(terminal: Terminal, span_s: float) -> None:
    """Takes in all that it draws for so long."""
    end = time.perf_counter() + span_s
    while (left := end - time.perf_counter()) > 0:
        terminal.pump(left)


def run_ns(pid: int) -> int:
    """Time on a processor of all threads of a process and of its children."""
    total, todo = 0, [pid]
    while todo:
        for task in Path(f"/proc/{todo.pop()}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
                todo += map(int, (task / "children").read_text().split())
            except OSError:
                continue  # it has ended since
    return total
