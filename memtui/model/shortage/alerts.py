"""What is worth telling at once: thresholds that were crossed, and what happened between two ticks.

`watch` is a fold over samples: state in, state and events out. A threshold fires once when it is
crossed, and again only after it was clear for a while.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from memtui import units
from memtui.kernel.files import Gap
from memtui.kernel.pressure import Pressure
from memtui.model.sample import Sample
from memtui.model.shortage.events import Event, Level
from memtui.model.shortage.rules import ORDER as VERDICTS
from memtui.model.system.free import allocatable_bytes
from memtui.model.system.metrics import stalled_pct
from memtui.setting import Setting, choice, number, shown, switch

CLEAR_S: Final = 30.0  # a threshold that fired must be clear for so long before it fires again
ACTIONS: Final = ("mark", "bell", "notify")

# "5" alone would be five bytes, which nobody means.
_SIZE: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?(?:([KMGT])(?:i?B)?|B)", re.ASCII)
_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?) ?%", re.ASCII)


class Limit(NamedTuple):
    """So much memory: a share of all there is, or a size. One of the two is None."""

    share_pct: float | None
    size_bytes: float | None

    def of(self, total_bytes: float | None) -> float | None:
        """In bytes; None where a share is meant and the whole is not known."""
        if self.share_pct is None:
            return self.size_bytes
        return None if total_bytes is None else total_bytes * self.share_pct / 100

    def __str__(self) -> str:
        return units.size(self.size_bytes) if self.share_pct is None else f"{self.share_pct:g} %"


class AlertSettings(NamedTuple):
    """What to watch for: None, "" or False switches one off. Made from the table `ALERTS`.

    `actions` holds of every alert; `own_actions` what single ones do instead.
    """

    available_below: Limit | None
    psi_some_above: float | None
    psi_full_above: float | None
    stall_above_ms: float | None
    verdict: str
    oom_kill: bool
    actions: tuple[str, ...]
    own_actions: Mapping[str, tuple[str, ...]] = {}

    def actions_of(self, event: Event) -> tuple[str, ...]:
        """What an event does besides being listed. What is no alert only marks the graph."""
        unwatched = event.kind == "segfault" or (event.kind == "oom_kill" and not self.oom_kill)
        if event.level == "note" or unwatched:
            return ("mark",)
        return self.own_actions.get(event.kind, self.actions)


def _limit(value: object) -> Limit | None:
    if value is False:
        return None
    text = value if isinstance(value, str) else ""
    if share := _SHARE.fullmatch(text):
        percent = float(share[1])
        if percent <= 100:
            return Limit(percent, None)
    if size := _SIZE.fullmatch(text):
        power = 10 * " KMGT".index(size[2] or " ")
        return Limit(None, float(size[1]) * (1 << power))
    raise ValueError(
        f"expected a share such as '5%', a size such as '500M', or false, {_not(value)}"
    )


def _percent(value: object) -> float | None:
    found = number(value)
    if value is False:
        return None
    if found is None or not 0 <= found <= 100:
        raise ValueError(f"expected 0 to 100 per cent, or false, {_not(value)}")
    return found


def _milliseconds(value: object) -> float | None:
    found = number(value)
    if value is False:
        return None
    if found is None or found <= 0:
        raise ValueError(f"expected milliseconds, or false, {_not(value)}")
    return found


def _verdict(value: object) -> str:
    return "" if value is False else choice(VERDICTS)(value)


def _actions(value: object) -> tuple[str, ...]:
    if isinstance(value, list) and all(each in ACTIONS for each in value):
        return tuple(value)
    unknown = (
        [each for each in value if each not in ACTIONS] if isinstance(value, list) else [value]
    )
    names = ", ".join(map(repr, ACTIONS))
    raise ValueError(f"expected a list of {names}, {_not(unknown[0])}")


def _not(value: object) -> str:
    return f"not {shown(value)}"


def _alert(name: str, default: Any, convert: Any, help_: str) -> Setting:
    return Setting(name, "", "", default, convert, help_, name)


_WATCHED: Final = (
    _alert(
        "available_below",
        Limit(5.0, None),
        _limit,
        "available memory below a share of all, or below a size such as 500M",
    ),
    _alert(
        "psi_some_above",
        20.0,
        _percent,
        "some task waited for memory in more than so many per cent of an interval",
    ),
    _alert("psi_full_above", 5.0, _percent, "every task did"),
    _alert(
        "stall_above_ms",
        200.0,
        _milliseconds,
        "milliseconds of waiting between two looks that the averages do not show",
    ),
    _alert("verdict", "thrashing", _verdict, f"this or worse: {', '.join(VERDICTS)}"),
    _alert("oom_kill", True, switch, "the kernel killed a process for want of memory"),
)
ALERTS: Final = (
    *_WATCHED,
    _alert(
        "actions",
        ("mark", "notify"),
        _actions,
        "what an alert does: mark the graphs, ring the terminal's bell, notify in a corner",
    ),
    *(
        _alert(f"{each.name}_actions", None, _actions, f"what {each.name} does instead")
        for each in _WATCHED
    ),
)


def alert_settings(values: Mapping[str, Any]) -> AlertSettings:
    """Settings from values by name, of which those left out are as the table says."""
    own = {
        each.name: tuple(values[key])
        for each in _WATCHED
        if values.get(key := f"{each.name}_actions") is not None
    }
    table = {each.key: each.default for each in ALERTS if each.key in AlertSettings._fields}
    given = {key: value for key, value in values.items() if key in table}
    return AlertSettings(**{**table, **given, "own_actions": own})


class State(NamedTuple):
    """What `watch` remembers: the alerts that fired, each with when it became clear (None: it is
    not), and the time of a sample that came after a gap."""

    fired: Mapping[str, float | None] = {}
    gap_s: float = -1.0


def watch(
    state: State,
    settings: AlertSettings,
    sample: Sample,
    before: Sample | None,
    verdict: str | None,
) -> tuple[State, list[Event]]:
    """What a sample tells, with the one before it and the verdict on it. Never raises.

    Unknown figures fire nothing and clear nothing.
    """
    if before is not None and before.time_s >= sample.time_s:
        before = None  # another machine's, or another boot's
        state = State()
    fired = dict(state.fired)
    events: list[Event] = []
    for kind, crossed, event in _thresholds(settings, sample, before, verdict):
        if _fires(fired, kind, crossed, sample.time_s) and event is not None:
            events.append(event)
    # Of several levels reached at once the worst says it all.
    judged = [event for event in events if event.kind == "verdict"]
    events = [event for event in events if event.kind != "verdict" or event is judged[-1]]
    gap = False
    if before is not None:
        # Averages would not tell: else it is an alert of its own already.
        if any(event.kind.startswith("psi_") for event in events):
            events = [event for event in events if event.kind != "stall_above_ms"]
        if settings.oom_kill:
            events += _kills(sample, before)
        elapsed = sample.time_s - before.time_s
        asked = max(sample.interval_s, before.interval_s)
        gap = elapsed > 2 * asked + 2
        if gap:
            text = f"nothing was seen for {units.duration(elapsed)}: suspended, stopped, or kept waiting"
            events.append(Event(sample.time_s, "gap", "note", text))
        missed = sample.skipped - before.skipped
        # The ticks that a gap has cost are counted in the sample after it.
        lost = missed > 0 and state.gap_s != before.time_s
        if _fires(fired, "skipped", lost, sample.time_s):
            ticks = "1 tick" if missed == 1 else f"{units.count(missed)} ticks"
            text = f"{ticks} skipped: memtui itself was kept waiting"
            events.append(Event(sample.time_s, "skipped", "note", text))
        events += _swap_changes(sample, before)
    return State(fired, sample.time_s if gap else -1.0), events


def _fires(fired: dict[str, float | None], kind: str, crossed: bool | None, now_s: float) -> bool:
    """Whether an alert is to be told now; brings what is remembered of it up to date."""
    if kind not in fired:
        if crossed:
            fired[kind] = None
        return bool(crossed)
    if crossed is None or crossed:
        fired[kind] = None
        return False
    clear_since = fired[kind]
    if clear_since is None:
        fired[kind] = now_s
    elif now_s - clear_since >= CLEAR_S:
        del fired[kind]
    return False


def _thresholds(
    settings: AlertSettings, sample: Sample, before: Sample | None, verdict: str | None
) -> Iterator[tuple[str, bool | None, Event | None]]:
    """Each threshold that is watched: its name, whether it is crossed now (None: unknown), and the
    event of that."""

    def told(kind: str, level: Level, text: str, metric: str) -> Event:
        return Event(sample.time_s, kind, level, text, metric)

    if settings.available_below is not None:
        # Not free(1)'s, which before 3.14 is MemFree: a healthy machine would be below any limit.
        available = allocatable_bytes(sample.system.meminfo)
        total = _key(sample.system.meminfo, "MemTotal")
        limit = settings.available_below.of(total)
        crossed = None if available is None or limit is None else available < limit
        share = 100 * available / total if available is not None and total else None
        text = (
            f"available is {units.size(available)}, {units.percent(share, 1)}: "
            f"below {settings.available_below}"
        )
        yield (
            "available_below",
            crossed,
            told("available_below", "warning", text, "mem_available_bytes"),
        )
    lines: tuple[tuple[Literal["some", "full"], float | None, Level, str], ...] = (
        ("some", settings.psi_some_above, "warning", "some task"),
        ("full", settings.psi_full_above, "alarm", "every task"),
    )
    for line, above, level, who in lines:
        if above is None:
            continue
        share = None if before is None else stalled_pct(sample, before, line)
        kind = f"psi_{line}_above"
        text = f"{who} waited for memory in {units.percent(share)} of the time: above {above:g} %"
        crossed = None if share is None else share > above
        yield kind, crossed, told(kind, level, text, f"stalled_{line}_pct")
    if settings.stall_above_ms is not None:
        stalled_ms = None if before is None else _hidden_stall_ms(settings, sample, before)
        text = f"a stall of {units.duration((stalled_ms or 0) / 1000)} between two ticks"
        yield (
            "stall_above_ms",
            None if stalled_ms is None else stalled_ms >= settings.stall_above_ms,
            told("stall_above_ms", "warning", text, "stalled_some_pct"),
        )
    if settings.verdict:
        rank = VERDICTS.index(verdict) if verdict in VERDICTS else None
        for least in range(VERDICTS.index(settings.verdict), len(VERDICTS)):
            words = (verdict or "").replace("_", " ")
            yield (
                f"verdict {VERDICTS[least]}",
                None if rank is None else rank >= least,
                told("verdict", "alarm", f"verdict: {words}", ""),
            )


def _hidden_stall_ms(settings: AlertSettings, sample: Sample, before: Sample) -> float | None:
    """How long tasks waited since the sample before, 0 where the 10 s average shows it anyway."""
    pressure, earlier = sample.system.pressure, before.system.pressure
    if not isinstance(pressure, Pressure) or not isinstance(earlier, Pressure):
        return None
    if pressure.some is None or earlier.some is None:
        return None
    if settings.psi_some_above is not None and pressure.some.avg10_pct > settings.psi_some_above:
        return 0.0
    waited_us = pressure.some.total_us - earlier.some.total_us
    return waited_us / 1000 if waited_us >= 0 else None


def _kills(sample: Sample, before: Sample) -> list[Event]:
    """Each growth of the kernel's count is one event: killing is never clear in between."""
    now, then = _key(sample.system.vmstat, "oom_kill"), _key(before.system.vmstat, "oom_kill")
    if now is None or then is None or now <= then:
        return []
    killed = "a process" if now - then == 1 else f"{units.count(now - then)} processes"
    text = f"the kernel killed {killed} for want of memory"
    return [Event(sample.time_s, "oom_kill", "alarm", text)]


def _swap_changes(sample: Sample, before: Sample) -> list[Event]:
    now, then = (_key(each.system.meminfo, "SwapTotal") for each in (sample, before))
    if now is None or then is None or now == then:
        return []
    text = f"swap in use went from {units.size(then)} to {units.size(now)}"
    if then == 0:
        text = f"swap of {units.size(now)} appeared"
    elif now == 0:
        text = f"swap of {units.size(then)} went away"
    return [Event(sample.time_s, "swap", "note", text, "swap_total_bytes")]


def _key(source: Mapping[str, int] | Gap, name: str) -> int | None:
    return None if isinstance(source, Gap) else source.get(name)
