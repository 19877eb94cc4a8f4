"""The figures of sar -r ALL -B -S -W -H -q MEM, by sysstat's names and formulas (12.7.9 and later).

One table of columns: reports, views and explanations read it. Versions before 12.7.8 differ in
kbmemused (all that is not free, buffers, cache or slab) and have no kbshmem, those before 12.7.9 in
pgsteal/s (every page counted twice).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, NamedTuple

from memtui import units
from memtui.kernel.files import Gap
from memtui.kernel.pressure import Pressure, Stall

Unit = Literal["kB", "percent", "per_s"]
Figures = dict[str, float | None]


# No kernel's number is as large; a file that is none may hold one too long for a float.
_BEYOND: Final = 1 << 80


class State(NamedTuple):
    """What the figures are made of: meminfo in bytes, vmstat, and memory's PSI; None: not known."""

    meminfo: Mapping[str, float] | None
    vmstat: Mapping[str, int] | None
    pressure: Pressure | None


# Before everything: what has grown since is the counter itself.
BOOT: Final = State(None, None, None)


def state(
    meminfo: Mapping[str, int] | Gap, vmstat: Mapping[str, int] | Gap, pressure: Pressure | Gap
) -> State:
    """The state that three readings show; one that failed costs its own columns alone."""
    return State(
        None if isinstance(meminfo, Gap) else meminfo,
        None if isinstance(vmstat, Gap) else vmstat,
        None if isinstance(pressure, Gap) else pressure,
    )


class Section(NamedTuple):
    """Columns that sar prints together: its flag, what they are of, and the file they are from."""

    flag: str
    words: str
    source: str


SECTIONS: Final = (
    Section("-r", "memory, with all of sar's -r ALL", "proc/meminfo"),
    Section("-B", "paging, faults and reclaim", "proc/vmstat"),
    Section("-S", "swap space", "proc/meminfo"),
    Section("-W", "pages swapped in and out", "proc/vmstat"),
    Section("-H", "huge pages", "proc/meminfo"),
    Section("-q", "time lost waiting for memory (PSI)", "proc/pressure/memory"),
)


class SarColumn(NamedTuple):
    """One figure: sysstat's name for it, in words, and its formula in the kernel's own keys.

    `of` takes it from a state. Where `is_growth`, that is a counter, and the figure what it has
    grown by in a second.
    """

    name: str
    section: str
    unit: Unit
    is_growth: bool
    of: Callable[[State], float | None]
    formula: str
    words: str

    def text(self, value: float | None) -> str:
        """A figure as sar prints it: whole kB, two places of anything else."""
        if value is None:
            return units.UNKNOWN
        if isinstance(value, int):  # as it is: a float has 53 bits
            return str(value) if self.unit == "kB" else f"{value}.00"
        return f"{value:.0f}" if self.unit == "kB" else f"{value:.2f}"


def figures(
    now: State, before: State | None, elapsed_s: float | None, columns: Iterable[SarColumn]
) -> Figures:
    """Each column's figure, by its name: kB, percent, or a second.

    None where the kernel does not offer what it is made of, or where a counter went backwards; all
    rates are, without a state before or where no time has passed. Since boot: `before` is BOOT.
    """
    return {column.name: _figure(column, now, before, elapsed_s) for column in columns}


def _figure(
    column: SarColumn, now: State, before: State | None, elapsed_s: float | None
) -> float | None:
    try:
        value = column.of(now)
        if column.is_growth and value is not None:
            if before is None or elapsed_s is None or elapsed_s <= 0:
                return None
            start = 0 if before is BOOT else column.of(before)
            value = None if start is None or value < start else (value - start) / elapsed_s
    except OverflowError:
        return None
    return _bounded(value)


def _bounded(value: float | None) -> float | None:
    return value if value is not None and abs(value) < _BEYOND else None


class Average:
    """The figures of several intervals as one: rates over the whole time, sizes as their mean.

    As sar's, shares are made of the means, not the mean of the shares. An interval in which a
    counter is not known does not count for it.
    """

    def __init__(self, columns: Iterable[SarColumn]) -> None:
        self.count = 0
        self._columns = tuple(columns)
        self._sizes: dict[str, tuple[float, int]] = {}
        self._rates: dict[str, tuple[float, float]] = {}

    def add(self, now: State, elapsed_s: float | None, figures: Figures) -> None:
        """One interval: the state at its end, its length, and the figures of both."""
        self.count += 1
        for key, size in (now.meminfo or {}).items():
            if size < _BEYOND:
                total, count = self._sizes.get(key, (0, 0))
                self._sizes[key] = total + size, count + 1
        for column in self._columns:
            value = figures[column.name]
            # A share of time that the kernel has averaged weighs as much as any other.
            weight = elapsed_s if column.is_growth else 1
            if value is not None and weight is not None:
                total, weights = self._rates.get(column.name, (0, 0))
                self._rates[column.name] = total + value * weight, weights + weight

    def figures(self) -> Figures:
        mean = State(
            {key: total / count for key, (total, count) in self._sizes.items()}, None, None
        )
        return {
            column.name: _bounded(column.of(mean))
            if _SOURCES[column.section] == "proc/meminfo"
            else self._mean(column.name)
            for column in self._columns
        }

    def _mean(self, name: str) -> float | None:
        total, weights = self._rates.get(name, (0, 0))
        return total / weights if weights else None


_SOURCES: Final = {section.flag: section.source for section in SECTIONS}

_Of = Callable[[State], float | None]


def _size(key: str) -> _Of:
    return lambda state: _kb(_bytes(state, key))


def _bytes(state: State, key: str) -> float | None:
    return None if state.meminfo is None else state.meminfo.get(key)


def _kb(size: float | None) -> float | None:
    if size is None:
        return None
    return size >> 10 if isinstance(size, int) else size / 1024


def _share(part: float | None, whole: float | None) -> float | None:
    """In per cent; of nothing it is 0, as sar has it."""
    if part is None or whole is None:
        return None
    return 100 * part / whole if whole else 0.0


def _available(state: State) -> float | None:
    available = _bytes(state, "MemAvailable")
    # Missing before 3.14, and -1 has been seen.
    return _bytes(state, "MemFree") if available is None else available


def _used(state: State) -> float | None:
    total, available = _bytes(state, "MemTotal"), _available(state)
    # A container's MemAvailable may be its host's: then there is no telling.
    if total is None or available is None or available > total:
        return None
    return total - available


def _commit_share(state: State) -> float | None:
    total, swap = _bytes(state, "MemTotal"), _bytes(state, "SwapTotal")
    whole = None if total is None or swap is None else total + swap
    return _share(_bytes(state, "Committed_AS"), whole)


def _swap_used(state: State) -> float | None:
    total, free = _bytes(state, "SwapTotal"), _bytes(state, "SwapFree")
    if total == 0:
        return 0
    if total is None or free is None:
        return None
    return max(0, total - free)  # a container may have more free than there is, as for free(1)


def _swap_free(state: State) -> float | None:
    total, free = _bytes(state, "SwapTotal"), _bytes(state, "SwapFree")
    return None if total is not None and free is not None and free > total else free


def _huge(key: str) -> _Of:
    return lambda state: _kb(_huge_bytes(state, key))


def _huge_bytes(state: State, key: str) -> float | None:
    pages, size = _bytes(state, key), _bytes(state, "Hugepagesize")
    return None if pages is None or size is None else pages * size


def _huge_used(state: State) -> float | None:
    total = _huge_bytes(state, "HugePages_Total")
    free = _huge_bytes(state, "HugePages_Free")
    return None if total is None or free is None or free > total else total - free


def _event(key: str) -> _Of:
    return lambda state: None if state.vmstat is None else state.vmstat.get(key)


def _events(*prefixes: str, but: tuple[str, ...] = ()) -> _Of:
    """The sum of those that begin so: kernels before 4.8 have one for each zone."""

    def of(state: State) -> float | None:
        found = [
            value
            for key, value in (state.vmstat or {}).items()
            if key.startswith(prefixes) and key not in but
        ]
        return sum(found) if found else None

    return of


_BY_TYPE: Final = ("pgsteal_anon", "pgsteal_file")
_by_reclaimer: Final = _events("pgsteal_", but=_BY_TYPE)


def _stolen(state: State) -> float | None:
    """Every page is counted once by who took it and, since 5.8, once by its type: one of both."""
    by_type = [(state.vmstat or {}).get(key) for key in _BY_TYPE]
    known = [pages for pages in by_type if pages is not None]
    return sum(known) if len(known) == len(_BY_TYPE) else _by_reclaimer(state)


def _stall(
    line: Literal["some", "full"], take: Callable[[Stall], float]
) -> Callable[[State], float | None]:
    def of(state: State) -> float | None:
        stall: Stall | None = getattr(state.pressure, line, None)
        return None if stall is None else take(stall)

    return of


def _gauges(section: str, *rows: tuple[str, _Of, str, str]) -> list[SarColumn]:
    return [
        SarColumn(name, section, "percent" if name[0] == "%" else "kB", False, of, formula, words)
        for name, of, formula, words in rows
    ]


def _key(name: str, key: str, words: str) -> tuple[str, _Of, str, str]:
    return name, _size(key), key, words


def _rates(section: str, *rows: tuple[str, _Of, str, str]) -> list[SarColumn]:
    return [
        SarColumn(f"{name}/s", section, "per_s", True, of, f"growth of {formula} / seconds", words)
        for name, of, formula, words in rows
    ]


def _count(name: str, key: str, words: str) -> tuple[str, _Of, str, str]:
    return name, _event(key), key, words


def _stalls(line: Literal["some", "full"], words: str) -> list[SarColumn]:
    name = f"%{line[0]}mem"
    takes: tuple[tuple[int, Callable[[Stall], float]], ...] = (
        (10, lambda stall: stall.avg10_pct),
        (60, lambda stall: stall.avg60_pct),
        (300, lambda stall: stall.avg300_pct),
    )
    return [
        *_gauges(
            "-q",
            *(
                (
                    f"{name}-{seconds}",
                    _stall(line, take),
                    f"{line} avg{seconds}",
                    f"{words}, of the last {seconds} seconds, as the kernel averages it",
                )
                for seconds, take in takes
            ),
        ),
        SarColumn(
            name,
            "-q",
            "percent",
            True,
            # In hundredths of a second: what it grows by in a second is per cent.
            _stall(line, lambda stall: stall.total_us / 10_000),
            f"100 × growth of {line} total / microseconds",
            f"{words}, of the interval",
        ),
    ]


COLUMNS: Final[dict[str, SarColumn]] = {
    column.name: column
    for column in (
        *_gauges(
            "-r",
            _key("kbmemfree", "MemFree", "memory that nothing uses"),
            (
                "kbavail",
                lambda state: _kb(_available(state)),
                "MemAvailable; MemFree where the kernel has none",
                "memory that programs can still get without swapping, by the kernel's estimate",
            ),
            (
                "kbmemused",
                lambda state: _kb(_used(state)),
                "MemTotal − MemAvailable",
                "memory that programs and the kernel cannot do without",
            ),
            (
                "%memused",
                lambda state: _share(_used(state), _bytes(state, "MemTotal")),
                "100 × (MemTotal − MemAvailable) / MemTotal",
                "kbmemused in proportion to all memory",
            ),
            _key("kbbuffers", "Buffers", "blocks of disks in memory, mostly of file systems"),
            _key("kbcached", "Cached", "contents of files in memory, and shared memory with tmpfs"),
            _key("kbcommit", "Committed_AS", "memory promised to programs, used by them or not"),
            (
                "%commit",
                _commit_share,
                "100 × Committed_AS / (MemTotal + SwapTotal)",
                "kbcommit in proportion to memory and swap; it may pass 100",
            ),
            _key("kbactive", "Active", "memory used of late, to be reclaimed last"),
            _key("kbinact", "Inactive", "memory not used of late, to be reclaimed first"),
            _key("kbdirty", "Dirty", "contents of files that wait to be written to disk"),
            _key("kbshmem", "Shmem", "shared memory and tmpfs"),
            _key("kbanonpg", "AnonPages", "programs' own memory that is of no file"),
            _key("kbslab", "Slab", "small objects of the kernel"),
            _key("kbkstack", "KernelStack", "stacks of the kernel, one for each thread"),
            _key("kbpgtbl", "PageTables", "page tables of processes"),
            _key(
                "kbvmused", "VmallocUsed", "the kernel's memory by vmalloc; kernels 4.4 to 5.2: 0"
            ),
        ),
        *_rates(
            "-B",
            _count("pgpgin", "pgpgin", "kB read from disks and swap"),
            _count("pgpgout", "pgpgout", "kB written to disks and swap"),
            _count("fault", "pgfault", "page faults, minor and major"),
            _count("majflt", "pgmajfault", "page faults that had to read from disk or swap"),
            _count("pgfree", "pgfree", "pages given back to the free lists"),
            (
                "pgscank",
                _events("pgscan_kswapd"),
                "pgscan_kswapd",
                "pages that kswapd looked at, to reclaim them",
            ),
            (
                "pgscand",
                # How often a task was held up, not pages.
                _events("pgscan_direct", but=("pgscan_direct_throttle",)),
                "pgscan_direct",
                "pages that tasks in want of memory looked at themselves, to reclaim them",
            ),
            (
                "pgsteal",
                _stolen,
                "(pgsteal_anon + pgsteal_file)",
                "pages reclaimed",
            ),
            (
                "pgprom",
                _event("pgpromote_success"),
                "pgpromote_success",
                "pages moved to faster memory of another node",
            ),
            (
                "pgdem",
                _events("pgdemote_"),
                "all pgdemote_…",
                "pages moved to slower memory of another node",
            ),
        ),
        *_gauges(
            "-S",
            (
                "kbswpfree",
                lambda state: _kb(_swap_free(state)),
                "SwapFree",
                "swap space that is not used",
            ),
            (
                "kbswpused",
                lambda state: _kb(_swap_used(state)),
                "SwapTotal − SwapFree",
                "swap space that is used",
            ),
            (
                "%swpused",
                lambda state: _share(_swap_used(state), _bytes(state, "SwapTotal")),
                "100 × (SwapTotal − SwapFree) / SwapTotal",
                "kbswpused in proportion to all swap space; 0 without any",
            ),
            _key("kbswpcad", "SwapCached", "pages in memory that are still in swap as well"),
            (
                "%swpcad",
                lambda state: _share(_bytes(state, "SwapCached"), _swap_used(state)),
                "100 × SwapCached / (SwapTotal − SwapFree)",
                "kbswpcad in proportion to kbswpused; 0 where nothing is swapped out",
            ),
        ),
        *_rates(
            "-W",
            _count("pswpin", "pswpin", "pages swapped in"),
            _count("pswpout", "pswpout", "pages swapped out"),
        ),
        *_gauges(
            "-H",
            (
                "kbhugfree",
                _huge("HugePages_Free"),
                "HugePages_Free × Hugepagesize",
                "huge pages of the pool that nothing uses, reserved ones too",
            ),
            (
                "kbhugused",
                lambda state: _kb(_huge_used(state)),
                "(HugePages_Total − HugePages_Free) × Hugepagesize",
                "huge pages of the pool that are used",
            ),
            (
                "%hugused",
                lambda state: _share(_huge_used(state), _huge_bytes(state, "HugePages_Total")),
                "100 × (HugePages_Total − HugePages_Free) / HugePages_Total",
                "kbhugused in proportion to the pool; 0 without one",
            ),
            (
                "kbhugrsvd",
                _huge("HugePages_Rsvd"),
                "HugePages_Rsvd × Hugepagesize",
                "free huge pages that are promised to programs",
            ),
            (
                "kbhugsurp",
                _huge("HugePages_Surp"),
                "HugePages_Surp × Hugepagesize",
                "huge pages beyond the pool's own size",
            ),
        ),
        *_stalls("some", "share of time in which at least one task waited for memory"),
        *_stalls("full", "share of time in which all tasks waited for memory"),
    )
}


def columns_of(flags: Iterable[str]) -> list[SarColumn]:
    """The columns of those sections, in the table's order."""
    wanted = frozenset(flags)
    return [column for column in COLUMNS.values() if column.section in wanted]
