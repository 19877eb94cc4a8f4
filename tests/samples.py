"""Processes, samples and maps, made by hand."""

from __future__ import annotations

from memtui.kernel.maps import parse_maps
from memtui.kernel.pressure import Pressure, Stall
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.model.sample import ProcessSample, Sample, SystemSample

GIB = 1 << 30
MIB = 1 << 20


def process(
    pid: int, name: str, rss_mib: float, start: int = 1, state: str = "S", **more: int | bool
) -> ProcessSample:
    rss = int(rss_mib * 2**20)
    made = ProcessSample(
        ProcessKey(pid, start), name, state, False, 2 * rss, rss, 0, 1, 1, 0, 0, pid
    )
    return made._replace(**more)  # type: ignore[arg-type]


def sample(time_s: float, *processes: ProcessSample, free: int = 4 * GIB) -> Sample:
    meminfo = {
        "MemTotal": 16 * GIB,
        "MemFree": free,
        "MemAvailable": free + 5 * GIB,
        "Buffers": GIB,
        "Cached": 5 * GIB,
        "SReclaimable": 0,
        "Shmem": 0,
        "SwapTotal": 2 * GIB,
        "SwapFree": GIB,
    }
    pressure = Pressure(Stall(1.0, 2.0, 3.0, 0), Stall(0.1, 0.2, 0.3, 0))
    system = SystemSample(meminfo, {}, pressure)
    return Sample(time_s, 1.0, system, {each.key: each for each in processes})


def map_of(key: ProcessKey, name: str, heap_pages: int = 16) -> AddressMap:
    """A small map: three mappings of a file, a heap, a stack, all but the last half resident."""
    pieces = [
        (0x555000, 4, "r--p", f"/bin/{name}"),
        (0x555004, 16, "r-xp", f"/bin/{name}"),
        (0x555014, 4, "rw-p", f"/bin/{name}"),
        (0x556000, heap_pages, "rw-p", "[heap]"),
        (0x7FFFF0, 33, "rw-p", "[stack]"),
    ]
    text = ""
    for first, pages, perms, path in pieces:
        inode = 9 if path.startswith("/") else 0
        text += f"{first << 12:x}-{first + pages << 12:x} {perms} 0 8:1 {inode} {path}\n"
        half = pages * 2
        text += f"Size: {2 * half} kB\nRss: {half} kB\nPss: {half} kB\nPrivate_Dirty: {half} kB\n"
    return AddressMap(key, parse_maps(text.encode()))
