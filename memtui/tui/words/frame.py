"""The lines that frame a screen, and what stands in them: machine, headline, swap, stalls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memtui import units
from memtui.kernel.cgroups import Confinement
from memtui.kernel.files import Gap
from memtui.model.machine import Machine
from memtui.model.sample import Sample
from memtui.model.system.free import Free
from memtui.tui import theme
from memtui.tui.words.cells import Line, Part, fits, spread
from memtui.tui.words.time import NOW, Standing, recording_parts, standing_forms

if TYPE_CHECKING:
    from memtui.session.scope import Scope

_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)
_ACCENT = theme.style(theme.ACCENT, bold=True)


def header_line(
    width: int,
    machine: Machine,
    sample: Sample | None,
    state: str,
    interval_s: float,
    *,
    scope: Scope = "host",
    total_bytes: int | None = None,
    lost: int = 0,
    readonly: bool = False,
    standing: Standing = NOW,
) -> Line:
    """Which machine, how it is sampled, and in words what this user may see.

    Whole with what may be seen, else without, else names cut: the state, or the moment that is shown
    instead of now, always stays. The total is the host's, or the group's limit; `lost` samples came
    and nobody took them.
    """
    if machine.still:
        return _still_line(width, machine)
    live = state == "LIVE"
    sight = f"{machine.sight} · read-only" if readonly else machine.sight
    total = units.size(total_bytes)
    name = ""
    if scope == "group" and sample and isinstance(sample.system.confinement, Confinement):
        path = sample.system.confinement.group.path
        name = units.printable(path.rpartition("/")[2] or "/")
    slower: list[Part] = []
    if live and sample is not None and sample.asked_s == interval_s:
        # There is so much to read that it is read less often than it was asked for.
        slower = [(f"instead of {units.duration(interval_s)} ", theme.style(theme.GROWS))]
        interval_s = sample.interval_s
    if sample is not None and sample.gaps:
        slower.append((f"{len(sample.gaps)} readings failed ", theme.style(theme.ALARM)))
    if lost:
        slower.append((f"{units.count(lost)} samples lost ", theme.style(theme.ALARM)))
    right: list[Part] = [
        *recording_parts(standing.records),
        (
            f"{theme.glyphs().live} " if live else "‖ ",
            theme.style(theme.SHRINKS if live else theme.ACCENT),
        ),
        (f"{state} {units.duration(interval_s)} ", _PLAIN if live else _ACCENT),
        *slower,
    ]
    seen: Part = (f" {sight} ", _DIM)
    hidden = machine.hidden.short if machine.hidden else ""
    part: list[Part] = [(f" {hidden} ", _DIM)] if hidden else []

    def left(host_cells: int, name_cells: int, brand: str = " memtui ") -> list[Part]:
        shown = units.fit(units.printable(machine.name), host_cells).rstrip()
        parts: list[Part] = [(brand, _ACCENT), (f" {shown}", _BRIGHT)]
        if name:
            parts += [(" · cgroup ", _DIM), (units.fit(name, name_cells).rstrip(), _ACCENT)]
        else:
            parts.append((" · host", _DIM))
        return [*parts, (f" · {total}", _DIM)]

    if not standing.is_now:
        for moment in standing_forms(standing):
            for host in (left(64, 32), left(16, 14), left(10, 12, ""), left(8, 6, "")[:2]):
                if fits(host, moment, width):
                    return spread(host, moment, width)
        return spread([], moment, width)
    forms: tuple[tuple[list[Part], list[Part]], ...] = (
        (left(64, 32), [*right, seen]),
        (left(64, 32), [*right, *part]),
        (left(16, 14), [*right, *part]),
        (left(16, 14), right),
        (left(10, 12, ""), right),
        (left(8, 6, ""), right),
        ([], right),
    )
    parts, end = next((parts, end) for parts, end in forms if fits(parts, end, width) or not parts)
    return spread(parts, end, width)


def _still_line(width: int, machine: Machine) -> Line:
    """Of a core dump: whose, of what, when."""
    name, still = units.printable(machine.name), units.printable(machine.still)
    for brand, words in ((" memtui ", still), (" memtui ", still.partition(" · ")[0]), ("", "")):
        parts: list[Part] = [(brand, _ACCENT), (f" {name}", _BRIGHT)]
        if words:
            parts.append((f" · {words} ", _DIM))
        if fits(parts, [], width):
            break
    return spread(parts, [], width)


def bound_by(scope: Scope, sample: Sample) -> str:
    """`memory.max of shop` where that is looked at, what it has left where the host is although that
    group is short; else nothing."""
    from memtui.session.scope import binds, in_group

    confinement = sample.system.confinement
    if not isinstance(confinement, Confinement) or confinement.limit_bytes is None:
        return ""
    name = units.printable(confinement.group.path.rpartition("/")[2] or "/")
    if scope == "group":
        return f"{confinement.limit_name} of {name}"
    group = in_group(sample)
    if group is None or not binds(sample, group):
        return ""
    left = units.size(confinement.group.available_bytes)
    return f"cgroup {name}: {left} of {units.size(confinement.limit_bytes, short=True)} (c)"


def headline(
    width: int, free: Free, trend: float | None, bound: str = "", beside_bytes: int = 0
) -> Line:
    """Available first, in bytes and per cent, then where it is going, then the bands' figures.

    `trend` is available's, in bytes a minute. `bound` says which group binds, `beside_bytes` what
    gives way beside available.
    """
    glyphs = theme.glyphs()
    narrow = width < 100
    left: list[Part] = [
        (" ━ " if not narrow else " ", theme.style(theme.BRIGHT, bold=True)),
        ("available ", _PLAIN),
        (units.size(free.available), _BRIGHT),
        (f" {units.percent(free.available_pct)}", _BRIGHT),
    ]
    if bound:
        left += [(" · ", _DIM), (bound, _ACCENT)]
    moves: list[Part] = []
    if trend is not None and abs(trend) >= 2**20:
        arrow, colour = ("▼", theme.GROWS) if trend < 0 else ("▲", theme.SHRINKS)
        moved = f" {arrow}{units.size(abs(trend), short=narrow)}/min"
        moves.append((moved, theme.style(colour)))
    if beside_bytes >= 2**20:
        moves.append((f" + {units.size(beside_bytes, short=narrow)} ZFS, GPU", _DIM))
    used: list[Part] = []
    if free.available_pct is not None:
        # Of what is available, so that both are all there is.
        share = units.percent(100 - round(free.available_pct))
        figure = "" if narrow else f"{units.size(free.used)} "
        used = [(f"{'  ' if narrow else '   '}used ", _DIM), (f"{figure}{share}", _PLAIN)]

    def bands(cache: str) -> list[Part]:
        right: list[Part] = []
        for label, value, colour, fill in (
            ("rest", free.rest, theme.REST, glyphs.fills[2]),
            (cache, free.buff_cache, theme.CACHE, glyphs.fills[1]),
            ("free", free.free, theme.FREE, glyphs.fills[0]),
        ):
            swatch = ("█", theme.blocks(colour)) if glyphs.coloured else (fill, _PLAIN)
            right += [
                (" " if narrow else "   ", _PLAIN),
                swatch if swatch[0] != " " else ("", _PLAIN),
                (f"{'' if narrow else ' '}{label} ", _DIM),
                (units.size(value, short=narrow), _PLAIN),
            ]
        return [*right, (" ", _PLAIN)]

    forms: tuple[tuple[list[Part], list[Part]], ...] = (
        ([*left, *moves, *used], bands("buff/cache")),
        ([*left, *moves, *used], bands("cache")),
        ([*left, *moves], bands("buff/cache")),
        (left, bands("buff/cache")),
        (left, bands("cache")),
        # What binds tells more than the bands, which the graph has too.
        (left, []),
    )
    line, right = next((form for form in forms if fits(*form, width)), (left, []))
    return spread(line, right, width)


def filter_parts(text: str, shown: str = "") -> list[Part]:
    """The filter that holds, and the way out: `filter postgres: 12 · Esc: all`."""
    return [
        (" filter ", _DIM),
        (units.printable(text), theme.style(theme.ACCENT)),
        (f": {shown}" if shown else "", _DIM),
        (" · Esc: all ", _DIM),
    ]


def swap_parts(free: Free, bar: int, *, short: bool = False) -> list[Part]:
    """`swap ███░ 1.2 GiB of 8.0 GiB`, without a bar where that is 0 cells; or that there is none."""
    if free.swap_total is None:
        return [("swap n/a", _DIM)]
    if not free.swap_total:
        return [("no swap", _DIM)]
    share = (free.swap_used or 0) / free.swap_total
    fill = theme.style(theme.GROWS if share > 0.5 else theme.CACHE)
    return [
        ("swap ", _DIM),
        (f"{units.permille_bar(share, bar)} ", fill) if bar else ("", fill),
        (units.size(free.swap_used, short=short), _PLAIN),
        (f" of {units.size(free.swap_total, short=short)}", _DIM),
    ]


def stall_parts(value: float | None, word: str = "") -> list[Part]:
    """A share of time in which tasks waited, in the colour of how bad that is."""
    colour = theme.FOREGROUND
    if value is not None and value >= 1:
        colour = theme.ALARM if value >= 10 else theme.GROWS
    text = units.percent(value, 1) if value is not None else units.UNKNOWN
    return [
        (text, theme.style(colour, bold=colour != theme.FOREGROUND)),
        (f" {word}" if word else "", _DIM),
    ]


def why_no_pressure(gap: Gap) -> str:
    """In words."""
    if gap.reason in ("absent", "denied") and gap.detail:
        return gap.detail
    return {
        "absent": "this kernel has no PSI",
        "unsupported": "PSI is off (boot with psi=1)",
        "malformed": "its file cannot be read",
    }.get(gap.reason, gap.words)
