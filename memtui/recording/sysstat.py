"""What sysstat's archive of today tells of this machine's past: seldom taken, but there.

Source: /var/log/sysstat/saDD (Debian), /var/log/sa/saDD (others), by sadf -j, which both belong to
sysstat. Sizes there are in kB, and rates per second, over the time since the entry before.
"""

from __future__ import annotations

import calendar
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from memtui.kernel.files import Gap

DIRECTORIES: Final = ("/var/log/sysstat", "/var/log/sa")
_NAMES: Final = ("sa%d", "sa%Y%m%d")
_ACTIVITIES: Final = ("-r", "ALL", "-B", "-S", "-W")
_STALLS: Final = ("-q", "MEM")  # since 12.3.3
_BYTES_AT_MOST: Final = 32 << 20
_TAKES_AT_MOST_S: Final = 5.0
_HOUR_S: Final = 3600.0


class Entry(NamedTuple):
    """Figures of the machine, by the names of the table of metrics, at a time in seconds since boot.
    They stand for the `interval_s` before it."""

    time_s: float
    interval_s: float
    figures: dict[str, float]


def read_archive(booted_s: float, now_s: float) -> list[Entry] | Gap:
    """The last hour's entries since the boot; both times in seconds since the epoch. Runs sadf."""
    found: list[Entry] = []
    # Before one in the morning the hour begins in the archive of the day before.
    for at in dict.fromkeys(
        time.strftime("%Y-%m-%d", time.localtime(now_s - back)) for back in (_HOUR_S, 0)
    ):
        path = _archive(time.strptime(at, "%Y-%m-%d"))
        if path is None:
            continue
        data = _sadf(path)
        if isinstance(data, Gap):
            return data
        try:
            found += parse_sadf(data, booted_s)
        except ValueError as error:
            return Gap(path, "malformed", str(error))
    since_s = now_s - booted_s - _HOUR_S
    return [entry for entry in found if entry.time_s >= since_s]


def _archive(day: time.struct_time) -> str | None:
    """The file of a day: the newer one where several could be."""
    paths = [
        os.path.join(directory, time.strftime(name, day))
        for directory in DIRECTORIES
        for name in _NAMES
    ]
    there = [path for path in paths if os.path.isfile(path)]
    return max(there, key=os.path.getmtime, default=None)


def _sadf(path: str) -> bytes | Gap:
    """What sadf -j prints of an archive."""
    found = _printed(path, (*_ACTIVITIES, *_STALLS))
    return _printed(path, _ACTIVITIES) if isinstance(found, Gap) else found


def _printed(path: str, activities: tuple[str, ...]) -> bytes | Gap:
    try:
        sadf = subprocess.Popen(
            ["sadf", "-j", path, "--", *activities],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        return Gap(path, "failed", f"sadf: {error.strerror}")
    alarm = threading.Timer(_TAKES_AT_MOST_S, sadf.kill)
    alarm.daemon = True
    alarm.start()
    assert sadf.stdout is not None
    with sadf.stdout:
        data = sadf.stdout.read(_BYTES_AT_MOST + 1)
    if len(data) > _BYTES_AT_MOST:
        sadf.kill()
    status = sadf.wait()
    alarm.cancel()
    if status:
        return Gap(path, "failed", "sadf cannot read it, or takes too long")
    return data


def parse_sadf(data: bytes, booted_s: float) -> list[Entry]:
    """The entries of sadf -j since a boot, in the order of time. Raises ValueError."""
    try:
        hosts = json.loads(data)["sysstat"]["hosts"]
        statistics = [each for host in hosts for each in host["statistics"]]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not what sadf -j prints: {error!r}") from None
    found = []
    for each in statistics:
        entry = _entry(each, booted_s)
        if entry is not None and entry.time_s > 0 and entry.figures:
            found.append(entry)
    return sorted(found, key=lambda entry: entry.time_s)


def _entry(statistic: Any, booted_s: float) -> Entry | None:
    """None where it says nothing."""
    try:
        stamp = statistic["timestamp"]
        day = time.strptime(f"{stamp['date']} {stamp['time']}", "%Y-%m-%d %H:%M:%S")
        wall_s = calendar.timegm(day) if stamp.get("utc") else time.mktime(day)
        interval_s = max(1.0, float(stamp.get("interval") or 1))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return None
    return Entry(wall_s - booted_s, interval_s, dict(_figures(statistic)))


def _figures(statistic: dict[str, Any]) -> Iterator[tuple[str, float]]:
    def known(part: str) -> Callable[[str], float | None]:
        own = statistic.get(part)
        values = own if isinstance(own, dict) else {}

        def value(name: str) -> float | None:
            return _amount(values.get(name))

        return value

    memory, paging, swap = known("memory"), known("paging"), known("swap-pages")
    for name, key in _KIB.items():
        if (size := memory(key)) is not None:
            yield name, size * 1024
    yield from _sums(memory)
    for name, key in _PAGING.items():
        if (rate := paging(key)) is not None:
            yield name, rate
    for name, key in (("paged_in_bytes_per_s", "pgpgin"), ("paged_out_bytes_per_s", "pgpgout")):
        if (rate := paging(key)) is not None:
            yield name, rate * 1024
    faults, major = paging("fault"), paging("majflt")
    if faults is not None and major is not None:
        yield "minor_faults_per_s", max(0.0, faults - major)
    for name, key in (("swap_in_pages_per_s", "pswpin"), ("swap_out_pages_per_s", "pswpout")):
        if (rate := swap(key)) is not None:
            yield name, rate
    stalls = statistic.get("psi")
    own = stalls.get("psi-mem") if isinstance(stalls, dict) else None
    for name, key in (("stalled_some_pct", "some_avg"), ("stalled_full_pct", "full_avg")):
        share = _amount(own.get(key)) if isinstance(own, dict) else None
        if share is not None and share <= 100:
            yield name, share


def _amount(found: object) -> float | None:
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return None
    return float(found) if 0 <= found < 1 << 62 else None


_KIB: Final = {
    "mem_free_bytes": "memfree",
    "mem_available_bytes": "avail",
    "committed_bytes": "commit",
    "active_bytes": "active",
    "inactive_bytes": "inactive",
    "dirty_bytes": "dirty",
    "anon_bytes": "anonpg",
    "slab_bytes": "slab",
    "kernel_stacks_bytes": "kstack",
    "page_tables_bytes": "pgtbl",
    "vmalloc_used_bytes": "vmused",
    "swap_used_bytes": "swpused",
    "swap_cached_bytes": "swpcad",
}
_PAGING: Final = {
    "major_faults_per_s": "majflt",
    "kswapd_scanned_pages_per_s": "pgscank",
    "direct_scanned_pages_per_s": "pgscand",
}


def _sums(memory: Callable[[str], float | None]) -> Iterator[tuple[str, float]]:
    """Figures that sysstat has in parts. Its `memused` leaves out buffers, cache and slabs."""
    free, buffers, cached = memory("memfree"), memory("buffers"), memory("cached")
    used, slab, available = memory("memused"), memory("slab"), memory("avail")
    swap_used, swap_free = memory("swpused"), memory("swpfree")
    if buffers is not None and cached is not None:
        # What of the slabs can be had back is not told: by so much it is less than live.
        yield "buff_cache_bytes", (buffers + cached) * 1024
        if free is not None and used is not None and slab is not None:
            total = used + free + buffers + cached + slab
            yield "mem_total_bytes", total * 1024
            yield "rest_bytes", (used + slab) * 1024
            if available is not None:
                yield "mem_used_bytes", max(0.0, total - available) * 1024
                yield "available_pct", min(100.0, 100 * available / total) if total else 0.0
    if swap_used is not None and swap_free is not None:
        yield "swap_total_bytes", (swap_used + swap_free) * 1024
