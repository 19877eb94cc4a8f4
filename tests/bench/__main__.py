"""Measures memtui beside its peers and prints one table. Exit status 1 where a figure is over."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator

from tests.bench import growth, machine, mapview, reading, screens
from tests.bench.row import Row, table

MEASURES: dict[str, Callable[[bool], Iterator[Row]]] = {
    "cpu": screens.processor_time,
    "frame": screens.first_frame,
    "pss": screens.memory,
    "system": machine.system,
    "parsing": reading.parsing,
    "holding": reading.holding,
    "free": reading.starting,
    "growth": growth.growth,
    "maps": reading.reports,
    "procs": reading.listing,
    "keys": mapview.keys,
    "open": mapview.opening,
    "churn": mapview.churn,
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "measures", nargs="*", metavar="MEASURE", help=f"of {', '.join(MEASURES)}; all by default"
    )
    parser.add_argument(
        "--quick", action="store_true", help="little of everything, to see that it works"
    )
    options = parser.parse_args(argv)
    for name in options.measures:
        if name not in MEASURES:
            parser.error(f"no measure {name!r}; there are {', '.join(MEASURES)}")
    rows: list[Row] = []
    for name in options.measures or MEASURES:
        print(f"{name} …", file=sys.stderr, flush=True)
        rows += MEASURES[name](options.quick)
    print(table(rows), end="")
    # A quick one says nothing about how fast it is.
    return int(not options.quick and any(row.verdict == "OVER" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
