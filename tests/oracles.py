"""Comparisons of two readings of a machine that goes on in between."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_DEADLINE_S: Final = 20.0


def until_alike(compare: Callable[[], None]) -> None:
    """Has `compare` read both sides and assert that they agree, anew until they do.

    What moved between two readings agrees the next time; what is wrong never does, and fails with
    the last round's own words.
    """
    deadline = time.monotonic() + _DEADLINE_S
    while True:
        try:
            return compare()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
