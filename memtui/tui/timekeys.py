"""What keys do to time: wind every view back and forth, freeze it, play a recording, make one."""

from __future__ import annotations

import os
import time
from typing import Final

from textual import on

from memtui import units
from memtui.session.session import Session
from memtui.tui.keyed import KeyedApp
from memtui.tui.views.view import View
from memtui.tui.widgets.timerail import TimeRail
from memtui.tui.widgets.timewindow import MomentWanted
from memtui.tui.words.time import Replaying, Standing
from memtui.tui.words.timerail import Kept

_MINUTE_S: Final = 60.0
INTERVALS_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
# What goes on by itself and has no other moment than now.
_LIVE_ONLY: Final = {"lab": "the lab", "run": "a run under watch"}
_SHORT_S: Final = 4.0


class TimeKeys(KeyedApp):
    """The application as far as time goes; all else is `MemtuiApp`'s."""

    session: Session

    @property
    def view(self) -> View:
        """The view that is shown."""
        raise NotImplementedError

    def show_moment(self) -> None:
        """Draws the moment in what is visible."""
        raise NotImplementedError

    def show_frame(self) -> None:
        """Draws header and footer alone."""
        raise NotImplementedError

    @property
    def replayed(self) -> str:
        """The name of the file that is replayed; "" where none is."""
        from memtui.recording.source import RecordedSource

        source = self.session.source
        return os.path.basename(source.recording.path) if isinstance(source, RecordedSource) else ""

    @property
    def standing(self) -> Standing:
        """Where the screen stands in time, for its header."""
        session, moment = self.session, self.session.moment
        records = bool(session.recording)
        if moment is None or moment.at is None:
            return Standing(records=records)
        at = time.localtime(moment.at)
        day = "" if at[:3] == time.localtime()[:3] else time.strftime("%a %d %b", at)
        ago_s: float | None = moment.ago_s
        replaying = None
        if session.is_replay and session.past is not None:
            ago_s = None
            begin_s, end_s = session.kept or (0.0, 0.0)
            length_s = end_s - begin_s
            share = (moment.sample.time_s - begin_s) / length_s if length_s > 0 else None
            replaying = Replaying(self.replayed, session.past.speed, share)
        return Standing(
            time.strftime("%H:%M:%S", at), ago_s, day, moment.missing, replaying, records
        )

    def show_rail(self) -> None:
        """Where in a recording it stands, in a row of its own."""
        past, moment, kept = self.session.past, self.session.moment, self.session.kept
        if past is None or moment is None or kept is None or not self.session.is_replay:
            return
        marks = [(event.time_s, event.level) for event in past.events]
        clock = moment.machine.time_of_day
        for each in self.query(TimeRail):
            each.update(Kept(*kept, past.holes, marks), moment.sample.time_s, clock)

    # Winding.

    def refuses(self, action: str, parameters: tuple[object, ...] = ()) -> str:
        session, parameter = self.session, parameters[0] if parameters else None
        if action in ("step", "minute") and isinstance(parameter, int):
            return self._no_winding() or self._end_of_time(parameter)
        if action in ("event", "time"):
            return self._no_winding()
        if action == "view" and parameter in _LIVE_ONLY and session.is_replay:
            return f"{_LIVE_ONLY[str(parameter)]} is live only: this is a recording"
        if action == "record" and session.is_replay:
            return "this is a recording already"
        if action == "freeze" and session.is_past and not session.is_replay:
            return "this moment stands still: 0 goes back to now"
        return ""

    def action_step(self, ticks: int) -> None:
        self.session.step(ticks)

    def action_minute(self, minutes: int) -> None:
        self.session.step_by(minutes * _MINUTE_S)

    def action_live(self) -> None:
        """To now; of a recording, to its end."""
        self.close_sheets()
        self.session.go_to(None)
        self.show_moment()

    @on(MomentWanted)
    def _moment_wanted(self, event: MomentWanted) -> None:
        self.go_to(event.time_s)

    def go_to(self, time_s: float) -> None:
        """To a time in seconds since boot."""
        if why := self._no_winding():
            self.notify(why, timeout=_SHORT_S)
            return
        self.close_sheets()
        self.session.go_to(time_s)

    def action_event(self, by: int) -> None:
        time_s = self.session.find_event(by > 0)
        if time_s is None:
            self.notify(
                f"nothing happened {'after' if by > 0 else 'before'} this", timeout=_SHORT_S
            )
        else:
            self.go_to(time_s)

    async def action_time(self) -> None:
        from memtui.tui.widgets.prompt import ask

        self.close_sheets()
        await ask(self.view, "time (-15m, 14:32): ", self._typed)

    def _typed(self, text: str, _final: bool) -> str:
        """Goes to a time as somebody types it; what is wrong with it."""
        from memtui.recording.times import A_MINUTE_S, time_of

        session = self.session
        booted_s = session.machine.booted_s
        if not text or booted_s is None or (kept := session.kept) is None:
            return ""
        begin_s, end_s = kept
        try:
            last_s = booted_s + end_s
            time_s = time_of(text, last_s, booted_s + begin_s, last_s) - booted_s
        except ValueError:
            return "no time such as -15m, 14:32 or 14:32:07"
        if not begin_s - 1 <= time_s <= end_s + A_MINUTE_S:
            clock = session.machine.time_of_day
            return f"kept is from {clock(begin_s)} to {clock(end_s)}"
        self.call_later(self.go_to, min(time_s, end_s))
        return ""

    def _no_winding(self) -> str:
        """Why there is no past of what is looked at; "" where there is."""
        if self.session.machine.still:
            return "a core dump is one moment: there is no other"
        if self.view_name in _LIVE_ONLY:
            return f"{_LIVE_ONLY[self.view_name]} is live only: views 1 to 5 can be wound back"
        return "" if self.session.kept else "nothing of the past is kept yet"

    def _end_of_time(self, way: int) -> str:
        """That it is the first moment that is kept, or the last of a recording; else ""."""
        moment, kept = self.session.moment, self.session.kept
        if moment is None or kept is None or not moment.is_past:
            return ""
        at_s = moment.sample.time_s
        if way < 0 and at_s <= kept[0]:
            return "nothing before this is kept"
        is_last = way > 0 and at_s >= kept[1] and self.session.is_replay
        return "the recording ends here" if is_last else ""

    def back_to_now_for(self, view: str) -> None:
        """A view that has no past leads back to now."""
        if view in _LIVE_ONLY and self.session.is_past:
            self.session.go_to(None)
            self.notify(f"{_LIVE_ONLY[view]} is live only: this is now again", timeout=_SHORT_S)

    def close_sheets(self) -> None:
        """Whatever is open over the view: it is of another moment."""
        while len(self.screen_stack) > 1:
            self.pop_screen()

    # Standing still, and how fast time goes.

    def action_freeze(self) -> None:
        """Freezes what is live, and plays a recording or pauses it."""
        session = self.session
        if session.is_replay:
            if session.past is not None:
                session.past.play()
            self.show_frame()
        elif session.is_frozen:
            session.at(None)
            self.show_moment()
        else:
            session.at(session.now_s)
            self.show_frame()

    def action_interval(self, step: int) -> None:
        """How often it is sampled; of a recording, how fast it is played."""
        session = self.session
        if not session.is_replay:
            session.source.interval_s = _beside(INTERVALS_S, session.source.interval_s, step)
        elif session.past is not None and step > 0:
            session.past.play_faster()
        elif session.past is not None:
            session.past.play_slower()
        self.show_frame()

    # Recording.

    async def action_record(self) -> None:
        """Asks for a file and records to it, or ends that."""
        from memtui.recording.store import default_path
        from memtui.tui.widgets.prompt import ask

        session = self.session
        if path := session.recording:
            session.stop_recording()
            self.show_frame()
            self.notify(f"recorded to {units.printable(path)}", markup=False)
        else:
            self.close_sheets()
            await ask(self.view, "record to: ", self._record, default_path())

    def _record(self, path: str, _final: bool) -> str:
        from memtui.recording.store import default_path

        if not path:
            return ""
        # The default place's directory is made where it is not there.
        complaint = self.session.record_to("" if path == default_path() else path)
        self.show_frame()
        return units.printable(complaint.removeprefix(path).lstrip(": "))


def _beside(values: tuple[float, ...], value: float, step: int) -> float:
    """The next larger or smaller of some values; the same at their ends."""
    if step > 0:
        return min((each for each in values if each > value + 1e-9), default=value)
    return max((each for each in values if each < value - 1e-9), default=value)
