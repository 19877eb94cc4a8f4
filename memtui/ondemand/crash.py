"""Reads what is known of a crash while its memory is still whole: held under watch, or a core dump.

Memory is read through /proc/PID/mem, and ELF files as they are mapped. Cost: of a small C program
20 ms of CPU, 45 more where capstone and pyelftools are imported; of CPython 45 without lines.
"""

from __future__ import annotations

import signal
import time
from typing import Final

from memtui.kernel.files import Files, Gap, defect_gap
from memtui.kernel.limits import read_stack_limit_bytes
from memtui.kernel.maps import Mappings, read_mappings
from memtui.kernel.pagemap import PRESENT, read_pagemap
from memtui.kernel.process import Identity, read_identity
from memtui.kernel.registers import Registers
from memtui.kernel.siginfo import SigInfo
from memtui.kernel.threads import Thread, read_threads
from memtui.model.crash.crash import Crash, Frame
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.ondemand.bss import read_bss_ends
from memtui.ondemand.dwarflines import Lines
from memtui.ondemand.elf import is_mapped, mapped_file
from memtui.ondemand.instruction import read_instruction
from memtui.ondemand.memory import Memory
from memtui.ondemand.modules import Modules
from memtui.ondemand.places import place_of, with_line
from memtui.ondemand.unwind import Call, Unwinder

_MESSAGE_AT_MOST: Final = 4096
_OPEN_AT_MOST: Final = 1000  # descriptors that are looked through
_GUARD_AT_MOST: Final = 1 << 20  # below a thread's stack


def read_crash(
    files: Files,
    key: ProcessKey,
    tid: int,
    siginfo: SigInfo,
    registers: Registers | Gap,
    page_bytes: int,
    lines_s: float,
) -> Crash:
    """The crash of a thread that stands still. Never raises.

    `lines_s`: so long at most it reads debug information for lines of the source, last of all and the
    program's own first; its libraries' may take seconds.
    """
    unread = Gap(f"proc/{key.pid}/maps", "gone")
    crash = Crash(key, tid, "", siginfo, registers, unread, unread, page_bytes=page_bytes)
    try:
        identity = read_identity(files, key.pid)
        if isinstance(identity, Gap) or identity.starttime != key.start_time_ticks:
            return crash
        limit = read_stack_limit_bytes(files, key.pid)
        crash = crash._replace(
            name=identity.comm,
            map=_read_map(files, crash, identity),
            stack_limit_bytes=None if isinstance(limit, Gap) else limit,
        )
        return _with_code(files, crash, lines_s)
    except Exception as error:
        return crash._replace(instruction=defect_gap(f"proc/{key.pid}/mem", error))


def _read_map(files: Files, crash: Crash, identity: Identity) -> AddressMap | Gap:
    """The map with its threads, whose stacks it names; usage is left out, which may take long."""
    pid = crash.key.pid
    mappings = read_mappings(files, pid, "maps")
    if isinstance(mappings, Gap):
        return mappings
    threads: tuple[Thread, ...] = ()
    if identity.num_threads > 1:
        found = read_threads(files, pid)
        threads = () if isinstance(found, Gap) else found
    if threads and not isinstance(crash.registers, Gap):
        pointer = _in_stack(mappings, crash.registers.stack_pointer)
        threads = tuple(
            each._replace(stack_pointer=pointer) if each.tid == crash.tid else each
            for each in threads
        )
    return AddressMap(
        crash.key,
        mappings,
        identity.num_threads,
        thread_list=threads,
        bss_ends=read_bss_ends(files, pid, mappings),
    )


def _in_stack(mappings: Mappings, pointer: int) -> int:
    """A stack pointer, and of a stack that overflowed into its guard the end of that guard."""
    for start, end, perms in zip(mappings.starts, mappings.ends, mappings.perms, strict=True):
        if start <= pointer < end and perms.startswith("---") and end - start <= _GUARD_AT_MOST:
            return end
    return pointer


def _with_code(files: Files, crash: Crash, lines_s: float) -> Crash:
    """With what the program's code, its stack and the files that it maps say."""
    map_, registers, pid = crash.map, crash.registers, crash.key.pid
    memory = Memory(files, pid, crash.page_bytes)
    if isinstance(registers, Gap):
        crash = crash._replace(instruction=registers)
    else:
        crash = crash._replace(instruction=read_instruction(memory, registers))
    if isinstance(map_, Gap):
        return crash
    crash = _with_target(files, crash, map_)
    modules = Modules(files, pid, map_.mappings, memory, crash.page_bytes)
    if not isinstance(registers, Gap):
        calls = Unwinder(map_, modules, memory).calls(registers)
        lines = Lines(time.monotonic() + lines_s)
        frames = _frames(map_, modules, calls, lines)
        crash = crash._replace(frames=frames, lines_missed=lines.ran_out)
    if crash.siginfo.signal == signal.SIGABRT:
        crash = crash._replace(message=_abort_message(map_, modules, memory))
    return crash


def _with_target(files: Files, crash: Crash, map_: AddressMap) -> Crash:
    """With what is told of the address: whether a page was there, and how long the file is."""
    address = crash.siginfo.address
    row = None if address is None else map_.row_at(address)
    if address is None or row is None:
        return crash
    pid = crash.key.pid
    entries = read_pagemap(files, pid, address, 1, crash.page_bytes)
    is_present = None if isinstance(entries, Gap) or not entries else bool(entries[0] & PRESENT)
    file_bytes = _file_bytes(files, pid, map_.mappings, row)
    return crash._replace(is_present=is_present, file_bytes=file_bytes)


def _file_bytes(files: Files, pid: int, mappings: Mappings, row: int) -> int | None:
    """How long a mapped file is; of one without a name any more, as long as it is open."""
    if not mappings.inodes[row]:
        return None
    found = mapped_file(files, pid, mappings, row)
    if not isinstance(found, Gap):
        return found[1].size_bytes
    for name in files.names(f"proc/{pid}/fd")[:_OPEN_AT_MOST]:
        stat = files.stat(f"proc/{pid}/fd/{name}")
        if not isinstance(stat, Gap) and stat.kind == "file" and is_mapped(stat, mappings, row):
            return stat.size_bytes
    return None


def _frames(
    map_: AddressMap, modules: Modules, calls: list[Call], lines: Lines
) -> tuple[Frame, ...]:
    places = [place_of(map_, modules, each.address, is_return=each.is_return) for each in calls]
    own = [at for at, place in enumerate(places) if place.symbol != "_start" and place.is_program]
    # What called main is the C library, the same always. The program's own come first: its
    # libraries' may take all of the time.
    wanted = range(own[-1] + 1 if own else len(calls))
    for at in sorted(wanted, key=lambda at: not places[at].is_program):
        row = map_.row_at(calls[at].address)
        module = None if row is None else modules.at(row)
        if module is not None:
            places[at] = with_line(places[at], module, lines, is_return=calls[at].is_return)
    return tuple(
        Frame(place, call.stack_pointer, call.how)
        for place, call in zip(places, calls, strict=True)
    )


def _abort_message(map_: AddressMap, modules: Modules, memory: Memory) -> str:
    """What glibc said as it aborted, which it keeps for debuggers; "" where it did not, or is none."""
    for row, path in enumerate(map_.mappings.paths):
        if path.rpartition("/")[2].startswith("libc.so") and (module := modules.at(row)):
            # GLIBC_PRIVATE: a pointer to a length, the mapping's, and the text behind it.
            own = next((each for each in module.symbols if each.name == "__abort_msg"), None)
            at = None if own is None else memory.number(module.bias + own.address)
            text = memory.read(at + 4, _MESSAGE_AT_MOST) if at else b""
            return text.partition(b"\0")[0].decode("utf-8", "surrogateescape").strip()
    return ""
