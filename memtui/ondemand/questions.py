"""All that can be asked of a machine, and what takes long to work out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from memtui.kernel.files import Files, Gap
from memtui.kernel.process import parse_cmdline
from memtui.kernel.threads import living
from memtui.model.keys import ProcessKey
from memtui.model.machine import Machine
from memtui.model.sample import Sample
from memtui.ondemand.question import GoOn, Question, Work

if TYPE_CHECKING:
    from memtui.kernel.buddy import PageTypes
    from memtui.kernel.maps import Mappings
    from memtui.kernel.registers import Registers
    from memtui.kernel.siginfo import SigInfo
    from memtui.model.crash.crash import Crash
    from memtui.model.explain.context import Context
    from memtui.model.map.addressmap import AddressMap
    from memtui.model.map.change import Difference, Snapshot, Trail
    from memtui.model.map.image import Image, Symbols
    from memtui.model.query import Term
    from memtui.model.system.owners import Owners
    from memtui.ondemand.oom import GroupNow, Outlook
    from memtui.ondemand.pages import PagesReading
    from memtui.ondemand.place import Place
    from memtui.ondemand.sharers import Sharers
    from memtui.ondemand.walk import Walk

# Lines of the source: the program's own as a rule, and those of all but the largest libraries.
LINES_SOON_S: Final = 0.1
LINES_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class FirstReadable(Question[ProcessKey | None]):
    """The first of some processes whose address space this user may read."""

    keys: tuple[ProcessKey, ...]

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> ProcessKey | None:
        return first_readable(files, self.keys)


@dataclass(frozen=True, slots=True)
class CommandsOf(Question[Mapping[int, str]]):
    """The command lines of some processes, by pid; those that cannot be read are not there."""

    keys: tuple[ProcessKey, ...]

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> Mapping[int, str] | Gap:
        commands = {
            key.pid: files.parsed(f"proc/{key.pid}/cmdline", parse_cmdline)
            for key in self.keys
            if key.pid != machine.own_pid
        }
        return {pid: text for pid, text in commands.items() if not isinstance(text, Gap)}


@dataclass(frozen=True, slots=True)
class PagesOf(Question["PagesReading"]):
    """The pages of a run of addresses; `detailed`: which of them are parts of huge ones too."""

    key: ProcessKey
    start: int
    count: int
    detailed: bool

    @property
    def source(self) -> str:
        return f"proc/{self.key.pid}/pagemap"

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> PagesReading | Gap:
        from memtui.ondemand.pages import read_pages

        return read_pages(
            files, self.key, self.start, self.count, machine.page_bytes, self.detailed
        )


@dataclass(frozen=True, slots=True)
class WalkTo(Question["Walk"]):
    """The way of one address of a process through its page table."""

    map_: AddressMap
    address: int

    @property
    def source(self) -> str:
        return f"proc/{self.map_.key.pid}/pagemap"

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> Walk | Gap:
        from memtui.ondemand.walk import walk

        return walk(files, machine, self.map_, self.address)


@dataclass(frozen=True, slots=True)
class CrashOf(Question["Crash"]):
    """How a process dies in a thread of it: held before its end, or in a dump.

    `lines_s`: for how long at most it looks for lines of the source, once it knows all else.
    """

    key: ProcessKey
    tid: int
    siginfo: SigInfo
    registers: Registers | Gap
    lines_s: float = LINES_S

    @property
    def source(self) -> str:
        return f"proc/{self.key.pid}/mem"

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> Crash:
        from memtui.ondemand.crash import read_crash

        held = (self.key, self.tid, self.siginfo, self.registers)
        return read_crash(files, *held, machine.page_bytes, self.lines_s)


@dataclass(frozen=True, slots=True)
class CrashTools(Work[None]):
    """Imports what reading a crash takes, which costs as much time as reading it."""

    def work(self) -> None:
        with suppress(ImportError):  # whoever needs it says so
            import capstone  # noqa: F401
            import elftools.dwarf.callframe
            import elftools.elf.elffile  # noqa: F401

            import memtui.ondemand.crash  # noqa: F401


@dataclass(frozen=True, slots=True)
class ImageBehind(Question[tuple["Image", "Symbols"]]):
    """The ELF file behind a mapping."""

    key: ProcessKey
    mappings: Mappings
    row: int

    @property
    def source(self) -> str:
        return self.mappings.paths[self.row]

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> tuple[Image, Symbols] | Gap:
        from memtui.ondemand.elf import read_image

        return read_image(files, self.key, self.mappings, self.row)


@dataclass(frozen=True, slots=True)
class WhoMaps(Question["Sharers"]):
    """Every process that maps a file, or a piece of shared memory."""

    dev: str
    inode: int
    path: str

    @property
    def source(self) -> str:
        return self.path

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> Sharers:
        from memtui.ondemand.sharers import find_sharers

        return find_sharers(files, self.dev, self.inode, self.path, go_on)


@dataclass(frozen=True, slots=True)
class ShmemOwners(Question["Owners"]):
    """Who holds shared memory."""

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> Owners:
        from memtui.ondemand.owners import find_owners

        return find_owners(files, machine, go_on)


@dataclass(frozen=True, slots=True)
class PlaceOf(Question["Place"]):
    """The limits and the control groups of a process."""

    key: ProcessKey

    @property
    def source(self) -> str:
        return f"proc/{self.key.pid}"

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> Place | Gap:
        from memtui.ondemand.place import read_place

        return read_place(files, self.key)


@dataclass(frozen=True, slots=True)
class OutlookIn(Question["Outlook"]):
    """Whom the OOM killer would take on the machine, or in a group by its path."""

    is_repeated: ClassVar[bool] = True
    group: str | None = None

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> Outlook | Gap:
        from memtui.ondemand.oom import read_outlook

        return read_outlook(files, machine.page_bytes, self.group, machine.hidden)


@dataclass(frozen=True, slots=True)
class InsideGroup(Question["GroupNow"]):
    """How full a memory cgroup is, and its processes as the OOM killer ranks them."""

    is_repeated: ClassVar[bool] = True
    path: str

    @property
    def source(self) -> str:
        return self.path

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> GroupNow | Gap:
        from memtui.ondemand.oom import read_group_now

        return read_group_now(files, machine.page_bytes, self.path)


@dataclass(frozen=True, slots=True)
class TightestGroup(Question[str | None]):
    """The group around a process that is nearest to its limit; None: it is in none."""

    pid: int

    @property
    def source(self) -> str:
        return f"proc/{self.pid}/cgroup"

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> str | Gap | None:
        from memtui.ondemand.oom import group_of

        return group_of(files, self.pid)


@dataclass(frozen=True, slots=True)
class PageTypesNow(Question["PageTypes"]):
    """What free blocks and page blocks are kept for."""

    @property
    def source(self) -> str:
        return "proc/pagetypeinfo"

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> PageTypes | Gap:
        from memtui.kernel.buddy import parse_pagetypeinfo

        return files.parsed(self.source, parse_pagetypeinfo)


@dataclass(frozen=True, slots=True)
class ContextOf(Question["Context"]):
    """What explanations put their numbers from, at the moment of a sample."""

    sample: Sample
    before: Sample | None

    def answer(self, files: Files, machine: Machine, go_on: GoOn) -> Context:
        from memtui.ondemand.context import context_of

        return context_of(self.sample, files, machine, self.before)


@dataclass(frozen=True, slots=True)
class Arranged(Work[Sequence[int]]):
    """The rows of a map that fit, in some column's order."""

    map_: AddressMap
    terms: tuple[Term, ...]
    sort: str | None
    downwards: bool
    trail: Trail

    def work(self) -> Sequence[int]:
        from memtui.model.map.arrange import arrange

        return arrange(self.map_, self.terms, self.sort, self.downwards, self.trail)


@dataclass(frozen=True, slots=True)
class WhatChanged(Work["Difference"]):
    """What is not the same in a map as it was at its mark."""

    mark: Snapshot
    map_: AddressMap
    read_at_s: float

    def work(self) -> Difference:
        from memtui.model.map.change import Snapshot, difference

        return difference(self.mark, Snapshot.of(self.map_, self.read_at_s))


def first_readable(files: Files, keys: Sequence[ProcessKey]) -> ProcessKey | None:
    """The first of these whose maps may be read, of which a single byte tells."""
    for key in keys:
        if not isinstance(files.read_at(f"{living(files, key.pid)}/maps", 0, 1), Gap):
            return key
    return None
