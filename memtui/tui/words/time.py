"""Which moment is shown, where that is not now, and how a recording is played."""

from __future__ import annotations

from typing import Final, NamedTuple

from memtui import units
from memtui.tui import theme
from memtui.tui.words.cells import Line, Part

PAST: Final = theme.style(theme.BACKGROUND, theme.PAST, bold=True)
_WORDS: Final = theme.style(theme.PAST)
_RECORDING: Final = theme.style(theme.ALARM, bold=True)


class Replaying(NamedTuple):
    """Of a recording: its file's name, how many of its seconds pass in one, 0 to 1 how much is past."""

    name: str
    speed: float
    share: float | None


class Standing(NamedTuple):
    """Where a screen stands in time.

    `at` is the moment, as clocks on the wall showed it, "" now; `day` its day where that is not
    today; `missing` says what was not kept of it; `records`: what is shown is written to a file.
    """

    at: str = ""
    ago_s: float | None = None
    day: str = ""
    missing: str = ""
    replaying: Replaying | None = None
    records: bool = False

    @property
    def is_now(self) -> bool:
        return not self.at and self.replaying is None


NOW: Final = Standing()


def standing_forms(standing: Standing) -> tuple[Line, ...]:
    """`◀ 14:32:07, 6 min 12 s ago · 0 live`, and shorter; the moment is in each of them."""
    glyphs, at, replaying = theme.glyphs(), standing.at, standing.replaying
    records = recording_parts(standing.records)
    ago = "" if standing.ago_s is None else f", {units.duration(standing.ago_s)} ago"
    # Not kept matters more than how to get back, which help tells too.
    lacking = f" · {standing.missing}" if standing.missing else ""
    lacks = " · not all kept" if standing.missing else ""
    day = f"{standing.day} " if standing.day else ""
    if replaying is None:
        mark = f" {glyphs.past} "
        pieces: tuple[tuple[str, str], ...] = (
            (f"{day}{at}{ago}", f"{lacking} · 0 live "),
            (f"{day}{at}", f"{lacking} · 0 live "),
            (f"{day}{at}", f"{lacking or ' · 0 live'} "),
            (f"{day}{at}", f"{lacks} "),
            (at, ""),
        )
    else:
        mark = f" {glyphs.plays if replaying.speed else '‖'} "
        name = units.printable(replaying.name)
        speed = f" · {speed_words(replaying.speed)}"
        share = "" if replaying.share is None else f" · {units.percent(100 * replaying.share)}"
        pieces = (
            (f"REPLAY {day}{at}", f" {units.fit(name, 40).rstrip()}{speed}{share}{lacking} "),
            (f"REPLAY {day}{at}", f" {units.fit(name, 16).rstrip()}{speed}{share}{lacking} "),
            (f"REPLAY {day}{at}", f"{speed}{share}{lacking} "),
            (f"REPLAY {'' if lacking else day}{at}", f"{share}{lacking} "),
            (f"REPLAY {at}", f"{lacking or share} "),
            (f"REPLAY {at}", f"{lacks or share} "),
            (at, ""),
        )
    return tuple(
        [*records, (f"{mark}{when} ", PAST), (rest.lstrip(), _WORDS)] for when, rest in pieces
    )


def speed_words(speed: float) -> str:
    """`paused`, or how many times as fast as it was."""
    return f"{speed:g} ×" if speed else "paused"


def recording_parts(records: bool) -> list[Part]:
    """Before whatever a header says of time, for as long as something is written."""
    return [(f"{theme.glyphs().live} REC ", _RECORDING)] if records else []
