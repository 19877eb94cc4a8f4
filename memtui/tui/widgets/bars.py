"""The lines that frame a screen: header, footer, headline, pressure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from textual import events
from textual.message import Message

from memtui import units
from memtui.kernel.cgroups import Confinement
from memtui.kernel.files import Gap
from memtui.kernel.pressure import Pressure
from memtui.model.machine import Machine
from memtui.model.sample import Sample
from memtui.model.system.free import Free
from memtui.session.history import History
from memtui.session.session import Moment
from memtui.tui import theme
from memtui.tui.keys import keys_of
from memtui.tui.widgets.lines import Line, Lines, Part
from memtui.views import VIEWS

_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)
_ACCENT = theme.style(theme.ACCENT, bold=True)


def cells(parts: Line) -> int:
    return sum(units.width(text) for text, _ in parts)


def spread(left: Sequence[Part], right: Sequence[Part], width: int) -> Line:
    """Left and right ends of one line; the right one goes where both do not fit."""
    if not fits(left, right, width):
        return list(left) or list(right)
    gap = width - cells(left) - cells(right)
    return [*left, (" " * gap, _PLAIN), *right]


def fits(left: Sequence[Part], right: Sequence[Part], width: int) -> bool:
    """Whether both ends have room in one line, a blank between them."""
    return cells(left) + cells(right) < width


class Header(Lines):
    """Which machine, how it is sampled, and in words what this user may see."""

    def update(
        self,
        machine: Machine,
        moment: Moment | None,
        state: str,
        interval_s: float,
        *,
        lost: int,
        readonly: bool,
    ) -> None:
        """The moment's total is the host's, or the group's limit; `lost` samples nobody took."""
        live = state == "LIVE"
        host, sample = machine.name, moment.sample if moment else None
        sight = f"{machine.sight} · read-only" if readonly else machine.sight
        total = units.size(moment.free.total if moment else None)
        name = ""
        confinement = sample.system.confinement if sample else None
        if moment and moment.scope == "group" and isinstance(confinement, Confinement):
            path = confinement.group.path
            name = units.printable(path.rpartition("/")[2] or "/")
        slower: list[Part] = []
        if live and sample is not None and sample.asked_s == interval_s:
            # There is so much to read that it is read less often than it was asked for.
            slower = [(f"instead of {units.duration(interval_s)} ", theme.style(theme.GROWS))]
            interval_s = sample.interval_s
        if lost:
            slower.append((f"{units.count(lost)} samples lost ", theme.style(theme.ALARM)))
        right: list[Part] = [
            (
                f"{theme.glyphs().live} " if live else "‖ ",
                theme.style(theme.SHRINKS if live else theme.ACCENT),
            ),
            (f"{state} {units.duration(interval_s)} ", _PLAIN if live else _ACCENT),
            *slower,
        ]
        seen: Part = (f" {sight} ", _DIM)

        def left(host_cells: int, name_cells: int, brand: str = " memtui ") -> list[Part]:
            shown = units.fit(units.printable(host), host_cells).rstrip()
            parts: list[Part] = [(brand, _ACCENT), (f" {shown}", _BRIGHT)]
            if name:
                parts += [(" · cgroup ", _DIM), (units.fit(name, name_cells).rstrip(), _ACCENT)]
            else:
                parts.append((" · host", _DIM))
            return [*parts, (f" · {total}", _DIM)]

        def line(width: int) -> Line:
            """Whole with what may be seen, else without, else names cut: the state always stays."""
            forms: tuple[tuple[list[Part], list[Part]], ...] = (
                (left(64, 32), [*right, seen]),
                (left(64, 32), right),
                (left(16, 14), right),
                (left(10, 12, ""), right),
                (left(8, 6, ""), right),
                ([], right),
            )
            parts, end = next(
                (parts, end) for parts, end in forms if fits(parts, end, width) or not parts
            )
            return spread(parts, end, width)

        self.draw(lambda width: [line(width)])


class Footer(Lines):
    """The views and the keys that matter here, most important first; each may be clicked."""

    class Pressed(Message):
        """The user clicked a key; `action` is the app's action for it."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self) -> None:
        super().__init__(id="footer")
        self._spans: list[tuple[int, int, str]] = []

    def update(self, view: str, readonly: bool = False) -> None:
        """Those of a view."""
        self.draw(lambda width: [self._line(view, readonly, width)])

    def _line(self, view: str, readonly: bool, width: int) -> Line:
        items = [(each.key, each.title, f"view('{each.name}')") for each in VIEWS]
        keys = [key for key in keys_of(view, readonly) if key.footer]
        own = [(key.shown, key.footer, key.action) for key in keys if key.views]
        if view not in {each.name for each in VIEWS} and width <= sum(
            map(_footer_width, items + own)
        ):
            items = []  # how to get out of a sheet matters more
        # The last ones, help and quit, keep their places; others go where there is no room.
        ends = [(key.shown, key.footer, key.action) for key in keys[-2:]]
        room = width - 1 - sum(map(_footer_width, items + ends))
        for key in keys[:-2]:
            item = (key.shown, key.footer, key.action)
            if _footer_width(item) <= room:
                room -= _footer_width(item)
                items.append(item)
        parts: list[Part] = [(" ", _PLAIN)]
        self._spans = []
        x = 1
        for item in items + ends:
            shown, word, action = item
            here = action == f"view('{view}')"
            parts += [(shown, _ACCENT), (f" {word}", _BRIGHT if here else _DIM), ("  ", _PLAIN)]
            self._spans.append((x, x + _footer_width(item) - 2, action))
            x += _footer_width(item)
        return parts

    def on_click(self, event: events.Click) -> None:
        for start, end, action in self._spans:
            if start <= event.x < end:
                self.post_message(self.Pressed(action))


def _footer_width(item: tuple[str, str, str]) -> int:
    return len(item[0]) + len(item[1]) + 3


class Headline(Lines):
    """Available first, in bytes and per cent, then where it is going, then the bands' figures."""

    def update(self, history: History, free: Free) -> None:
        trend = history.trend_per_minute("mem_available_bytes")
        self.draw(lambda width: [self._line(width, free, trend)])

    def _line(self, width: int, free: Free, trend: float | None) -> Line:
        glyphs = theme.glyphs()
        narrow = width < 100
        left: list[Part] = [
            (" ━ " if not narrow else " ", theme.style(theme.BRIGHT, bold=True)),
            ("available ", _PLAIN),
            (units.size(free.available), _BRIGHT),
            (f" {units.percent(free.available_pct)}", _BRIGHT),
        ]
        moves: list[Part] = []
        if trend is not None and abs(trend) >= 2**20:
            arrow, colour = ("▼", theme.GROWS) if trend < 0 else ("▲", theme.SHRINKS)
            moves.append(
                (f" {arrow}{units.size(abs(trend), short=narrow)}/min", theme.style(colour))
            )
        right: list[Part] = []
        for label, value, colour, fill in (
            ("rest", free.rest, theme.REST, glyphs.fills[2]),
            ("buff/cache", free.buff_cache, theme.CACHE, glyphs.fills[1]),
            ("free", free.free, theme.FREE, glyphs.fills[0]),
        ):
            swatch = ("█", theme.blocks(colour)) if glyphs.coloured else (fill, _PLAIN)
            right += [
                (" " if narrow else "   ", _PLAIN),
                swatch if swatch[0] != " " else ("", _PLAIN),
                (f"{'' if narrow else ' '}{label} ", _DIM),
                (units.size(value, short=narrow), _PLAIN),
            ]
        right.append((" ", _PLAIN))
        if cells(left) + cells(moves) + cells(right) < width:
            left += moves
        return spread(left, right, width)


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
    if gap.reason == "absent" and gap.detail:
        return gap.detail
    return {
        "absent": "this kernel has no PSI",
        "unsupported": "PSI is off (boot with psi=1)",
        "malformed": "its file cannot be read",
    }.get(gap.reason, gap.reason)


class StallTable(Lines):
    """PSI's averages, some and full over 10, 60 and 300 s."""

    def update(self, sample: Sample) -> None:
        pressure = sample.system.pressure
        head: Line = [(" MEMORY STALLS   10 s   60 s  300 s", _DIM)]
        if not isinstance(pressure, Pressure):
            words = "n/a: " + why_no_pressure(pressure)
            self.draw(
                lambda width: [
                    head,
                    *([(f" {row}", _DIM)] for row in textwrap.wrap(words, max(20, width - 2))),
                ]
            )
            return
        lines: list[Line] = [head]
        for words, stall in (("some task", pressure.some), ("every task", pressure.full)):
            line: list[Part] = [(f" {words:<12}", _PLAIN)]
            values = (stall.avg10_pct, stall.avg60_pct, stall.avg300_pct) if stall else (None,) * 3
            for value in values:
                text, style = stall_parts(value)[0]
                line.append((f"{text.replace(' %', ''):>7}", style))
            lines.append(line)
        self.show(*lines)


class SwapLine(Lines):
    """How much of the swap is used."""

    def update(self, free: Free) -> None:
        self.show([(" ", _PLAIN), *swap_parts(free, 6)])
