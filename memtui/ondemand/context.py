"""What explanations need beside a sample: settings, zones, free blocks, the way addresses go.

Read when one is opened, about a millisecond; what is missing is left out.
"""

from __future__ import annotations

from memtui.kernel.buddy import parse_buddyinfo
from memtui.kernel.cpuinfo import read_cpu_words
from memtui.kernel.files import Files, Gap
from memtui.kernel.uptime import read_uptime_s
from memtui.kernel.zones import parse_zoneinfo
from memtui.model.explain.context import SETTINGS, Context
from memtui.model.machine import Machine
from memtui.model.map.pagetable import Paging, paging_of
from memtui.model.sample import Sample


def context_of(
    sample: Sample, files: Files, machine: Machine, before: Sample | None = None
) -> Context:
    """Everything that an explanation may show, of this moment."""
    settings = {}
    for path in SETTINGS:
        text = files.read(path)
        if not isinstance(text, Gap):
            settings[path] = text.decode("ascii", "replace").strip()
    nodes = [name for name in files.names("sys/devices/system/node") if name[4:].isdecimal()]
    return Context(
        sample,
        before,
        settings,
        machine.page_bytes,
        read_uptime_s(files),
        files.parsed("proc/zoneinfo", parse_zoneinfo),
        files.parsed("proc/buddyinfo", parse_buddyinfo),
        len(nodes) or None,
        _paging(files, machine),
    )


def _paging(files: Files, machine: Machine) -> str:
    """How this machine's addresses are translated; of a captured one the map view tells."""
    if not machine.architecture:
        return ""
    words = read_cpu_words(files)
    has_la57 = None if words is None else b"la57" in words
    maps = files.read("proc/self/maps")
    ends = [] if isinstance(maps, Gap) else _ends(maps)
    highest = max((end for end in ends if end <= 1 << 63), default=0)
    found = paging_of(machine.architecture, machine.page_bytes, has_la57, highest)
    return found.words if isinstance(found, Paging) else ""


def _ends(maps: bytes) -> list[int]:
    ends = (line.partition(b" ")[0].partition(b"-")[2] for line in maps.splitlines())
    return [int(end, 16) for end in ends if end]
