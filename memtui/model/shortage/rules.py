"""Is this machine short of memory? The levels and the rules that decide between them.

Every rule stands in RULES with its thresholds and its words: the help prints that table. They take a
control group's figures, dressed as a machine's, as well. `verdict` puts a level into words, `judge`
applies the rules in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from memtui import units
from memtui.model.sample import Sample
from memtui.model.system.metrics import METRICS, figure

Level = Literal[
    "comfortable", "reclaiming", "thrashing", "stalling", "about_to_run_out", "being_killed"
]


class LevelWords(NamedTuple):
    """What a level is called, and what it means for the machine."""

    label: str
    meaning: str


# From best to worst.
LEVELS: Final[Mapping[Level, LevelWords]] = {
    "comfortable": LevelWords(
        "comfortable", "Memory is not short: nothing is taken back that anybody wants."
    ),
    "reclaiming": LevelWords(
        "reclaiming",
        "The kernel takes memory back, from caches or into swap, and hardly anybody waits for it. "
        "Normal while large files are read.",
    ),
    "thrashing": LevelWords(
        "thrashing",
        "What was just put out is read back at once, and tasks wait for it: more is in use than fits.",
    ),
    "stalling": LevelWords(
        "stalling", "Tasks wait for memory for a large part of the time: work hardly gets on."
    ),
    "about_to_run_out": LevelWords(
        "about to run out", "Next to nothing is left, swap included: soon the OOM killer must act."
    ),
    "being_killed": LevelWords("being killed", "The OOM killer ends processes."),
}
ORDER: Final = tuple(LEVELS)

KILL_SHOWN_S: Final = 60.0
SCARCE_PCT: Final = 3.0
SCARCE_BYTES: Final = 2 << 30  # of a machine with a TiB, three per cent are plenty
SOON_S: Final = 120.0
LOW_PCT: Final = 50.0
AT_ONCE_S: Final = 30.0
STALLING_FULL_PCT: Final = 20.0
STALLING_SOME_PCT: Final = 40.0
STALLS_PER_S: Final = 20.0
POOR_EFFICIENCY_PCT: Final = 30.0
THRASHING_PAGES_PER_S: Final = 500.0
THRASHING_SOME_PCT: Final = 5.0
THRASHING_FAULTS_PER_S: Final = 100.0
RECLAIMING_PAGES_PER_S: Final = 50.0
HITS_PER_S: Final = 1.0
WAITING_PCT: Final = 1.0

# A level is left when its conditions fail even with this much in their favour.
SLACK: Final = 1.4


class Condition(NamedTuple):
    """A figure against a limit; what is unknown fulfils nothing."""

    figure: str
    sign: Literal["≥", "<"]
    limit: float

    def holds(self, figures: Figures, slack: float = 1.0) -> bool:
        """With a slack above 1 the limit is that much easier to keep to."""
        value = figures.get(self.figure)
        if value is None:
            return False
        return value * slack >= self.limit if self.sign == "≥" else value < self.limit * slack

    @property
    def words(self) -> str:
        shown = SHOWN[self.figure]
        return f"{shown.label} {self.sign} {figure_text(self.limit, shown.unit)}"


class Rule(NamedTuple):
    """All `conditions` together make the level. Counts only where `unless_known` is not known."""

    level: Level
    conditions: tuple[Condition, ...]
    words: str
    unless_known: str | None = None

    def holds(self, figures: Figures, slack: float = 1.0) -> bool:
        if self.unless_known is not None and figures.get(self.unless_known) is not None:
            return False
        return all(each.holds(figures, slack) for each in self.conditions)


def rule_words(rule: Rule) -> str:
    """`refaults ≥ 500 pages/s and some tasks wait ≥ 3 % (pages come back …)`."""
    conditions = " and ".join(condition.words for condition in rule.conditions)
    return f"{conditions} ({rule.words})"


# Values by the names of SHOWN, over the last ten seconds where they are rates.
Figures = Mapping[str, float | None]

RULES: Final = (
    Rule(
        "being_killed",
        (Condition("kills", "≥", 1),),
        "the OOM killer ended a process within the last minute",
    ),
    Rule(
        "about_to_run_out",
        (Condition("left_pct", "<", SCARCE_PCT), Condition("left_bytes", "<", SCARCE_BYTES)),
        "next to nothing of memory and swap is left",
    ),
    Rule(
        "about_to_run_out",
        (Condition("to_zero_s", "<", SOON_S), Condition("left_pct", "<", LOW_PCT)),
        "half or less is left, and it falls steadily",
    ),
    Rule(
        "about_to_run_out",
        (Condition("to_zero_s", "<", AT_ONCE_S),),
        "however much is left, it is gone in a moment",
    ),
    Rule(
        "about_to_run_out",
        (Condition("low_zones_below_min", "≥", 1),),
        "the memory that the kernel itself can use is below its reserve, whatever highmem has",
    ),
    Rule(
        "stalling", (Condition("full", "≥", STALLING_FULL_PCT),), "all tasks wait at the same time"
    ),
    Rule(
        "stalling", (Condition("some", "≥", STALLING_SOME_PCT),), "some task or other waits, often"
    ),
    Rule(
        "stalling",
        (
            Condition("allocation_stalls_per_s", "≥", STALLS_PER_S),
            Condition("reclaim_efficiency_pct", "<", POOR_EFFICIENCY_PCT),
        ),
        "without PSI: allocations wait for reclaim, which finds little",
        "some",
    ),
    Rule(
        "thrashing",
        (
            Condition("refaults_pages_per_s", "≥", THRASHING_PAGES_PER_S),
            Condition("some", "≥", THRASHING_SOME_PCT),
        ),
        "pages come back that were just put out, and tasks wait for them",
    ),
    Rule(
        "thrashing",
        (
            Condition("refaults_pages_per_s", "≥", THRASHING_PAGES_PER_S),
            Condition("major_faults_per_s", "≥", THRASHING_FAULTS_PER_S),
        ),
        "without PSI: pages come back that were just put out, by faults that wait for the disk",
        "some",
    ),
    Rule(
        "reclaiming",
        (Condition("kswapd_scanned_pages_per_s", "≥", RECLAIMING_PAGES_PER_S),),
        "kswapd looks for pages to take back",
    ),
    Rule(
        "reclaiming",
        (Condition("direct_scanned_pages_per_s", "≥", RECLAIMING_PAGES_PER_S),),
        "allocating tasks look for pages themselves",
    ),
    Rule(
        "reclaiming",
        (Condition("group_scanned_pages_per_s", "≥", RECLAIMING_PAGES_PER_S),),
        "a control group at its limit takes back its own pages",
    ),
    Rule(
        "reclaiming",
        (Condition("limit_hits_per_s", "≥", HITS_PER_S),),
        "the control group reaches its limit and takes back its own pages",
    ),
    Rule(
        "reclaiming",
        (Condition("swap_out_pages_per_s", "≥", RECLAIMING_PAGES_PER_S),),
        "memory is put out to swap",
    ),
    Rule("reclaiming", (Condition("some", "≥", WAITING_PCT),), "some tasks wait for memory"),
    Rule(
        "reclaiming",
        (Condition("zones_below_min", "≥", 1),),
        "a zone is below its min watermark: whoever must have memory of it takes it back himself",
    ),
)


class Shown(NamedTuple):
    """How a figure of the rules is shown: the metric that explains it, its own label and unit."""

    metric: str
    label: str
    unit: str


def _plain(name: str) -> Shown:
    return Shown(name, METRICS[name].label, METRICS[name].unit)


_RATES: Final = (
    "refaults_pages_per_s",
    "swap_in_pages_per_s",
    "swap_out_pages_per_s",
    "major_faults_per_s",
    "kswapd_scanned_pages_per_s",
    "direct_scanned_pages_per_s",
    "group_scanned_pages_per_s",
    "reclaim_efficiency_pct",
    "allocation_stalls_per_s",
    "limit_hits_per_s",
)
_GAUGES: Final = (
    *("mem_available_bytes", "available_pct", "left_bytes", "left_pct"),
    *("zones_below_min", "low_zones_below_min"),
)
SHOWN: Final = {
    **{name: _plain(name) for name in (*_GAUGES, *_RATES)},
    "some": Shown("stalled_some_pct", "some tasks wait", "pct"),
    "full": Shown("stalled_full_pct", "all tasks wait", "pct"),
    "kills": Shown("oom_kills", "OOM kills in the last minute", "count"),
    "to_zero_s": Shown("mem_available_bytes", "available reaches zero in", "s"),
}


def figures_of(
    now: Sample,
    start: Sample | None,
    kills: int | None = None,
    to_zero_s: float | None = None,
) -> dict[str, float | None]:
    """What the rules look at. Without a `start` the kernel's own averages over 10 s stand for rates."""
    figures = {name: METRICS[name].value(now, start) for name in (*_GAUGES, *_RATES)}
    for line in ("some", "full"):
        value = METRICS[f"stalled_{line}_pct"].value(now, start)
        figures[line] = METRICS[f"{line}_avg10_pct"].value(now, None) if value is None else value
    figures["kills"] = kills
    figures["to_zero_s"] = to_zero_s
    return figures


def level_of(figures: Figures, held: Level | None = None) -> Level:
    """The worst level of which a rule holds. Levels up to `held` are left only when well below."""
    for rule in RULES:  # worst first
        keeps = held is not None and ORDER.index(rule.level) <= ORDER.index(held)
        if rule.holds(figures, SLACK if keeps else 1.0):
            return rule.level
    return "comfortable"


def figure_text(value: float | None, unit: str) -> str:
    """A figure of the rules as text, times to come no more exact than they can be known."""
    if unit == "s":
        return units.UNKNOWN if value is None else _roughly(value)
    return figure(value, unit)  # type: ignore[arg-type]


def _roughly(seconds: float) -> str:
    step = 5 if seconds < 120 else 60
    return units.duration(max(step, step * round(seconds / step)))
