"""The run: a program under watch, its map, its terminal, and what happened to its memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from memtui import units
from memtui.kernel.files import Gap
from memtui.model.crash.crash import Crash
from memtui.model.keys import ProcessKey
from memtui.ondemand.questions import CrashOf, CrashTools
from memtui.session.chosen import Chosen
from memtui.session.session import Moment, Session
from memtui.tui import theme
from memtui.tui.asking import look_up
from memtui.tui.keys import Key, bindings
from memtui.tui.running import Running
from memtui.tui.sheets.crash import CrashSheet, look_up_crash
from memtui.tui.views.map import TOPICS
from memtui.tui.views.view import View
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.mappings import DEFAULT_COLUMNS, MappingTable
from memtui.tui.widgets.picture import Picture
from memtui.tui.widgets.runtables import LifeTable, Timeline
from memtui.tui.widgets.terminalpane import TerminalPane
from memtui.tui.words.cells import Line, spread
from memtui.tui.words.crash import LETS_DIE
from memtui.tui.words.map import title
from memtui.tui.words.run import end_lines, held_after_s, name_of, run_line
from memtui.watch.story import Held, Life

_TICK_S = 0.1
_KEPT = 8  # processes whose last map is there again when they are chosen again
_DIM = theme.style(theme.DIM)
_ACCENT = theme.style(theme.ACCENT, bold=True)


class RunView(View):
    """Draws the story, and the map of the process under the cursor of its list."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("run")]

    def __init__(self, session: Session) -> None:
        super().__init__(session, id="run")
        self._chosen = Chosen()
        self._held: Held | None = None
        self._is_reading = False  # the crash of what is held
        self._marked: dict[ProcessKey, int | None] = {}  # the addresses of crashes
        self._kept: dict[ProcessKey, Chosen] = {}  # those whose map was shown, the last one last

    @property
    def _run(self) -> Running:
        running: Running = self.app.running  # type: ignore[attr-defined]
        return running

    def compose(self) -> ComposeResult:
        running = self._run
        yield Lines(id="run-head")
        yield Lines(id="run-map")
        yield Lines(id="run-end")
        with Horizontal(id="run-body"):
            yield Picture(self.session.machine.page_bytes, id="run-picture")
            yield MappingTable(DEFAULT_COLUMNS, id="run-mappings")
            if running.terminal is not None:
                with Vertical(id="run-right"):
                    yield Lines(id="run-pane-title")
                    yield TerminalPane(running.terminal, running.size, id="run-pane")
        with Horizontal(id="run-below"):
            yield LifeTable(running.story, id="run-lives")
            yield Timeline(running.story, id="run-times")

    def on_mount(self) -> None:
        self.set_class(self._run.terminal is None, "-detached")
        table, picture = self.query_one(MappingTable), self.query_one(Picture)
        table.follow = lambda: self._follow(table.address)
        picture.follow = lambda: self._follow(picture.address)
        self._run.begin(self._happened)
        self.set_interval(_TICK_S, self._tick)
        look_up(self, CrashTools(), lambda _done: None)

    @property
    def main(self) -> Widget:
        pane = self.query(TerminalPane)
        story = self._run.story
        if pane and not story.is_over and story.held is None:
            return pane.first()
        return self.query_one(Timeline)

    @property
    def topics(self) -> Sequence[str]:
        return TOPICS

    # The story.

    def _happened(self) -> None:
        """Something did; called at most once a frame, and also while the dashboard ends."""
        if not self.query("#run-times"):
            return
        story = self._run.story
        self.set_class(len(story.lives) > 1, "-several")
        self.query_one(Timeline).update()
        self.query_one(LifeTable).update()
        self._tick()
        self.refresh_bindings()
        self._show_end()
        if story.held is not self._held:
            self._held = story.held
            if story.held is not None:
                self._is_reading = True
                look_up_crash(self, CrashOf(*story.held), self._crash_read, self._lines_found)
                self._take_keys()
        if story.is_over:
            self._take_keys()
            for pane in self.query(TerminalPane):
                pane.can_focus = False  # nobody would get them
            self._show_title()

    def _take_keys(self) -> None:
        """From the terminal, where nobody reads them."""
        if isinstance(self.screen.focused, TerminalPane):
            self.action_hand_over()

    def _tick(self) -> None:
        if not self.query("#run-head"):
            return
        running = self._run
        self.query_one("#run-head", Lines).draw(
            lambda width: [run_line(running.story, running.now_s, width)]
        )

    def _show_end(self) -> None:
        story, life = self._run.story, self._life
        end = self.query_one("#run-end", Lines)
        lines = end_lines(story, life, max(20, self.size.width))
        end.display = bool(lines)
        end.styles.height = len(lines)
        end.draw(lambda width: end_lines(story, life, width))

    @property
    def _life(self) -> Life | None:
        return self.query_one(LifeTable).current or self._run.story.first

    def _crash_read(self, crash: Crash | Gap) -> None:
        self._is_reading = False
        if isinstance(crash, Gap):
            self.notify(f"the crash: {crash}", severity="error", markup=False)
            return
        self._run.crash = crash
        self.query_one(LifeTable).choose(crash.key.pid)
        self._look()
        if self.display and self.screen is self.app.screen:
            self.action_why()
        else:
            name = units.printable(crash.name)
            words = f"{name} is held at {crash.siginfo.name}: 7 and then w show why"
            self.notify(words, severity="warning", markup=False)

    def _lines_found(self, crash: Crash) -> None:
        last = self._run.crash
        if last is not None and last.key == crash.key:
            self._run.crash = crash

    # Its map.

    def update(self, moment: Moment) -> None:
        life = self._life
        if life is None or self._is_of(life, self._chosen):
            return
        processes = moment.sample.processes
        if life.key is not None:
            process = processes.get(life.key)
        elif life.died_s is None:
            process = next((each for each in processes.values() if each.pid == life.pid), None)
        else:
            process = None  # whose pid may be another's by now
        if process is not None:
            self.post_message(self.Picked(process))
        elif life.key in self._kept:
            self._choose_again(self._kept[life.key], life)

    def _choose_again(self, kept: Chosen, life: Life) -> None:
        """One that has ended, with its map as it was when it was looked at last."""
        if kept.gone_s is None and life.died_s is not None:
            kept.gone_s = self.session.now_s - max(0.0, self._run.now_s - life.died_s)
        self.session.choose_again(kept)
        self.show_map(kept)

    @staticmethod
    def _is_of(life: Life, chosen: Chosen) -> bool:
        if life.key is not None:
            return chosen.key == life.key
        return chosen.key is not None and chosen.key.pid == life.pid

    def _mark(self, chosen: Chosen) -> None:
        """Puts the cursor on the address that its process crashed at, once."""
        if chosen.key in self._marked:
            chosen.address = self._marked.pop(chosen.key)

    def show_map(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._mark(chosen)
        life, machine = self._life, self.session.machine
        map_ = chosen.map if life is not None and self._is_of(life, chosen) else None
        for part in (self.query_one(Picture), self.query_one(MappingTable)):
            part.visible = map_ is not None
        line = self.query_one("#run-map", Lines)
        if map_ is None:
            words = "its map has not been read"
            if self._has_no_map:
                words = "it ended before its map was read: the time line has what was seen of it"
            line.show([(f" {words}", _DIM)])
            return
        self._keep(chosen)
        line.draw(lambda width: [title(chosen, machine, width)])
        address = map_.mappings.starts[0] if chosen.address is None else chosen.address
        self.query_one(Picture).show(map_, address)
        self.query_one(MappingTable).show(map_, address, range(len(map_)), chosen.trail, {})

    @property
    def _has_no_map(self) -> bool:
        """Whether the process under the cursor has ended, and none of it was read."""
        life, chosen = self._life, self._chosen
        if life is None or life.died_s is None:
            return False
        return chosen.map is None or not self._is_of(life, chosen)

    def _keep(self, chosen: Chosen) -> None:
        if chosen.key is not None:
            self._kept.pop(chosen.key, None)
            self._kept[chosen.key] = chosen
            if len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]

    def _follow(self, address: int | None) -> None:
        self._chosen.address = address

    def on_resize(self) -> None:
        self._show_title()
        self._show_end()
        self.show_map(self._chosen)

    # What the widgets tell.

    def on_table_moved(self, event: Table.Moved) -> None:
        event.stop()
        if isinstance(event.table, LifeTable):
            self._look()
        elif isinstance(event.table, MappingTable):
            self.show_map(self._chosen)

    def _look(self) -> None:
        """Another process of the run may have been chosen."""
        self._show_end()
        self.show_map(self._chosen)
        if self.session.moment is not None:
            self.update(self.session.moment)
        self.refresh_bindings()

    def on_picture_pointed(self, event: Picture.Pointed) -> None:
        event.stop()
        self.show_map(self._chosen)

    def on_descendant_focus(self) -> None:
        self._show_title()

    def on_descendant_blur(self) -> None:
        self._show_title()

    def _show_title(self) -> None:
        """Who has the keys, over the pane."""
        for pane in self.query(TerminalPane):
            has_keys = pane.has_focus
            words: Line = [(" its terminal", _ACCENT if has_keys else _DIM)]
            if self._run.story.is_over:
                keys = "as it was left "
            elif has_keys:
                keys = "it has the keys · F12 takes them back "
            else:
                keys = "a click or F12 gives it the keys "
            right: Line = [(keys, _DIM)]
            self.query_one("#run-pane-title", Lines).draw(
                lambda width, words=words, right=right: [spread(words, right, width)]  # type: ignore[misc]
            )

    # What keys do.

    def refuses(self, action: str, parameters: tuple[object, ...] = ()) -> str:
        if action == "enter":
            if self._is_reading:
                return "its crash is being read: a moment"
            life = self._life
            if self._run.story.held is None and life is not None and self._has_no_map:
                return f"{name_of(life)} ({life.pid}) ended before its map was read"
        if action == "why" and self._run.crash is None:
            return "nothing has crashed"
        if action in ("hand_over", "whole") and self._run.terminal is None:
            return "its terminal is not here: what it prints goes to a file"
        if action == "hand_over" and self._run.story.is_over and not self.has_class("-whole"):
            return "it has ended: nobody would read keys"
        return super().refuses(action, parameters)

    def word(self, key: Key) -> str:
        word = super().word(key)
        if key.action == "enter" and word and self._run.story.held is not None:
            return LETS_DIE
        if key.action == "hand_over" and word:
            return "takes the keys back" if self._pane_has_keys else word
        return word

    @property
    def _pane_has_keys(self) -> bool:
        return any(pane.has_focus for pane in self.query(TerminalPane))

    async def action_enter(self) -> None:
        """What is held dies; otherwise to the map in full."""
        if self._run.story.held is not None:
            self._run.let_go()
        else:
            await self.run_action("app.view('map')")

    def action_why(self) -> None:
        """The crash that was read last."""
        running, crash = self._run, self._run.crash
        assert crash is not None
        held = running.story.held
        is_held = held is not None and held.key == crash.key
        sheet = CrashSheet(
            crash,
            after_s=held_after_s(running.story, crash.key.pid),
            let_go=running.let_go if is_held else None,
        )
        self._marked[crash.key] = sheet.explained.address
        self._mark(self._chosen)
        self.app.push_screen(sheet, lambda _result: self.show_map(self._chosen))

    def action_hand_over(self) -> None:
        """The keys to the terminal, or from it."""
        pane = self.query(TerminalPane)
        if pane and pane.first().can_focus and not pane.first().has_focus:
            self.screen.set_focus(pane.first())
        else:
            rows, is_there = self.query_one(Timeline), not self.has_class("-whole")
            self.remove_class("-whole")
            if is_there:
                self.screen.set_focus(rows)
            else:
                self.call_after_refresh(rows.focus)  # once it is there again

    def action_whole(self) -> None:
        """The terminal alone, or everything again."""
        self.toggle_class("-whole")
        self.call_after_refresh(self.main.focus)
