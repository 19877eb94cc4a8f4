"""Kernel samepage merging: pages of equal content kept once.

Source: /sys/kernel/mm/ksm/. Document: Documentation/admin-guide/mm/ksm.rst. Since: 2.6.32; general_profit
6.4. Permission: anyone. Cost: 120 µs.
"""

from __future__ import annotations

from typing import NamedTuple

from memtui.kernel.files import Files, Gap
from memtui.kernel.values import read_number, read_signed

_KSM = "sys/kernel/mm/ksm/"


class Ksm(NamedTuple):
    """`run`: 0 stopped, 1 runs, 2 stopped and unmerged. All else None where not offered.

    `pages_shared` are kept, `pages_sharing` point to one of them besides its first: the pages saved.
    `pages_unshared` are unlike all others, `pages_volatile` change too fast. The profit is less what
    the bookkeeping costs, and may be negative.
    """

    run: int
    pages_shared: int | None
    pages_sharing: int | None
    pages_unshared: int | None
    pages_volatile: int | None
    pages_scanned: int | None
    pages_skipped: int | None
    zero_pages: int | None
    full_scans: int | None
    pages_to_scan: int | None
    sleep_ms: int | None
    general_profit_bytes: int | None


def read_ksm(files: Files) -> Ksm | Gap:
    """The Gap of its `run` on a kernel without it."""
    data = files.read(_KSM + "run")
    if isinstance(data, Gap):
        return data
    run = read_number(files, _KSM + "run")
    if run is None:
        return Gap(_KSM + "run", "malformed", repr(data[:60].decode("ascii", "backslashreplace")))
    counts = (
        read_number(files, _KSM + name)
        for name in (
            "pages_shared",
            "pages_sharing",
            "pages_unshared",
            "pages_volatile",
            "pages_scanned",
            "pages_skipped",
            "ksm_zero_pages",
            "full_scans",
            "pages_to_scan",
            "sleep_millisecs",
        )
    )
    return Ksm(run, *(*counts, read_signed(files, _KSM + "general_profit")))
