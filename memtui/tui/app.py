"""The application: hands readings to the session, and its moments to the visible view."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.driver import Driver
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input

from memtui import units
from memtui.defects import defect
from memtui.kernel.files import Gap
from memtui.live.plan import Plan
from memtui.live.source import Reading
from memtui.model.keys import ProcessKey
from memtui.model.sample import ProcessSample
from memtui.model.shortage.events import Event
from memtui.ondemand.question import Answer, Progress
from memtui.ondemand.questions import ContextOf
from memtui.session.inbox import Inbox
from memtui.session.session import Session
from memtui.session.wound import NoWound, Wound
from memtui.targets import Target, meant
from memtui.tui import theme
from memtui.tui.alerting import tell
from memtui.tui.asking import Asking
from memtui.tui.clipboard import sent_words
from memtui.tui.dashboard import Dashboard
from memtui.tui.keys import bindings, elsewhere, keys_of
from memtui.tui.opening import Opening
from memtui.tui.pulse import Pulse
from memtui.tui.timekeys import TimeKeys
from memtui.tui.views import breadth, made
from memtui.tui.views.view import View
from memtui.tui.widgets.bars import Footer, Header
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.processes import ProcessList
from memtui.tui.widgets.timerail import TimeRail
from memtui.tui.widgets.verdictlines import tiny_lines
from memtui.views import RUN, VIEWS

if TYPE_CHECKING:
    from memtui.model.explain.context import Context
    from memtui.tui.running import Running

_VIEW_STYLES = Path(__file__).with_name("views.tcss")
_TAKING_AT_MOST_S = 0.02  # before the screen has its turn


class Arrived(Message):
    """Readings wait to be taken; one message for all of them."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Arrived)


class MemtuiApp(TimeKeys):
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
        session: Session,
        inbox: Inbox,
        *,
        first: ProcessKey | None = None,
        target: Target | None = None,
        started: Callable[[], object] | None = None,
        running: Running | None = None,
    ) -> None:
        """`first` is the process to begin with, `target` what was asked for; `started` is called
        once, after the first frame, `running` is a program under watch."""
        super().__init__()
        self.running = running
        if running is not None:
            self.bind(RUN.key, f"view('{RUN.name}')", description=RUN.title, show=False)
        own = theme.textual_theme()
        self.register_theme(own)
        # Without its watcher, which would have all styles parsed a second time.
        self.set_reactive(App.theme, own.name)
        if own.name != "memtui":  # whose grounds are nearly Textual's own
            self.stylesheet.set_variables(self.get_css_variables())
        self.session = session
        self.asking = Asking(session, self.deliver)
        self.view_name = "overview"
        self._started_too = started
        self._inbox = inbox
        self._taking = False
        self._opening = Opening(session, first, target)
        self._pulse = Pulse(session, inbox)

    @property
    def view(self) -> View:
        """The view that is shown."""
        return self.query_one(f"#{self.view_name}", View)

    @property
    def readonly(self) -> bool:
        """Whether nothing may be offered that changes the machine."""
        return self.session.settings.readonly

    @property
    def is_tiny(self) -> bool:
        """Whether there is only room for text."""
        return self.screen.has_class("-tiny")

    # From the source's threads.

    def deliver(self, reading: Reading | Wound | NoWound) -> None:
        """Hands in a reading, from any thread, at any time."""
        self._inbox.put(reading)
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
        if (waiting := self._inbox.first_sample()) is not None:
            self.session.preview(waiting)
        yield Header(id="header")
        if self.session.is_replay:
            yield TimeRail()
        with Container(id="views"):
            overview = made("overview", self.session)
            is_first = self.running is None and not self.session.machine.still
            overview.display = is_first  # or it would be seen for a moment
            yield overview
        yield Lines(id="tiny")
        yield Footer()

    def on_mount(self) -> None:
        self._focus()
        # By default the first two end it with the terminal as it is, and asyncio's way with the last
        # may be lost on the way.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            loop.add_signal_handler(number, partial(self.exit, return_code=128 + number))
        self.set_interval(1.0, self._watch_source)
        begin = self._opening.view or self.session.settings.view
        if self.running is not None:
            begin = RUN.name
        if self._opening.page:
            self.call_later(self.action_page, begin, self._opening.page)
        elif begin != self.view_name:
            self.call_later(self.action_view, begin)
        self._show_first()
        self.call_after_refresh(self._started)

    def _show_first(self) -> None:
        """The first sample as it is: what judges and remembers is imported when it stands."""
        self._opening.try_on(self.query_one(ProcessList), self._choose_first)
        (self.show_moment if self.view.display else self.show_frame)()

    def _started(self) -> None:
        """The first frame is out."""
        self._taking = True
        if isinstance(self.default_screen, Dashboard):
            self.default_screen.is_out = True
        self._take()
        self._plan()
        if self._started_too is not None:
            self._started_too()

    def _watch_source(self) -> None:
        """Says so where samples no longer come, for whatever reason."""
        if self._pulse.feel() or self.session.is_past:
            self.show_frame()

    @on(Arrived)
    def _take(self) -> None:
        """What has arrived: history keeps each sample, the screen shows the last.

        Of more than a screen can wait for, the rest is taken when that has been drawn.
        """
        session, until_s = self.session, time.monotonic() + _TAKING_AT_MOST_S
        is_news = map_read = scope_lost = False
        events: list[Event] = []
        while (reading := self._inbox.take()) is not None:
            if isinstance(reading, Answer | Progress):
                self.asking.take(reading)
                continue
            taken = session.take(reading)
            events += taken.events
            if taken.complaint:
                self.notify(taken.complaint, severity="warning", markup=False)
            is_news, map_read = is_news or taken.is_news, map_read or taken.map_read
            scope_lost = scope_lost or taken.scope_lost
            if time.monotonic() > until_s:
                self.post_message(Arrived())
                break
        if events:
            tell(self, session.settings.alerts, events)
        if scope_lost:
            self.notify("the group has no limit any more: this is the host", severity="warning")
        if is_news:
            self._opening.try_on(self.query_one(ProcessList), self._choose_first)
            self.show_moment()
        elif map_read:
            self._show_map()

    def _choose(self, process: ProcessSample, *, by_itself: bool = False) -> None:
        if self.session.choose(process, by_itself=by_itself):
            self._show_map()
        self._plan()

    def _choose_first(self, process: ProcessSample) -> None:
        """What the dashboard opens on."""
        self._choose(process, by_itself=not self._opening.is_asked)

    def _plan(self) -> None:
        """Tells the source what is visible, and what figures of the history are made of.

        Once the first frame is out: reading would delay it.
        """
        if not self._taking:
            return
        key = self.session.chosen.key
        wanted = Plan() if self.is_tiny else self.view.wanted
        self.session.look_at(
            wanted._replace(
                visible=wanted.visible or frozenset((key,) if key else ()),
                map_of=key,
                fields=wanted.fields | self.session.fields,
            )
        )

    def show_moment(self) -> None:
        """Draws the moment in what is visible."""
        moment = self.session.moment
        self.show_frame()
        if moment is None:
            return
        if self.is_tiny:
            height = self.size.height - 2  # without header and footer
            self.query_one("#tiny", Lines).draw(lambda width: tiny_lines(moment, width, height))
        else:
            self.view.update(moment)
            if self.default_screen.focused is None:
                self._focus()  # what had it was hidden while there was only room for text
        self._show_map()
        self._plan()

    def _focus(self) -> None:
        """Gives the keys to what the view is about."""
        self.default_screen.set_focus(self.view.main)  # focus() takes its turn later

    def show_frame(self) -> None:
        source = self.session.source
        state = "FROZEN" if self.session.is_frozen else "LIVE"
        if self._pulse.is_silent:
            state = f"NO SAMPLE FOR {units.duration(source.silent_s)} · every"
        self.query_one(Header).update(
            self.session.machine,
            self.session.moment,
            state,
            source.interval_s,
            lost=self._pulse.lost_lately(),
            readonly=self.readonly,
            standing=self.standing,
        )
        self.query_one(Footer).update()
        self.show_rail()

    def _show_map(self) -> None:
        if not self.is_tiny:
            self.view.show_map(self.session.chosen)
            self.query_one(Footer).update()  # there may be something to look into now

    @on(Driver.SignalResume)
    def _continued(self) -> None:
        """After a stop the terminal has forgotten what stood there."""
        self.refresh(layout=True)

    def on_resize(self, event: events.Resize) -> None:
        for screen in self.screen_stack:
            for name, is_so in breadth(*event.size).items():
                screen.set_class(is_so, name)
        if self._taking:
            # It lays out after the application has heard of it; what is drawn goes by widths.
            self.screen.call_after_refresh(self.show_moment)

    # What the widgets tell.

    @on(Table.Moved)
    def _moved(self, event: Table.Moved) -> None:
        if isinstance(event.table, ProcessList):
            self._opening.is_done = True
            if event.table.current is not None:
                self._choose(event.table.current)
            self._plan()

    @on(View.Picked)
    def _picked(self, event: View.Picked) -> None:
        self._opening.is_done = True
        self.query_one(ProcessList).select(event.process.key)
        self._choose(event.process)

    @on(View.Turned)
    def _turned(self) -> None:
        self._plan()

    def on_key(self, event: events.Key) -> None:
        """A key that nobody took: says where it does something."""
        asked = self.focused
        if isinstance(asked, Input) and event.is_printable and event.character:
            # Sent at once with the key that asked, and so to whoever had the keys before.
            asked.insert_text_at_cursor(event.character)
            event.prevent_default()
            return
        name, widget = self.on_top()
        if event.key in self.screen.active_bindings or isinstance(self.focused, Input):
            return
        if self.screen in (self.default_screen, widget) and (words := elsewhere(event.key, name)):
            self.notify(words, timeout=4, markup=False)

    # What keys do.

    def refuses(self, action: str, parameters: tuple[object, ...] = ()) -> str:
        if self.session.machine.still:
            if action == "view" and parameters != ("map",):
                return "a core dump is one process's memory: its map is all there is"
            if action == "open":
                return "a core dump is one process's memory: there is no other"
        return super().refuses(action, parameters)

    async def action_view(self, name: str) -> None:
        self.back_to_now_for(name)
        views = self.query_one("#views")
        if not self.query(f"#{name}"):
            # The styles of all views but the first would take their time before the first frame.
            if not self.stylesheet.has_source(str(_VIEW_STYLES)):
                self.stylesheet.read(_VIEW_STYLES)
                self.stylesheet.parse()  # or the first that is mounted would not have them yet
            await views.mount(made(name, self.session))
        self.close_sheets()
        self.view_name = name
        for view in views.children:
            view.display = view.id == name
        self._focus()
        self.show_moment()
        self.call_after_refresh(self._plan)  # once it is laid out, its table knows its columns

    def action_scope(self) -> None:
        """Between the host and the group that memtui is confined to."""
        if self.session.switch_scope():
            self.show_moment()
        else:
            self.notify("no control group around memtui has a limit below the host's memory")

    async def action_open(self) -> None:
        from memtui.tui.openprompt import ask_for_process

        self.close_sheets()
        await ask_for_process(self.query_one("#views"), self.session, self.asking, self._open)

    async def action_open_pid(self, pid: int) -> None:
        """To the map of a process that a sheet has found."""
        if complaint := self._open(str(pid)):
            self.notify(complaint, severity="warning", markup=False)

    async def action_processes(self, column: str) -> None:
        """To the processes, the largest of a figure first."""
        from memtui.tui.views.processes import ProcessesView

        await self.action_view("processes")
        self.query_one(ProcessesView).show_by(column)

    def _open(self, text: str, commands: Mapping[int, str] = {}) -> str:
        moment = self.session.moment
        if moment is None or not text:
            return ""
        found = meant(text, moment.sample.processes.values(), commands)
        if not found:
            return f"no process is or is named {units.printable(text)!r}"
        processes = self.query_one(ProcessList)
        self._opening.is_done = True
        processes.set_filter("" if len(found) == 1 else text)
        if len(found) == 1:
            processes.select(found[0].key)
        if processes.current is not None:
            self._choose(processes.current)
        self.call_later(self.action_view, "map" if len(found) == 1 else "overview")
        return ""

    def action_explain(self) -> None:
        """Explains the figure under the cursor; where it is not one figure, asks which."""
        self._explain(self.view.topics)

    def _explain(self, names: Sequence[str]) -> None:
        moment, view = self.session.moment, self.view
        if moment is None:
            return
        question = ContextOf(moment.sample, moment.before)

        def explain(context: Context | Gap) -> None:
            from memtui.tui.sheets.explain import open_explanation

            if isinstance(context, Gap):
                context = moment.context
            open_explanation(self, names, context)

        self.asking.look_up(view, question, explain)

    def action_explain_term(self, name: str) -> None:
        """Explains a figure or a term by its name."""
        self._explain((name,))

    async def action_page(self, view: str, page: str) -> None:
        """To a page of a view."""
        await self.action_view(view)
        self.view.open_page(page)

    async def action_owners(self) -> None:
        from memtui.tui.sheets.owners import OwnersSheet

        await self.push_screen(OwnersSheet(self.session))

    def copy_to_clipboard(self, text: str) -> None:
        super().copy_to_clipboard(text)
        self.notify(sent_words(os.environ), timeout=4, markup=False)

    async def action_quit(self) -> None:
        if self.running is not None:
            from memtui.tui.running import may_quit

            if not may_quit(self, self.running):
                return
        await super().action_quit()

    def action_help(self) -> None:
        from memtui.tui.sheets.help import HelpScreen

        self.push_screen(HelpScreen(self.readonly, self.on_top()[0]))

    def _print_error_renderables(self) -> None:
        """A defect is one line, as everywhere; its traceback is for `python -X dev`."""
        if sys.flags.dev_mode or self._exception is None:
            super()._print_error_renderables()
        else:
            print(f"memtui: {defect(self._exception)}", file=sys.stderr)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        from memtui.tui.palette import commands

        yield from commands(keys_of(self.on_top()[0], self.readonly), self._later)

    def _later(self, action: str) -> None:
        """Runs an action once the palette has closed."""
        self.call_later(self.run_view_action, action)
