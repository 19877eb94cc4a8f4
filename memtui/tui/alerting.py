"""What alerts do on the screen: a word in its corner, the terminal's bell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from textual.app import App

from memtui.model.shortage.events import LEVELS, Event, Level

if TYPE_CHECKING:
    from memtui.model.shortage.alerts import AlertSettings

_SEVERITIES: Final[dict[Level, Literal["information", "warning", "error"]]] = {
    "note": "information",
    "warning": "warning",
    "alarm": "error",
}
_SHOWN_S: Final = 8.0


def tell(app: App[None], settings: AlertSettings, events: Sequence[Event]) -> None:
    """What the settings say is to be done about events; of several at once the worst is told."""
    actions = [settings.actions_of(event) for event in events]
    told = [event for event, does in zip(events, actions, strict=True) if "notify" in does]
    if told:
        worst = max(reversed(told), key=lambda event: LEVELS.index(event.level))
        app.clear_notifications()  # one at a time: they cover what they tell of
        app.notify(worst.text, severity=_SEVERITIES[worst.level], timeout=_SHOWN_S, markup=False)
    if any("bell" in does for does in actions):
        app.bell()
