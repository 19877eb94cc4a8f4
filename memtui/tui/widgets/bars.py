"""The lines that frame a screen: header, footer, headline, pressure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from textual import events
from textual.message import Message

from memtui.kernel.pressure import Pressure
from memtui.model.machine import Machine
from memtui.model.sample import Sample
from memtui.model.system.free import Free
from memtui.session.session import Moment
from memtui.tui import theme
from memtui.tui.keys import Key, keys_of
from memtui.tui.widgets.lines import Lines
from memtui.tui.words.cells import Line, Part
from memtui.tui.words.frame import (
    bound_by,
    header_line,
    headline,
    stall_parts,
    swap_parts,
    why_no_pressure,
)
from memtui.tui.words.time import Standing
from memtui.views import RUN, VIEWS

_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)
_ACCENT = theme.style(theme.ACCENT, bold=True)


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
        standing: Standing,
    ) -> None:
        """`lost` samples came and nobody took them."""
        if moment is None:
            self.draw(lambda width: [header_line(width, machine, None, state, interval_s)])
            return
        self.draw(
            lambda width: [
                header_line(
                    width,
                    machine,
                    moment.sample,
                    state,
                    interval_s,
                    scope=moment.scope,
                    total_bytes=moment.free.total,
                    lost=lost,
                    readonly=readonly,
                    standing=standing,
                )
            ]
        )


class Item(NamedTuple):
    """A key as it is shown, its word, and the action that it runs."""

    shown: str
    word: str
    action: str


class Keyed(Protocol):
    """Who knows what its keys do now."""

    def word(self, key: Key) -> str:
        """What is said of a key; "" where it does nothing."""


_NARROW = 100  # cells, below which views have short names
_LAST = ("help", "quit")


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

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.update(), immediate=True)

    def update(self) -> None:
        """What its screen's keys do now."""
        self.draw(lambda width: [self._line(width)])

    def _offered(self, keyed: Keyed, keys: Iterable[Key]) -> Iterator[Item]:
        """Those that do something now, and do not go to what has the focus."""
        focused = self.screen.focused
        for key in keys:
            if focused is not None and focused.check_consume_key(
                key.key.split(",")[0], key.shown if len(key.shown) == 1 else None
            ):
                continue
            if word := keyed.word(key):
                yield Item(key.shown, word, key.action)

    def _views(self, view: str, width: int) -> Iterator[Item]:
        app: Keyed = self.app  # type: ignore[assignment]
        there_are = VIEWS if getattr(app, "running", None) is None else (*VIEWS, RUN)
        for each in there_are:
            word = each.short if width < _NARROW and each.name != view else each.title
            key = Key(each.key, f"view({each.name!r})", each.key, each.help, word)
            yield from self._offered(app, (key,))

    def _line(self, width: int) -> Line:
        view, keyed = self.app.keyed_on(self.screen)  # type: ignore[attr-defined]
        gap = 1 if width < _NARROW else 2

        def taken(listed: Iterable[Item]) -> int:
            return sum(len(each.shown) + len(each.word) + 1 + gap for each in listed)

        items = list(self._views(view, width))
        keys = list(keys_of(view))
        own = list(self._offered(keyed, (key for key in keys if key.views)))
        others = list(self._offered(self.app, (key for key in keys if not key.views)))  # type: ignore[arg-type]
        if keyed is self.screen and width <= taken(items + own):
            items = []  # how to get out of a sheet matters more
        # Help and quit keep their places; others go where there is no room.
        ends = [item for item in others if item.action in _LAST]
        if width < taken(items + ends):
            here = f"view({view!r})"
            items = [item if item.action == here else item._replace(word="") for item in items]
        room = width - 1 + gap - taken(items + ends)  # what stands last needs no gap after it
        for item in own + others:
            if item not in ends and taken([item]) <= room:
                room -= taken([item])
                items.append(item)
        parts: list[Part] = [(" ", _PLAIN)]
        self._spans = []
        x = 1
        for item in items + ends:
            is_here = item.action == f"view({view!r})"
            parts += [
                (item.shown, _ACCENT),
                (f" {item.word}", _BRIGHT if is_here else _DIM),
                (" " * gap, _PLAIN),
            ]
            self._spans.append((x, x + taken([item]) - gap, item.action))
            x += taken([item])
        return parts

    def on_click(self, event: events.Click) -> None:
        for start, end, action in self._spans:
            if start <= event.x < end:
                self.post_message(self.Pressed(action))


class Headline(Lines):
    """Available first, in bytes and per cent, then where it is going, then the bands' figures."""

    def update(self, moment: Moment, window_s: float) -> None:
        """The trend is of the window that the graph shows."""
        from memtui.model.system.balance import gives_way_bytes  # after the first frame

        free, sample = moment.free, moment.sample
        trend = moment.history.trend_per_minute("mem_available_bytes", window_s)
        bound = bound_by(moment.scope, sample)
        beside = gives_way_bytes(sample.system) if sample.system.accounts else 0
        self.draw(lambda width: [headline(width, free, trend, bound, beside)])


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
