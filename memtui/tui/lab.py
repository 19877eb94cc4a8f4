"""`memtui lab` on a terminal: the dashboard on its view of experiments, one of them begun."""

from __future__ import annotations

import sys
from typing import Any

from memtui import units
from memtui.kernel.files import Files
from memtui.lab.catalogue import names
from memtui.settings.values import Settings
from memtui.targets import Target
from memtui.tui import launch

_USAGE = 2


def run(files: Files, settings: Settings, options: Any) -> int:
    """Opens the list, or the experiment that is named; the exit status at the end."""
    name: str = options.argument or ""
    if name and name not in names():
        print(
            f"memtui: no experiment {units.printable(name)!r} to watch: there are {', '.join(names())}",
            file=sys.stderr,
        )
        return _USAGE
    return launch.run(files, settings, Target(view="lab", page=name))
