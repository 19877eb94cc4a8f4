"""The application: takes samples in, keeps what is chosen, tells the visible view."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from memtui import units
from memtui.defects import defect
from memtui.live.plan import Plan
from memtui.live.source import Source
from memtui.model.map.addressmap import MapReading
from memtui.model.sample import ProcessSample, Sample
from memtui.model.shortage.events import Event
from memtui.session.history import GrowthTracker, History
from memtui.session.scope import Scope, in_group, of_group
from memtui.session.seen import Seen
from memtui.settings.values import DEFAULTS, Settings
from memtui.targets import Target, fits, meant
from memtui.tui import theme
from memtui.tui.alerting import tell
from memtui.tui.chosen import Chosen
from memtui.tui.dashboard import Dashboard
from memtui.tui.keys import VIEWS, bindings, keys_of
from memtui.tui.views import breadth, made
from memtui.tui.views.overview import Overview
from memtui.tui.views.view import View
from memtui.tui.widgets.bars import Footer, Header
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.processes import ProcessList
from memtui.tui.widgets.verdictlines import tiny_lines

if TYPE_CHECKING:
    from memtui.model.oom.deathwatch import DeathWatch
    from memtui.model.oom.obituary import Obituary

_SILENT_S = 5.0  # and three intervals: so long without a sample is worth a word
INTERVALS_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Arrived(Message):
    """Samples or map readings wait to be taken; one message for all of them."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Arrived)


class MemtuiApp(App[None]):
    """The dashboard. Only this thread writes anything that widgets draw."""

    CSS_PATH = "memtui.tcss"
    TITLE = "memtui"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(),
        *(Binding(view.key, f"view('{view.name}')", view.title, show=False) for view in VIEWS),
    ]

    def __init__(
        self,
        source: Source,
        *,
        host: str = "",
        sight: str = "",
        page: int = 4096,
        is_live: bool = True,
        target: Target | None = None,
        inbox: deque[Sample | MapReading] | None = None,
        settings: Settings = DEFAULTS,
        started: Callable[[], object] | None = None,
        silent_s: Callable[[], float] | None = None,
    ) -> None:
        """`started` is called once, after the first frame; `silent_s` says how long ago the source
        gave its last sample."""
        super().__init__()
        own = theme.textual_theme()
        self.register_theme(own)
        # Without its watcher, which would have all styles parsed a second time.
        self.set_reactive(App.theme, own.name)
        if own.name != "memtui":  # whose grounds are nearly Textual's own
            self.stylesheet.set_variables(self.get_css_variables())
        self.settings = settings
        self._started_too = started
        self._silent_s = silent_s
        self._silent = False
        self.source = source
        self.seen: dict[Scope, Seen] = {
            "host": Seen(settings),
            "group": Seen(settings),
        }
        self.scope: Scope = "host"
        self.growth = GrowthTracker()
        self.chosen = Chosen()
        self.view_name = "overview"
        self.frozen = False
        self._host, self._sight, self.page = host, sight, page
        self._target = target
        self.is_live = is_live
        self._choosing = True
        # Written by the source's threads, emptied by this one.
        self._inbox: deque[Sample | MapReading] = deque(maxlen=256) if inbox is None else inbox
        self._taking = False
        self._shown: Sample | None = None
        self._still: dict[Scope, Seen] = {}  # while frozen: what was seen by then
        self._deaths: DeathWatch | None = None

    @property
    def history(self) -> History:
        """The last hour of what is looked at: the host, or the group."""
        return self.seen[self.scope].history

    @property
    def _seen_now(self) -> Seen:
        """What the screen shows of it: all, or what was seen when it was frozen."""
        return (self._still or self.seen)[self.scope]

    @property
    def view(self) -> View:
        """The view that is shown."""
        return self.query_one(f"#{self.view_name}", View)

    # From the source's threads.

    def deliver(self, reading: Sample | MapReading) -> None:
        """Hands in a sample or a map reading, from any thread, at any time."""
        self._inbox.append(reading)
        self.wake()

    def wake(self) -> None:
        """Something is in the inbox. From any thread, at any time."""
        if self._taking:
            self.post_message(Arrived())

    # From here on the interface's thread.

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"frame": theme.FRAME}

    def get_default_screen(self) -> Screen[None]:
        return Dashboard(*self.size)

    def compose(self) -> ComposeResult:
        yield Header(id="header")
        with Container(id="views"):
            yield Overview(self.growth, self.page, self.settings.window_s, self._first)
        yield Lines(id="tiny")
        yield Footer()

    def on_mount(self) -> None:
        self._focus()
        # By default the first two end it with the terminal as it is, and asyncio's way with the last
        # may be lost on the way.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            loop.add_signal_handler(number, partial(self.exit, return_code=128 + number))
        if self._silent_s is not None:
            self.set_interval(1.0, self._watch_source)
        begin = self.settings.view
        if self._target is None and begin in {view.name for view in VIEWS} - {self.view_name}:
            self.call_later(self.action_view, begin)
        self._show_first()
        self.call_after_refresh(self._started)

    @property
    def _first(self) -> Sample | None:
        """The sample that waits when the interface begins."""
        return next((each for each in self._inbox if isinstance(each, Sample)), None)

    def _show_first(self) -> None:
        """The first sample as it is: what judges and remembers is imported when it stands."""
        first = self._first
        if first is not None:
            self._shown = first
            self._choosing = not self._choose_first(first)
            self.chosen.update(first)
        self._show()

    def _started(self) -> None:
        """The first frame is out: what there is now stays, and need not be looked through again."""
        gc.collect()
        gc.freeze()
        gc.enable()
        self._taking = True
        if isinstance(self.default_screen, Dashboard):
            self.default_screen.is_out = True
        self._take()
        self._plan()
        if self._started_too is not None:
            self._started_too()

    def _watch_source(self) -> None:
        """Says so where samples no longer come, for whatever reason."""
        silent, self._silent = self._silent, self._is_silent()
        if self._silent or silent:
            self._show_frame()

    def _is_silent(self) -> bool:
        interval_s = self._shown.interval_s if self._shown else 0.0
        allowed_s = 3 * max(self.source.interval_s, interval_s) + _SILENT_S
        return self._silent_s is not None and self._silent_s() > allowed_s

    @on(Arrived)
    def _take(self) -> None:
        """Everything that has arrived: history keeps each sample, the screen shows the last."""
        newest: Sample | None = None
        map_read = False
        events: list[Event] = []
        while self._inbox:
            reading = self._inbox.popleft()
            if isinstance(reading, Sample):
                events += self._record(reading)
                newest = reading
            elif not self.frozen or self.chosen.map is None:
                map_read = self.chosen.read(reading) or map_read
        if events:
            tell(self, self.settings.alerts, events)
        if self.frozen:
            if map_read:
                self._show_map()  # of a process chosen since: there is no older one to keep
            return
        if newest is not None:
            self._shown = newest
            if self._choosing:
                self._choosing = not self._choose_first(newest)
            self.chosen.update(newest)
            self._show()
        elif map_read:
            self._show_map()

    def _record(self, sample: Sample) -> list[Event]:
        """Both scopes see every sample, so that each has its hour when it is switched to.

        What happened in the one that is looked at.
        """
        deaths = self._deaths_in(sample)
        found = {"host": self.seen["host"].record(sample, deaths)}
        self.growth.record(sample)
        group = in_group(sample)
        if group is not None:
            found["group"] = self.seen["group"].record(group, of_group(group, deaths))
        return found.get(self.scope, [])

    def _deaths_in(self, sample: Sample) -> list[tuple[Event, Obituary]]:
        """Who has died since the sample before."""
        if sample.signs is None:
            return []
        if self._deaths is None:
            from memtui.model.oom.deathwatch import DeathWatch

            self._deaths = DeathWatch(self.page)
        chosen = self.chosen
        if chosen.process is not None and chosen.map is not None:
            self._deaths.note_map(chosen.process.key, chosen.process.name, chosen.map)
        return self._deaths.see(sample)

    def _choose_first(self, sample: Sample) -> bool:
        """The process that was asked for, or the largest whose map may be read; whether one was.

        The first sample has only the largest processes: where none of them may be read, the next
        one, which has all, decides.
        """
        processes = self.query_one(ProcessList)
        target, self._target = self._target, None
        if target is not None and target.pid is not None:
            asked = next(
                (each for each in sample.processes.values() if each.pid == target.pid), None
            )
            if asked is not None:
                self._choose(asked)
                processes.select(asked.key)
                self.call_later(self.action_view, "map")
                return True
        candidates = sorted(sample.processes.values(), key=lambda each: -each.rss_bytes)
        if target is not None and target.filter:
            processes.update(sample)
            processes.set_filter(target.filter)
            candidates = [
                each for each in candidates if fits(target.filter, each.pid, each.name)
            ] or candidates
        for process in candidates:
            if process.rss_bytes and self.source.may_read_map(process.key):
                break
        else:
            if not candidates:
                return False
            process = candidates[0]
        self._choose(process)
        processes.select(process.key)
        return self.source.may_read_map(process.key)

    def _choose(self, process: ProcessSample) -> None:
        if process.key != self.chosen.key:
            self.chosen = Chosen(process, self.is_live)
            self._show_map()
        self._plan()

    def _plan(self) -> None:
        """Tells the source what is visible, once it is: reading would delay the first frame."""
        if not self._taking:
            return
        view, key = self.view, self.chosen.key
        wanted = Plan() if self.is_tiny else view.wanted
        self.source.look_at(
            wanted._replace(
                visible=wanted.visible or frozenset((key,) if key else ()),
                map_of=key,
                readers={} if self.is_tiny else view.readers,
                confinement=view.CONFINEMENT,
            )
        )

    def _show(self) -> None:
        """Draws the last sample in what is visible."""
        sample = self._scoped()
        self._show_frame()
        if sample is None:
            return
        if self.is_tiny:
            seen = self._seen_now
            height = self.size.height - 2  # without header and footer
            self.query_one("#tiny", Lines).draw(
                lambda width: tiny_lines(sample, seen, width, height)
            )
        else:
            self.view.update(sample, self._seen_now)
        if not self.is_tiny and self.default_screen.focused is None:
            self._focus()  # what had it was hidden while there was only room for text
        self._show_map()
        self._plan()

    def _scoped(self) -> Sample | None:
        """The last sample as the scope sees it; the host's again where the group's limit is gone."""
        if self._shown is None or self.scope == "host":
            return self._shown
        group = in_group(self._shown)
        if group is None:
            self.scope = "host"
            self.notify("the group has no limit any more: this is the host", severity="warning")
        return group or self._shown

    def _focus(self) -> None:
        """Gives the keys to what the view is about."""
        self.view.main.focus()

    def _show_frame(self) -> None:
        state = "FROZEN" if self.frozen else "LIVE"
        if self._silent and self._silent_s is not None:
            state = f"NO SAMPLE FOR {units.duration(self._silent_s())} · every"
        sight = f"{self._sight} · read-only" if self.readonly else self._sight
        self.query_one(Header).update(
            self._host, self._scoped(), self.scope, state, self.source.interval_s, sight
        )
        self.query_one(Footer).update(self.view_name, self.readonly)

    def _show_map(self) -> None:
        if not self.is_tiny:
            self.view.show_map(self.chosen)

    @property
    def readonly(self) -> bool:
        """Whether nothing may be offered that changes the machine."""
        return self.settings.readonly

    @property
    def is_tiny(self) -> bool:
        """Whether there is only room for text."""
        return self.screen.has_class("-tiny")

    def on_resize(self, event: events.Resize) -> None:
        for screen in self.screen_stack:
            for name, is_so in breadth(*event.size).items():
                screen.set_class(is_so, name)
        if self._taking:
            # It lays out after the application has heard of it; what is drawn goes by widths.
            self.screen.call_after_refresh(self._show)

    # What the widgets tell.

    @on(Table.Moved)
    def _moved(self, event: Table.Moved) -> None:
        if isinstance(event.table, ProcessList):
            self._choosing = False
            if event.table.current is not None:
                self._choose(event.table.current)
            self._plan()

    @on(View.Turned)
    def _turned(self) -> None:
        self._plan()

    @on(Footer.Pressed)
    async def _footer_pressed(self, event: Footer.Pressed) -> None:
        await self.run_view_action(event.action)

    # What keys do.

    async def action_view(self, name: str) -> None:
        views = self.query_one("#views")
        if not self.query(f"#{name}"):
            await views.mount(made(name, self))
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self.view_name = name
        for view in views.children:
            view.display = view.id == name
        self._focus()
        self._show()

    def action_interval(self, step: int) -> None:
        now = self.source.interval_s
        longer = [each for each in INTERVALS_S if each > now + 1e-9]
        shorter = [each for each in INTERVALS_S if each < now - 1e-9]
        if step > 0 and longer:
            self.source.interval_s = longer[0]
        elif step < 0 and shorter:
            self.source.interval_s = shorter[-1]
        self._show_frame()

    def action_freeze(self) -> None:
        self.frozen = not self.frozen
        self._still = {}
        for scope, seen in self.seen.items():
            seen.history.until_s = self._shown.time_s if self.frozen and self._shown else None
            if self.frozen:
                self._still[scope] = seen.still()
        if self.frozen:
            self._show_frame()
        else:
            self._shown = self.seen["host"].history.last
            if self._shown is not None:
                self.chosen.update(self._shown)
            self._show()

    def action_scope(self) -> None:
        """Between the host and the group that memtui is confined to."""
        if self.scope == "host" and (self._shown is None or in_group(self._shown) is None):
            self.notify("no control group around memtui has a limit below the host's memory")
            return
        self.scope = "group" if self.scope == "host" else "host"
        self._show()

    async def action_open(self) -> None:
        from memtui.tui.widgets.prompt import ask

        while len(self.screen_stack) > 1:
            self.pop_screen()
        await ask(self.query_one("#views"), "open pid or name: ", self._open)

    async def action_open_pid(self, pid: int) -> None:
        """To the map of a process that a sheet has found."""
        if complaint := self._open(str(pid), True):
            self.notify(complaint, severity="warning", markup=False)

    def _open(self, text: str, _final: bool) -> str:
        sample = self._shown
        if sample is None or not text:
            return ""
        found = meant(text, sample.processes.values())
        if not found:
            return f"no process is or is named {units.printable(text)!r}"
        processes = self.query_one(ProcessList)
        self._choosing = False
        processes.set_filter("" if len(found) == 1 else text)
        if len(found) == 1:
            processes.select(found[0].key)
        if processes.current is not None:
            self._choose(processes.current)
        self.call_later(self.action_view, "map" if len(found) == 1 else "overview")
        return ""

    def action_explain(self) -> None:
        """Explains the figure under the cursor; where it is not one figure, asks which."""
        sample = self._scoped()
        if sample is None:
            return
        from memtui.ondemand.context import context_of
        from memtui.tui.sheets.explain import open_explanation

        before = self._seen_now.before
        context = context_of(sample, self.source.files, self.page, before)
        open_explanation(self, self.view.topics, context)

    def action_help(self) -> None:
        from memtui.tui.sheets.help import HelpScreen

        self.push_screen(HelpScreen(self.readonly))

    def _print_error_renderables(self) -> None:
        """A defect is one line, as everywhere; its traceback is for `python -X dev`."""
        if sys.flags.dev_mode or self._exception is None:
            super()._print_error_renderables()
        else:
            print(f"memtui: {defect(self._exception)}", file=sys.stderr)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        for view in VIEWS:
            action = f"view('{view.name}')"
            yield SystemCommand(
                f"{view.title} ({view.key})", view.help, partial(self._later, action)
            )
        for key in keys_of(self._on_top()[0], self.readonly):
            if key.action not in ("command_palette", "focus_next"):
                name = f"{key.footer or key.help.split(';')[0]} ({key.shown})"
                yield SystemCommand(name, key.help, partial(self._later, key.action))

    def _later(self, action: str) -> None:
        """Runs an action once the palette has closed."""
        self.call_later(self.run_view_action, action)

    async def run_view_action(self, action: str) -> None:
        """An action of the view that is shown, or the application's own."""
        name, view = self._on_top()
        own = any(key.action == action and key.views for key in keys_of(name))
        await self.run_action(action, view if own else self)

    def _on_top(self) -> tuple[str, Widget]:
        """What the user looks at: a sheet over a view, or the view; its name in the table of keys."""
        for screen in reversed(self.screen_stack):
            if name := getattr(screen, "VIEW", ""):
                return name, screen
        return self.view_name, self.view
