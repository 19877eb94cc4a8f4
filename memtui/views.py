"""The one table of views: keys, settings, help, palette and header are made of it.

A new view is one entry here, the module that it names, and its keys in tui/keys.py.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class ViewEntry(NamedTuple):
    """A view: its key, its names for settings and for the screen, what it shows, where its class is.

    `short` is its name where there is little room.
    """

    key: str
    name: str
    title: str
    short: str
    help: str
    code: str


VIEWS: Final = (
    ViewEntry(
        "1",
        "overview",
        "Overview",
        "Over",
        "the memory graph, pressure, processes and a map",
        "memtui.tui.views.overview:Overview",
    ),
    ViewEntry(
        "2",
        "processes",
        "Processes",
        "Proc",
        "every process, what it uses and shares; groups, signals",
        "memtui.tui.views.processes:ProcessesView",
    ),
    ViewEntry(
        "3",
        "map",
        "Map",
        "Map",
        "one process's address space: kinds, picture, mappings",
        "memtui.tui.views.map:MapView",
    ),
    ViewEntry(
        "4",
        "pressure",
        "Pressure",
        "Pres",
        "stalls, reclaim, faults and swap traffic, and the verdict",
        "memtui.tui.views.pressure:PressureView",
    ),
    ViewEntry(
        "5",
        "physical",
        "Physical",
        "Phys",
        "the balance, zones, fragmentation, slabs, huge pages, swap",
        "memtui.tui.views.physical:PhysicalView",
    ),
    ViewEntry(
        "6",
        "lab",
        "Lab",
        "Lab",
        "experiments that show on a real program what memory does, a step at a time",
        "memtui.tui.views.lab:LabView",
    ),
)

# There while a program is under watch.
RUN: Final = ViewEntry(
    "7",
    "run",
    "Run",
    "Run",
    "the program under watch: its map, its terminal, what happened",
    "memtui.tui.views.run:RunView",
)
