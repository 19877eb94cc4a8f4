"""A level in words: one sentence, and the figures it rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from memtui import units
from memtui.kernel.files import Gap
from memtui.model.sample import Sample
from memtui.model.shortage.rules import (
    HITS_PER_S,
    LEVELS,
    RECLAIMING_PAGES_PER_S,
    RULES,
    SHOWN,
    SLACK,
    STALLING_FULL_PCT,
    WAITING_PCT,
    Figures,
    Level,
    figure_text,
    figures_of,
    level_of,
)
from memtui.model.system.free import free_figures
from memtui.model.system.metrics import METRICS

# Shown with every verdict, where they are known.
_ALWAYS: Final = ("mem_available_bytes", "available_pct", "some")
_COUNTS: Final = ("kills", "zones_below_min", "low_zones_below_min")
_AMPLE_PCT: Final = 20.0


class Evidence(NamedTuple):
    """A figure beside the verdict: `metric` is its key in METRICS, where it is explained.

    `decides`: the level is what it is because of this one; others are told for comparison.
    """

    metric: str
    label: str
    value: float | None
    unit: str
    text: str
    source: str
    decides: bool = False


class Verdict(NamedTuple):
    """The level in one sentence, with its evidence; `level` None where there is nothing to judge by.

    `lacks` says which sources gave nothing. `in_group`: a control group is at its limit, and the
    machine itself is well.
    """

    level: Level | None
    sentence: str
    evidence: tuple[Evidence, ...]
    lacks: tuple[str, ...] = ()
    time_to_zero_s: float | None = None
    in_group: bool = False


def verdict_of(now: Sample, start: Sample | None = None) -> Verdict:
    """The verdict from one state, or from two: what two looks can tell, without what came before."""
    kills = None
    if start is not None:
        grown = METRICS["oom_kills"].value(now, start)
        kills = None if grown is None else int(grown)
    figures = figures_of(now, start, kills)
    return worded(level_of(figures), figures, now, start, bool(kills) and spares(figures))


def worded(
    level: Level, figures: Figures, now: Sample, start: Sample | None, kills_in_group: bool
) -> Verdict:
    lacks = _lacks(now)
    # That nothing was counted tells nothing where nothing else could be seen.
    if all(value is None for name, value in figures.items() if name not in _COUNTS or value):
        return Verdict(None, "Nothing to judge by: " + "; ".join(lacks) + ".", (), lacks)
    in_group = kills_in_group if level == "being_killed" else _group_at_limit(figures)
    in_group = in_group and level not in ("comfortable", "about_to_run_out")
    to_zero = figures["to_zero_s"]
    sentence = f"{_head(level)}: {_reason(level, figures, in_group)}"
    if to_zero is not None:
        sentence += f"; at this rate available reaches zero in {figure_text(to_zero, 's')}"
    names = {
        condition.figure: True
        for rule in RULES
        if rule.level == level and rule.holds(figures, SLACK)
        for condition in rule.conditions
    }
    beside = [name for name in _ALWAYS if figures.get(name) is not None]
    if in_group and figures.get("group_scanned_pages_per_s"):
        beside.append("group_scanned_pages_per_s")
    if to_zero is not None:
        beside.append("to_zero_s")
    names = {**names, **{name: False for name in beside if name not in names}}
    evidence = tuple(
        _evidence(name, decides, figures, now, start) for name, decides in names.items()
    )
    return Verdict(level, sentence + ".", evidence, lacks, to_zero, in_group)


def eased(verdict: Verdict, to_zero_s: float | None) -> Verdict:
    """A verdict of some seconds ago whose level is kept for a while: its evidence is of then."""
    head, colon, reason = verdict.sentence.partition(": ")
    sentence = head.removesuffix(", easing") + ", easing" + colon + reason
    return verdict._replace(sentence=sentence, time_to_zero_s=to_zero_s)


def _head(level: Level) -> str:
    label = LEVELS[level].label
    return label[0].upper() + label[1:]


def _evidence(
    name: str, decides: bool, figures: Figures, now: Sample, start: Sample | None
) -> Evidence:
    shown, value = SHOWN[name], figures[name]
    metric, label = shown.metric, shown.label
    if name in ("some", "full") and METRICS[metric].value(now, start) is None:
        metric, label = f"{name}_avg10_pct", f"{label}, average of 10 s"
    source = METRICS[metric].source
    meminfo = now.system.meminfo
    told = None if isinstance(meminfo, Gap) else meminfo.get("MemAvailable")
    if name in ("mem_available_bytes", "available_pct") and free_figures(meminfo).available != told:
        source = source.replace("MemAvailable", "MemFree for lack of MemAvailable")
    text = figure_text(value, shown.unit)
    return Evidence(metric, label, value, shown.unit, text, source, decides)


def _reason(level: Level, figures: Figures, in_group: bool) -> str:
    """Why, with the figures that decided it."""
    where = ""
    if in_group:
        where = f"; the machine itself has {_shown('mem_available_bytes', figures)} available"
    return _REASONS[level](figures, where)


def _shown(name: str, figures: Figures) -> str:
    return figure_text(figures[name], SHOWN[name].unit)


def _number(name: str, figures: Figures) -> str:
    """A rate without its unit, for `a second` to follow."""
    value = figures[name]
    return units.UNKNOWN if value is None else units.count(round(value))


def _waits(figures: Figures) -> str:
    if figures["some"] is None:
        return ""
    return f"tasks wait for memory {_shown('some', figures)} of the time"


def _killed(figures: Figures, where: str) -> str:
    count = int(figures["kills"] or 0)
    what = "a process" if count == 1 else f"{count} processes"
    if where:
        where = ", probably in a control group at its limit" + where
    elif figures["mem_available_bytes"] is not None:
        where = f"; now {_shown('mem_available_bytes', figures)} are available"
    return f"the OOM killer ended {what} in the last minute{where}"


def _running_out(figures: Figures, _where: str) -> str:
    if figures["low_zones_below_min"]:
        return (
            "low memory is below its min watermark, and only of that can the kernel itself have any; "
            f"{_shown('mem_available_bytes', figures)} are available in all"
        )
    only = "only " if (figures["left_pct"] or 0) < _AMPLE_PCT else ""
    left = f"{only}{_shown('left_bytes', figures)} ({_shown('left_pct', figures)}) are left"
    swap = "" if figures["left_bytes"] == figures["mem_available_bytes"] else " with swap"
    waits = f", and {_waits(figures)}" if (figures["some"] or 0) >= WAITING_PCT else ""
    return left + swap + waits


def _stalling(figures: Figures, where: str) -> str:
    if (figures["full"] or 0) >= STALLING_FULL_PCT / SLACK:
        waits = f"all tasks wait for memory {_shown('full', figures)} of the time"
    else:
        number = _number("allocation_stalls_per_s", figures)
        waits = _waits(figures) or f"{number} allocations a second wait for memory"
    return waits + _inside(where)


def _thrashing(figures: Figures, where: str) -> str:
    faults = f"{_number('major_faults_per_s', figures)} faults a second wait for the disk"
    back = f"{_number('refaults_pages_per_s', figures)} pages a second come back that were just put out"
    return f"{back}, and {_waits(figures) or faults}{_inside(where)}"


def _inside(where: str) -> str:
    return f", in a control group at its limit{where}" if where else ""


def _reclaiming(figures: Figures, where: str) -> str:
    some, waits = figures["some"], _waits(figures)
    for name, who in _WHO_RECLAIMS:
        limit = HITS_PER_S if name == "limit_hits_per_s" else RECLAIMING_PAGES_PER_S
        if (figures[name] or 0) * SLACK >= limit:
            calm = "" if some is None else ", and hardly anybody waits"
            return who + (f", and {waits}" if some and some >= WAITING_PCT else calm) + where
    if figures["zones_below_min"] and (some or 0) < WAITING_PCT:
        zones = "a zone is" if figures["zones_below_min"] == 1 else "zones are"
        others = f"{_shown('mem_available_bytes', figures)} are available in all"
        return f"{zones} below the min watermark, although {others}"
    return waits + where


def _comfortable(figures: Figures, _where: str) -> str:
    some, waits = figures["some"], _waits(figures)
    if figures["mem_available_bytes"] is None:
        return waits or "nothing is being taken back"
    words = f"{_shown('mem_available_bytes', figures)} are available"
    if figures["available_pct"] is not None:
        words += f", {_shown('available_pct', figures)} of all"
    if some is None:
        return words
    return words + (", and nobody waits for memory" if some < WAITING_PCT else f", and {waits}")


_REASONS: Final[Mapping[Level, Callable[[Figures, str], str]]] = {
    "comfortable": _comfortable,
    "reclaiming": _reclaiming,
    "thrashing": _thrashing,
    "stalling": _stalling,
    "about_to_run_out": _running_out,
    "being_killed": _killed,
}
_WHO_RECLAIMS: Final = (
    ("direct_scanned_pages_per_s", "allocating tasks have to take memory back themselves"),
    ("kswapd_scanned_pages_per_s", "kswapd takes memory back"),
    ("group_scanned_pages_per_s", "a control group at its limit takes back its own pages"),
    ("limit_hits_per_s", "the limit is reached, and pages are taken back to stay below it"),
    ("swap_out_pages_per_s", "memory is put out to swap"),
)


def spares(figures: Figures) -> bool:
    """Whether the machine as a whole is well: much is available and nobody reclaims for it."""
    scans = [figures[name] for name in ("kswapd_scanned_pages_per_s", "direct_scanned_pages_per_s")]
    return (figures["available_pct"] or 0) >= _AMPLE_PCT and scans == [0, 0]


def _group_at_limit(figures: Figures) -> bool:
    """Whether what happens does so because of a control group's limit."""
    group = figures["group_scanned_pages_per_s"]
    if group is None:  # before 5.8
        return spares(figures)
    kswapd, direct = figures["kswapd_scanned_pages_per_s"], figures["direct_scanned_pages_per_s"]
    machine = (kswapd or 0) + (direct or 0)
    return 0 < group > machine and (figures["available_pct"] or 0) >= _AMPLE_PCT


def _lacks(now: Sample) -> tuple[str, ...]:
    named = (
        ("figures of use", now.system.meminfo),
        ("counters of reclaim", now.system.vmstat),
        ("pressure stall information", now.system.pressure),
    )
    return tuple(
        f"no {words} ({source.detail if source.reason == 'absent' and source.detail else source})"
        for words, source in named
        if isinstance(source, Gap)
    )
