"""What a view wants read, as it is told to whatever reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from memtui.kernel.files import KernelFiles
from memtui.model.keys import ProcessKey

if TYPE_CHECKING:
    pass


Reader = Callable[[KernelFiles], Any]


class Plan(NamedTuple):
    """What is on the screen, and so must be read: the visible rows, the map, every row's details.

    `every_detail`: the list is sorted or filtered by something that only details tell. `readers` are
    those of the machine's figures that this view alone shows, by their field of SystemSample;
    `confinement`: memtui's control groups are shown even if none of them has a limit. `details`:
    Details are shown too, with those of DETAIL_FILES that are in it; None: they are not. `shares`:
    the processes whose PSS and USS are shown, and `hurry`: they are asked for, whatever that costs.
    """

    visible: frozenset[ProcessKey] = frozenset()
    map_of: ProcessKey | None = None
    every_detail: bool = False
    readers: Mapping[str, Reader] = MappingProxyType({})
    confinement: bool = False
    details: frozenset[str] | None = None
    shares: Set[ProcessKey] = frozenset()
    hurry: bool = False
