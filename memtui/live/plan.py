"""What a view wants read, as it is told to whatever reads."""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from memtui.model.keys import ProcessKey


class Plan(NamedTuple):
    """What is on the screen, and so must be read: the visible rows, the map, every row's details.

    `every_detail`: the list is sorted or filtered by something that only details tell. `fields`: of
    SystemSample, those that are read only while they are shown; "confinement" among them: memtui's
    control groups are read even if none of them has a limit, and "members": so are the pids in the
    one that binds. `details`: Details are shown too, with
    those of DETAIL_FILES that are in it; None: they are not. `shares`: the processes whose PSS and
    USS are shown, and `hurry`: they are asked for, whatever that costs.
    """

    visible: frozenset[ProcessKey] = frozenset()
    map_of: ProcessKey | None = None
    every_detail: bool = False
    fields: frozenset[str] = frozenset()
    details: frozenset[str] | None = None
    shares: Set[ProcessKey] = frozenset()
    hurry: bool = False
