"""Measures memtui beside its peers and prints one table. Exit status 1 where a figure is over."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from subprocess import SubprocessError
from typing import Final

from tests.bench import cores, growth, machine, mapview, reading, recording, running, screens
from tests.bench.row import Row, table
from tests.bench.setup import EFFORTS, Setup, about, installed

MEASURES: Final[dict[str, Callable[[Setup], Iterator[Row]]]] = {
    "figures": screens.first_figures,
    "frame": screens.first_frame,
    "memory": screens.memory,
    "cpu": screens.overview_time,
    "system": machine.system,
    "procs": reading.listing,
    "open": mapview.opening,
    "keys": mapview.keys,
    "free": reading.starting,
    "views": screens.views_time,
    "parsing": reading.parsing,
    "holding": reading.holding,
    "growth": growth.growth,
    "maps": reading.reports,
    "more-keys": mapview.other_keys,
    "large": mapview.opening_large,
    "core": cores.opening,
    "churn": mapview.churn,
    "run": running.watching,
    "recording-size": recording.size,
    "recording-cost": recording.cost,
    "last-hour": recording.last_hour,
    "recording-day": recording.day,
}
# What is felt, in a minute and a half; the rest takes longer or changes seldom.
_SHORT: Final = ("figures", "frame", "memory", "cpu", "system", "procs", "open", "keys", "free")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "measures", nargs="*", metavar="MEASURE", help=f"of {', '.join(MEASURES)}; all by default"
    )
    parser.add_argument(
        "--effort",
        choices=EFFORTS,
        default="full",
        help=f"short: {', '.join(_SHORT)}, each with fewer rounds, and no figure fails; "
        "trial: little of everything, to see that it works",
    )
    parser.add_argument(
        "--python",
        metavar="PATH",
        help="of an environment that memtui is installed in; without, one is made",
    )
    parser.add_argument(
        "--all-rows", action="store_true", help="a row that is skipped is a failure"
    )
    options = parser.parse_args(argv)
    for name in options.measures:
        if name not in MEASURES:
            parser.error(f"no measure {name!r}; there are {', '.join(MEASURES)}")
    chosen = options.measures or (_SHORT if options.effort == "short" else MEASURES)
    with nullcontext(options.python) if options.python else installed() as python:
        print(about(python), end="", flush=True)
        rows = list(_measured(Setup(python, EFFORTS[options.effort]), chosen))
    print(table(rows), end="")
    verdicts = {row.verdict for row in rows}
    return int(
        "FAILED" in verdicts
        or (options.all_rows and "skipped" in verdicts)
        or (options.effort == "full" and "OVER" in verdicts)
    )


def _measured(setup: Setup, names: Iterable[str]) -> Iterator[Row]:
    """The rows of all measures; of one that fails, the reason in place of what it had left."""
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            yield from MEASURES[name](setup)
        except (OSError, AssertionError, SubprocessError) as error:
            yield Row(name, None, note=f"{error!r}", failed=True)


if __name__ == "__main__":
    # The installed one is measured, whatever clone this leads to.
    os.environ.pop("PYTHONPATH", None)
    sys.exit(main())
