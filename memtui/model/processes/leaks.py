"""The leak hunt: what grew steadily, how sure that is, since when, and when it will have eaten all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

from memtui import units
from memtui.model.keys import ProcessKey
from memtui.model.processes.growth import LEAST_POINTS, SURE, Growth, growth_of
from memtui.model.processes.use import Look, Use

What = Literal["process", "group", "mapping", "machine"]
Figure = Literal["anon", "rss", "pss"]

LEAST_BYTES: Final = 512 << 10  # what grew by less is not told
_TAIL: Final = 12  # what began late is looked for in the last twelfth by itself
_MORE: Final = (
    1.25  # a whole must grow by so much more than its parts that leak, or they are enough
)
FIGURE_WORDS: Final[dict[Figure, str]] = {
    "anon": "anonymous memory and swap",
    "rss": "RSS and swap",
    "pss": "PSS and swap",
}
# Of the machine itself: what no process is charged for.
MACHINE_FIGURES: Final = {
    "slab_unreclaimable_bytes": "unreclaimable slabs",
    "unaccounted_bytes": "memory that is not accounted for",
    "percpu_bytes": "per-CPU memory",
    "page_tables_bytes": "page tables",
}
_SURE: Final = (
    *((0.99, "all but certain"), (0.95, "very likely"), (SURE, "likely"), (0.0, "perhaps")),
)
_MOST: Final = (
    0.5  # of what its process grew: a mapping that was read seldom must have grown by that
)
_SELDOM: Final = 0.5  # how sure that is then


class Series(NamedTuple):
    """A size over time. `of` is whose: a process of one boot, or of a group its kind and name.

    `wholes` are those that it is a part of. Of a mapping `kind` says what it is, and `span` where
    it was last; of a group `kind` is what its members have in common. `has_ended`: it is there no more.
    """

    what: What
    name: str
    pid: int | None
    figure: Figure
    times: Sequence[float]
    values: Sequence[float]
    of: tuple[object, ...] = ()
    wholes: tuple[tuple[object, ...], ...] = ()
    mapping: str = ""
    kind: str = ""
    span: tuple[int, int] | None = None
    has_ended: bool = False

    @property
    def place(self) -> str:
        """A mapping's name, and where it was last, printable; "" of all else."""
        words = units.printable(self.mapping)
        return words if self.span is None else f"{words} {self.span[0]:x}-{self.span[1]:x}"

    @property
    def who(self) -> str:
        """Whose it is, printable."""
        name = units.printable(self.name)
        if self.what == "group":
            return f"{self.kind} {name}"
        return name if self.pid is None else f"{name} ({self.pid})"


class Leak(NamedTuple):
    """What of a series grew as a line does, or did until it came to its end (`is_plateau`).

    `until_full_s`: in how many seconds, from the last moment on, it has eaten what was available then;
    None where it does not go on, or that is not known.
    """

    series: Series
    growth: Growth
    until_full_s: float | None

    @property
    def is_plateau(self) -> bool:
        return self.growth.shape == "plateau"

    @property
    def words(self) -> str:
        """How sure it is."""
        if self.is_plateau:
            return "no more: a plateau"
        return next(words for least, words in _SURE if self.growth.certainty >= least)


def hunted(
    series: Iterable[Series], available_bytes: float | None
) -> tuple[list[Leak], list[Leak]]:
    """What leaks, the worst first, each process's mappings behind it; and what has come to a plateau and
    is still there, the largest first. `available_bytes` is what was available at the end.
    """
    all_ = list(series)
    found = list(_without_parts(_grown(all_, available_bytes)))
    found += _read_seldom(all_, found)
    leaks = [each for each in found if not each.is_plateau]
    plateaus = [each for each in found if each.is_plateau and not each.series.has_ended]
    plateaus.sort(key=lambda each: each.growth.grown, reverse=True)
    return _ranked(leaks), plateaus


def _grown(all_: Iterable[Series], available_bytes: float | None) -> Iterator[Leak]:
    for each in all_:
        if len(each.times) < LEAST_POINTS or max(each.values) - min(each.values) < LEAST_BYTES:
            continue
        growth = _growth(each)
        if growth is None or growth.grown < LEAST_BYTES:
            continue
        until_full_s = None
        if growth.shape == "leak" and not each.has_ended and available_bytes is not None:
            until_full_s = available_bytes / growth.slope_per_s
        yield Leak(each, growth, until_full_s)


def _read_seldom(all_: Iterable[Series], found: list[Leak]) -> Iterator[Leak]:
    """Of processes that leak, and whose maps were read too seldom to see a line in a mapping, the one
    that took most of it."""
    told = {each.series.of[:2] for each in found if each.series.what == "mapping"}
    leaking = {
        each.series.of: each.growth
        for each in found
        if each.series.what == "process" and not each.is_plateau and each.series.of not in told
    }
    for each in all_:
        whole = leaking.get(each.of[:2]) if each.what == "mapping" else None
        if whole is None or not 2 <= len(each.times) < LEAST_POINTS or each.span is None:
            continue
        first_s, last_s = each.times[0], each.times[-1]
        grown = each.values[-1] - each.values[0]
        slope = grown / (last_s - first_s)
        if grown >= LEAST_BYTES and slope >= _MOST * whole.slope_per_s:
            yield Leak(each, Growth("leak", first_s, last_s, slope, grown, _SELDOM), None)


def _ranked(leaks: list[Leak]) -> list[Leak]:
    """By how fast it goes on, what is less sure less; what has ended last."""

    def rank(leak: Leak) -> tuple[bool, float]:
        growth = leak.growth
        return not leak.series.has_ended, growth.slope_per_s * growth.certainty**4

    leaks.sort(key=rank, reverse=True)
    processes = {leak.series.of: leak for leak in leaks if leak.series.what == "process"}
    ranked: list[Leak] = []
    for leak in leaks:
        if leak.series.what == "mapping" and leak.series.of[:2] in processes:
            continue
        ranked.append(leak)
        own = [each for each in leaks if each.series.what == "mapping"]
        if leak.series.what == "process":
            ranked += [each for each in own if each.series.of[:2] == leak.series.of]
    return ranked


def _growth(series: Series) -> Growth | None:
    """What grew, over all or only lately; None: nothing."""
    whole = growth_of(series.times, series.values)
    if whole is not None and whole.shape == "leak":
        return whole
    since_s = series.times[-1] - (series.times[-1] - series.times[0]) / _TAIL
    first = next(at for at, time_s in enumerate(series.times) if time_s >= since_s)
    late = growth_of(series.times[first:], series.values[first:])
    # The second largest: one value alone may be anything.
    before = sorted(series.values[:first])[-2:][:1]
    if late is not None and late.shape == "leak" and before:
        is_new = series.values[-1] - before[0] >= late.grown / 2
        if is_new:
            return late
    return whole if whole is not None and whole.shape == "plateau" else None


def _without_parts(found: Iterable[Leak]) -> Iterator[Leak]:
    """Of a process one figure, the first that grew; of groups, and of mappings together, those that grew
    by more than their parts that are told."""
    told: set[tuple[object, ...]] = set()
    rates: dict[tuple[object, ...], float] = {}
    for leak in found:
        series, growth = leak.series, leak.growth
        if series.of in told or growth.slope_per_s < _MORE * rates.get(series.of, 0.0):
            continue
        told.add(series.of)
        if not leak.is_plateau:
            for whole in series.wholes:
                rates[whole] = rates.get(whole, 0.0) + growth.slope_per_s
        yield leak


# Series of looks.


def series_of(looks: Sequence[Look]) -> Iterator[Series]:
    """Every process by each of its figures, the groups that had more than one member, and figures of
    the machine."""
    times: dict[tuple[str, ProcessKey], list[tuple[float, Use]]] = {}
    for look in looks:
        for key, use in look.uses.items():
            times.setdefault((look.boot, key), []).append((look.time_s, use))
    for (boot, key), uses in times.items():
        yield from _of_process(boot, key, uses, looks[-1].time_s)
    yield from _of_groups(looks, "program", lambda use: use.name)
    yield from _of_groups(looks, "cgroup", lambda use: use.cgroup or "")
    for name, words in MACHINE_FIGURES.items():
        known = [(look.time_s, look.figures[name]) for look in looks if name in look.figures]
        if known:
            times_s, values = zip(*known, strict=True)
            yield Series("machine", words, None, "rss", times_s, values, ("machine", name))


def _of_process(
    boot: str, key: ProcessKey, uses: list[tuple[float, Use]], end_s: float
) -> Iterator[Series]:
    has_ended, last = uses[-1][0] < end_s, uses[-1][1]
    of, wholes = (boot, key), (("program", last.name), ("cgroup", last.cgroup))
    figures: tuple[tuple[Figure, list[int | None]], ...] = (
        ("anon", [use.anon_bytes for _, use in uses]),
        ("rss", [use.rss_bytes for _, use in uses]),
        ("pss", [use.pss_bytes for _, use in uses]),
    )
    for figure, values in figures:
        known = [
            (time_s, value)
            for (time_s, _), value in zip(uses, values, strict=True)
            if value is not None
        ]
        if known:
            times, sizes = zip(*known, strict=True)
            yield Series(
                *("process", last.name, key.pid, figure, times, sizes, of, wholes),
                has_ended=has_ended,
            )


def _of_groups(looks: Sequence[Look], kind: str, name_of: Callable[[Use], str]) -> Iterator[Series]:
    """The sums of processes that belong together, of those that ever had several."""
    sums: dict[str, dict[int, int]] = {}
    members: dict[str, set[ProcessKey]] = {}
    for at, look in enumerate(looks):
        for key, use in look.uses.items():
            if name := name_of(use):
                own = sums.setdefault(name, {})
                own[at] = own.get(at, 0) + use.anon_bytes
                members.setdefault(name, set()).add(key)
    times = [look.time_s for look in looks]
    for name, own in sums.items():
        if len(members[name]) > 1:
            values = [own.get(at, 0) for at in range(len(looks))]
            yield Series("group", name, None, "anon", times, values, (kind, name), kind=kind)
