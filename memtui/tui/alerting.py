"""What alerts do on the screen: a word in its corner, the terminal's bell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from textual.app import App

from memtui import units
from memtui.model.shortage.events import LEVELS, Event, Level

if TYPE_CHECKING:
    from memtui.model.shortage.alerts import AlertSettings

_SEVERITIES: Final[dict[Level, Literal["information", "warning", "error"]]] = {
    "note": "information",
    "warning": "warning",
    "alarm": "error",
}
_SHOWN_S: Final = 8.0
_CELLS: Final = 106  # of two lines, broken at blanks
_PATH: Final = re.compile(r"(?<!\S)/\S*/(?=\S)")


def _short(text: str) -> str:
    """In two lines: of paths of groups their last part, and no reasons where there is no room for
    them. In the list of what happened it stands in full."""
    text = _PATH.sub("…/", text)
    if units.width(text) > _CELLS:
        text = text.partition(": ")[0]
    return units.fit(text, _CELLS).rstrip()


def tell(app: App[None], settings: AlertSettings, events: Sequence[Event]) -> None:
    """What the settings say is to be done about events; of several at once the worst is told."""
    actions = [settings.actions_of(event) for event in events]
    told = [event for event, does in zip(events, actions, strict=True) if "notify" in does]
    if told:
        worst = max(reversed(told), key=lambda event: LEVELS.index(event.level))
        app.clear_notifications()  # one at a time: they cover what they tell of
        app.notify(
            _short(worst.text), severity=_SEVERITIES[worst.level], timeout=_SHOWN_S, markup=False
        )
    if any("bell" in does for does in actions):
        app.bell()
