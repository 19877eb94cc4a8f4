"""What the dashboard is told: defaults, what the user's file says, what options say.

Without a file nothing else is imported for it: it stands on the way to the first frame.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from memtui.settings.table import SETTINGS

if TYPE_CHECKING:
    from memtui.model.shortage.alerts import AlertSettings


class Settings(NamedTuple):
    """The table `SETTINGS`, as far as the file may say it; `said_of_alerts` as it is written there."""

    interval_s: float
    window_s: int
    view: str
    theme: str
    readonly: bool
    said_of_alerts: Mapping[str, Any] = {}

    @property
    def alerts(self) -> AlertSettings:
        """What to watch for."""
        from memtui.model.shortage.alerts import alert_settings

        return alert_settings(self.said_of_alerts)


def settings_of(given: Mapping[str, Any], said: Mapping[str, Any] | None = None) -> Settings:
    """Defaults, over them what a file said, over that what options gave (absent or None: nothing)."""
    values: dict[str, Any] = {each.key: each.default for each in SETTINGS if each.name}
    alerts = (said or {}).get("alerts", {})
    values |= {key: value for key, value in (said or {}).items() if key in values}
    values |= {key: value for key, value in given.items() if key in values and value is not None}
    return Settings(**values, said_of_alerts=alerts)


DEFAULTS: Final = settings_of({})


def default_path() -> str:
    """Where the file is looked for. It need not be there."""
    # An empty or a relative one is to be ignored: so the XDG base directory specification.
    base = os.environ.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        base = os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "memtui", "config.toml")
