"""One line of the table: a figure, mostly a ratio, and what it may be at most."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """`figure` None: skipped or failed, for the reason in `note`. `at_most` None: for information."""

    what: str
    figure: float | None
    at_most: float | None = None
    unit: str = ""
    note: str = ""
    failed: bool = False

    @property
    def verdict(self) -> str:
        if self.figure is None:
            return "FAILED" if self.failed else "skipped"
        if self.at_most is None:
            return ""
        return "ok" if self.figure <= self.at_most else "OVER"


def table(rows: Sequence[Row]) -> str:
    """All rows in columns."""
    width = max(len("what"), *(len(row.what) for row in rows))
    lines = [f"{'what':<{width}} {'figure':>11} {'at most':>8} {'':<8} how"]
    for row in rows:
        figure = "–" if row.figure is None else f"{row.figure:.3g}{row.unit}"
        at_most = "–" if row.at_most is None else f"{row.at_most:g}"
        lines.append(
            f"{row.what:<{width}} {figure:>11} {at_most:>8} {row.verdict:<8} {row.note}".rstrip()
        )
    return "\n".join(lines) + "\n"


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def interleaved(
    rounds: int,
    *works: Callable[[], float],
    take: Callable[[Sequence[float]], float] = statistics.median,
) -> list[float]:
    """The median of each work's own figure; all of them in every round, so a drift hits all."""
    figures = [[work() for work in works] for _ in range(rounds)]
    return [take(column) for column in zip(*figures, strict=True)]


def tenth(figures: Sequence[float]) -> float:
    """The 10th percentile: what a start takes where nobody else is in its way."""
    return sorted(figures)[-(-len(figures) // 10) - 1]
