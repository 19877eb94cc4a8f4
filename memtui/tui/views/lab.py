"""View 6: the lab: a list of experiments, and the one that is gone through, its program's map beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.timer import Timer
from textual.widget import Widget

from memtui.kernel.files import Gap
from memtui.lab.bench import Told
from memtui.lab.catalogue import catalogue
from memtui.lab.offers import Offer, Offers
from memtui.model.keys import ProcessKey
from memtui.ondemand.question import Work
from memtui.session.chosen import Chosen
from memtui.session.session import Moment, Session
from memtui.session.trial import Trial
from memtui.tui import theme
from memtui.tui.asking import drop, look_up
from memtui.tui.keys import Key, bindings
from memtui.tui.views.view import View
from memtui.tui.widgets.lines import Lines, Table
from memtui.tui.widgets.mapbeside import MapBeside
from memtui.tui.widgets.mappings import MappingTable
from memtui.tui.widgets.page import Page, SheetTable, text_of, wrapped
from memtui.tui.words.cells import fitted
from memtui.tui.words.lab import enter_word, head, no_step, paper
from memtui.tui.words.lablist import about, columns_of, list_head, not_here, offer_row

if TYPE_CHECKING:
    from memtui.tui.widgets.graph import TimeGraph

PLAY_S: Final = 4.0  # from one step to the next by itself: time to read two sentences
_STRIP: Final = 3  # lines of the map below the paper, where it does not stand beside it
_WINDOW_S: Final = 60  # of the graph: about as long as an experiment takes
_GRAPH: Final = 13  # lines of it, below the paper where there is room
_TALL_GRAPH: Final = 22
_TELLS_BYTES: Final = 1 << 16  # of a mapping: less is the interpreter's own coming and going


class _Start(Work[Gap | None]):
    """Ends the experiment before, and starts another's program."""

    def __init__(self, trial: Trial, before: Trial | None) -> None:
        self._trial = trial
        self._before = before

    def work(self) -> Gap | None:
        if self._before is not None:
            self._before.leave()
        return self._trial.open()


class _Make(Work[Told]):
    """Has a step made."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def work(self) -> Told | Gap:
        return self._trial.make()


class _Leave(Work[None]):
    """Ends an experiment's program and takes away what was made for it."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def work(self) -> None:
        self._trial.leave()


class LabView(View):
    """Draws the experiment; its program is what the dashboard looks at while this view is shown."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("lab")]
    PAGES: ClassVar[Mapping[str, str]] = {
        each.name: f"{each.title}: an experiment of Lab" for each in catalogue()
    }

    def __init__(self, session: Session) -> None:
        super().__init__(session, id="lab")
        self.trial: Trial | None = None
        self._left: Trial | None = None  # the last one, which may still be ending
        self._key: ProcessKey | None = None  # of its program, once a sample has it
        self._is_to_point = False  # to what a step has changed, which is not read yet
        self._playing: Timer | None = None
        self._moment: Moment | None = None
        self._graph: TimeGraph | None = None
        self._offers: tuple[Offer, ...] | Gap | None = None
        self._wish = ""  # the experiment to begin once it is known what there is

    def compose(self) -> ComposeResult:
        yield Lines(id="lab-title")
        with Vertical(id="lab-list"):
            yield SheetTable(id="experiments")
            yield Lines(id="lab-about")
        with Container(id="lab-bench"):
            with Vertical(id="lab-left"):
                with VerticalScroll(id="lab-paper"):
                    yield Lines(id="lab-lines")
                yield Vertical(id="lab-graph")
            yield MapBeside(self.session)

    def on_mount(self) -> None:
        self._list()

    def on_unmount(self) -> None:
        if self.trial is not None:
            self.trial.leave()

    @property
    def main(self) -> Widget:
        return self.query_one("#lab-paper" if self.trial else "#experiments")

    @property
    def topics(self) -> Sequence[str]:
        if self.trial is not None:
            return self.trial.experiment.topics
        return self._offer.experiment.topics if self._offer else ()

    @property
    def _offer(self) -> Offer | None:
        """The one under the cursor."""
        if self._offers is None or isinstance(self._offers, Gap):
            return None
        at = self.query_one("#experiments", SheetTable).cursor
        return self._offers[at] if at < len(self._offers) else None

    # What is drawn.

    def update(self, moment: Moment) -> None:
        self._moment = moment
        self._look_at_program(moment)
        self._show_graph()

    def _look_at_program(self, moment: Moment) -> None:
        """The program becomes the process that is looked at."""
        if self.trial is None or self.trial.pid is None:
            return
        processes = moment.sample.processes
        if self._key is None:
            pid = self.trial.pid
            self._key = next((each for each in processes if each.pid == pid), None)
        program = processes.get(self._key) if self._key else None
        if program is not None and self.session.chosen.key != program.key:
            self.post_message(self.Picked(program))

    def _show_graph(self) -> None:
        place = self.query_one("#lab-graph")
        if self._moment is None or not len(self._moment.history) or not place.size.height:
            return
        if self._graph is None:
            from memtui.tui.widgets.graph import memory_graph

            self._graph = memory_graph()
            self._graph.zoomed = True  # what an experiment takes is little of all there is
            place.mount(self._graph)
        self._graph.show(self._moment.history, _WINDOW_S, list(self._moment.seen.marks))

    def show_map(self, chosen: Chosen) -> None:
        if self.trial is not None:
            self._point(self.trial, chosen)
            beside = self.query_one(MapBeside)
            beside.visible = self._is_program(chosen)  # and nothing until it is there
            beside.show(chosen)

    def _point(self, trial: Trial, chosen: Chosen) -> None:
        """Puts the map's cursor on what the step has changed most, once its reading is there."""
        if not self._is_to_point or trial.told is None or not self._is_program(chosen):
            return
        from memtui.model.map.change import most_changed

        mark, map_ = chosen.trail.mark, chosen.map
        if mark is None or map_ is None or not map_.has_usage:
            return
        row = most_changed(mark, map_.mappings, _TELLS_BYTES)
        if row is not None:
            chosen.address, self._is_to_point = map_.mappings.starts[row], False

    def _is_program(self, chosen: Chosen) -> bool:
        return self._key is not None and chosen.key == self._key

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        """The list or the experiment, as it is now."""
        if not self.is_attached:
            return
        trial, title = self.trial, self.query_one("#lab-title", Lines)
        self.query_one("#lab-list").display = trial is None
        self.query_one("#lab-bench").display = trial is not None
        if trial is None:
            title.draw(lambda width: [fitted(list_head(self._offers), width)])
            self._draw_list()
        else:
            title.draw(lambda width: [head(trial, self._playing is not None, width)])
            self._draw_paper(trial)

    def _draw_list(self) -> None:
        table, offers = self.query_one("#experiments", SheetTable), self._offers
        known = () if offers is None or isinstance(offers, Gap) else offers
        rows = list(map(offer_row, known))
        table.show(Page((), columns=columns_of(self.size.width, known), rows=rows))
        table.styles.height = min(len(rows) + 1, max(4, self.size.height - 8))
        self._show_about()

    def _show_about(self) -> None:
        words, dim = about(self._offer) if self._offer else (), theme.style(theme.DIM)
        self.query_one("#lab-about", Lines).draw(lambda width: wrapped(words, width, dim))

    def _draw_paper(self, trial: Trial) -> None:
        """The paper first; the graph, and on a narrow screen the map, where there is room beside it."""
        lines, beside = self.query_one("#lab-lines", Lines), self.query_one(MapBeside)
        graph, is_wide = self.query_one("#lab-graph"), self.screen.has_class("-wide")
        room = self.size.height - (1 if self.screen.has_class("-low") else 2)
        width = self.size.width
        if is_wide and beside.styles.width is not None:
            width -= int(beside.styles.width.value)
        needed = len(paper(trial, width, 0))
        beside.display = is_wide or needed + _STRIP <= room
        beside.query_one(MappingTable).can_focus = is_wide
        room -= 0 if is_wide or not beside.display else _STRIP
        high = _TALL_GRAPH if room > 2 * _TALL_GRAPH else _GRAPH
        graph.styles.height = high
        graph.display = needed + 5 + high <= room
        made = paper(trial, width, room - high if graph.display else room)
        lines.show(*made)
        lines.styles.height = max(1, len(made))

    def on_table_moved(self, event: Table.Moved) -> None:
        event.stop()
        self._show_about()

    async def on_table_chosen(self, event: Table.Chosen) -> None:
        event.stop()
        if event.table.id == "experiments":
            await self.run_action("enter")

    # An experiment from its beginning to its end.

    def _list(self) -> None:
        """What can be had here changes: there may be less memory now."""
        look_up(self, Offers(self.session.settings.readonly), self._listed)
        self._draw()

    def _listed(self, offers: tuple[Offer, ...] | Gap) -> None:
        self._offers = offers
        self._draw()
        wish, self._wish = self._wish, ""
        if wish:
            self.open_page(wish)

    def open_page(self, name: str) -> None:
        """Begins an experiment, unless it is the one that goes on."""
        if self.trial is not None and self.trial.experiment.name == name:
            return
        if self._offers is None:
            self._wish = name
        elif isinstance(self._offers, Gap):
            self.notify(text_of(list_head(self._offers)), severity="warning", markup=False)
        else:
            self._begin(next(each for each in self._offers if each.experiment.name == name))

    def _begin(self, offer: Offer) -> None:
        if why := not_here(offer):
            self.notify(why, severity="warning", markup=False)
            return
        self._put_away()
        self.trial = trial = Trial(offer.bench())
        self._draw()
        self.screen.set_focus(self.main)
        look_up(self, _Start(trial, self._left), self._opened)

    def _opened(self, gap: Gap | None) -> None:
        if self.trial is not None:
            self.trial.opened(gap)
            self._draw()

    def _next(self, trial: Trial) -> None:
        """The step is made; or it was told, and the next one is asked."""
        if trial.state == "asking":
            trial.begin_step()
            self._mark()
            look_up(self, _Make(trial), self._made)
        elif trial.state == "told" and trial.is_last:
            self._leave()
            return
        elif trial.state == "told":
            trial.go_on()
            self.query_one("#lab-paper").scroll_home(animate=False)
        self._draw()

    def _mark(self) -> None:
        """What the map view compares with, and this one, is the map before the step."""
        if self._is_program(self.session.chosen):
            self.session.chosen.trail.set_mark()
            self._is_to_point = True

    def _made(self, told: Told | Gap) -> None:
        if self.trial is not None:
            self.trial.made(told)
            self._draw()

    def _put_away(self) -> None:
        """Nothing of the experiment is waited for or played any more."""
        self._stop_playing()
        drop(self)
        self._left, self.trial, self._key = self.trial or self._left, None, None
        self._is_to_point = False

    def _leave(self) -> None:
        trial = self.trial
        self._put_away()
        if trial is not None:
            look_up(self, _Leave(trial), lambda _: self._list())
        self._draw()
        self.screen.set_focus(self.main)

    def _stop_playing(self) -> None:
        if self._playing is not None:
            self._playing.stop()
            self._playing = None

    def _play_on(self) -> None:
        if self.trial is None or self.trial.state == "failed" or self._is_at_end:
            self._stop_playing()
            self._draw()
        else:
            self._next(self.trial)

    @property
    def _is_at_end(self) -> bool:
        return self.trial is not None and self.trial.state == "told" and self.trial.is_last

    # What keys do.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Letters that are no answer now mean what they mean elsewhere."""
        if action == "guess":
            return self.trial is not None and self.trial.asks
        return action != "back" or self.trial is not None

    def refuses(self, action: str, parameters: tuple[object, ...] = ()) -> str:
        trial = self.trial
        if action == "enter" and trial is not None:
            return no_step(trial)
        if action == "enter":
            return not_here(self._offer) if self._offer else "there is no experiment to begin"
        if action in ("play", "again") and trial is None:
            return "no experiment has begun: Enter begins one"
        if action == "play" and trial is not None and self._playing is None:
            is_over = trial.state == "failed" or self._is_at_end
            return "there is no step left to make: r begins it anew" if is_over else ""
        return super().refuses(action, parameters)

    def word(self, key: Key) -> str:
        if key.action != "enter" or self.refuses("enter"):
            return super().word(key)
        return enter_word(self.trial) if self.trial else "begins it"

    def action_enter(self) -> None:
        if self.trial is None and self._offer is not None:
            self._begin(self._offer)
        elif self.trial is not None:
            self._next(self.trial)

    def action_back(self) -> None:
        self._leave()

    def action_guess(self, at: int) -> None:
        if self.trial is not None and self.trial.choose(at):
            self._draw()

    def action_guess_on(self, step: int) -> None:
        trial = self.trial
        if trial is not None and trial.asks:
            before = trial.guess if trial.guess is not None else -1 if step > 0 else 0
            self.action_guess((before + step) % len(trial.choices))

    def action_play(self) -> None:
        if self._playing is not None:
            self._stop_playing()
            self._draw()
        else:
            self._playing = self.set_interval(PLAY_S, self._play_on)
            self._play_on()

    def action_again(self) -> None:
        if self.trial is not None:
            name = self.trial.experiment.name
            self._put_away()
            self.open_page(name)
