"""Segfaults in the kernel's log, in the spelling of many processors, and real ones."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.deaths import DeathReader, deaths
from memtui.kernel.kmsg import (
    KernelLog,
    LogPart,
)
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.segfaults import Segfault
from memtui.model.map.addressmap import AddressMap
from memtui.model.oom.obituary import Known, Look, Memories, State, observe
from memtui.model.oom.ranking import OomScope, Ranking
from tests.logs import needs_log, said
from tests.programs import compiled, look

X86 = "s [x][22899]: segfault at 10 ip 0000561df1c3c15f sp 00007ffd43df89f0 error 6"


def fault(*lines: str | bytes) -> Segfault:
    (found,) = deaths(said(*lines))
    assert isinstance(found, Segfault), lines
    return found


def test_x86_of_three_times() -> None:
    new = fault(X86 + " in s [x][115f,561df1c3c000+1000] likely on CPU 1 (core 1, socket 0)")
    assert new == Segfault(
        *(1000, 22899, "s [x]", 0x10, 0x561DF1C3C15F, 0x7FFD43DF89F0, 6, "write", False, True),
        *("s [x]", 0x561DF1C3C000, 0x1000, 0x115F),
    )
    middle = fault(X86 + " in s [x][561df1c3c000+1000]")
    assert middle == new._replace(file_offset=None)
    jump = fault(
        "a[7]: segfault at 20 ip 0000000000000020 sp 00007ffd error 14 likely on CPU 1 (core 1, socket 0)"
    )
    assert (jump.access, jump.is_protection, jump.file) == ("execute", False, None)
    old = fault("a[7]: segfault at 0000000000000010 rip 00000000004005b4 rsp 00007fff error 4")
    assert (old.address, old.instruction, old.access) == (0x10, 0x4005B4, "read")


def test_a_general_protection_fault_has_no_address() -> None:
    found = fault(
        "traps: s [x][22902] general protection fault ip:55dd4b2ae1b8 sp:7ffdcddd2170 error:0 "
        "in s [x][11b8,55dd4b2ae000+1000]"
    )
    assert (found.tid, found.name, found.address, found.file) == (22902, "s [x]", None, "s [x]")


@pytest.mark.parametrize(
    ("line", "address", "access", "is_protection"),
    [
        (
            "a.out[123]: unhandled level 2 translation fault (11) at 0x00000010, esr 0x92000046, "
            "in a.out[400000+1000]",
            0x10,
            "write",
            False,
        ),
        (
            "a.out[123]: unhandled exception: DABT (lower EL), ESR 0x000000009200004f, level 3 permission "
            "fault in a.out[aaaad0a60000+1000]",
            None,
            "write",
            True,
        ),
        (
            "a.out[123]: unhandled signal 11 code 0x1 at 0x0000000000000008 in a[10000+1000]",
            8,
            None,
            False,
        ),
        (
            "a.out[123]: segfault (11) at 8 nip 10000584 lr 7fff8 code 2 in a.out[10000000+10000]",
            8,
            None,
            True,
        ),
        (
            # 4.19: the upper half of the code is the kernel's own.
            "a.out[123]: unhandled signal 11 at 0000000000000000 nip 00003fff9474fcb0 "
            "lr 00003fff9474fa48 code 30001",
            0,
            None,
            False,
        ),
    ],
)
def test_other_processors(
    line: str, address: int | None, access: str | None, is_protection: bool | None
) -> None:
    found = fault(line)
    assert (found.tid, found.name) == (123, "a.out")
    assert (found.address, found.access, found.is_protection) == (address, access, is_protection)


REGISTERS = "CPU: 0 {}PID: 123 Comm: {} Not tainted 6.1.21 #1"


@pytest.mark.parametrize(
    ("lines", "tid", "name", "address", "instruction", "access", "is_protection", "file"),
    [
        (
            # MIPS, LoongArch: nobody says which process.
            [
                "do_page_fault(): sending SIGSEGV to a for b for invalid read access from 0000000c",
                "epc = 77db6928 in libc.so[77d92000+b2000]",
                "ra  = 00437ab9 in busybox[400000+4f000]",
            ],
            *(None, "a for b", 0xC, 0x77DB6928, "read", None, "libc.so"),
        ),
        (
            [
                "do_page_fault(): sending SIGSEGV to a for invalid write access to 000000fff6828000",
                "era = 0000000120003e94 in a[3e94,120000000+8000]",
            ],
            *(None, "a", 0xFFF6828000, 0x120003E94, "write", None, "a"),
        ),
        (
            # MIPS before 3.13
            [
                "do_page_fault() #2: sending SIGSEGV to a for invalid write access to\n"
                "00000010 (epc == 00400abc, ra == 00400123)"
            ],
            *(None, "a", 0x10, 0x400ABC, "write", None, None),
        ),
        (
            # arm32, its registers in lines of their own
            [
                "8<--- cut here ---",
                "a: b: unhandled page fault (11) at 0x00000010, code 0x817",
                "[00000010] *pgd=00000000",
                REGISTERS.format("", "a: b"),
                "Hardware name: BCM2711",
                "PC is at 0x10444",
            ],
            *(123, "a: b", 0x10, 0x10444, "write", False, None),
        ),
        (
            # … of another process
            [
                "a: unhandled page fault (11) at 0x00010000, code 0x80000007",
                REGISTERS.format("", "b"),
            ],
            *(None, "a", 0x10000, None, "execute", False, None),
        ),
        (
            # arm32 with the long format of tables: permission
            ["a: unhandled page fault (11) at 0x00010000, code 0xa0f"],
            *(None, "a", 0x10000, None, "write", True, None),
        ),
        (
            [
                "User process fault: interruption code 003b ilc:3 in a[100000000+1000]",
                "Failing address: 0000000000000000 TEID: 0000000000000400",
                "Fault in primary space mode while using user ASCE.",
                REGISTERS.format("UID: 0 ", "a Not tainted"),
                "Hardware name: IBM 3931 A01 704 (KVM/Linux)",
                "User PSW : 0705000180000000 0000000100000722",
            ],
            *(123, "a Not tainted", 0, 0x100000722, "write", False, "a"),
        ),
        (
            # 2.6.32
            ["User process fault: interruption code 0x4", "failing address: 80001000"],
            *(None, "", 0x80001000, None, None, True, None),
        ),
    ],
)
def test_processors_that_take_several_lines(
    lines: list[str],
    tid: int | None,
    name: str,
    address: int,
    instruction: int | None,
    access: str,
    is_protection: bool | None,
    file: str | None,
) -> None:
    found = fault(*lines)
    assert (found.time_us, found.tid, found.name) == (1000 + 1000 * ("8<" in lines[0]), tid, name)
    assert (found.address, found.instruction) == (address, instruction)
    assert (found.access, found.is_protection, found.file) == (access, is_protection, file)


def test_a_fault_waits_for_its_other_lines_no_longer_than_a_reading() -> None:
    first, second = said(
        "do_page_fault(): sending SIGSEGV to a for invalid read access from 0000000c",
        "epc = 77db6928 in libc.so[77d92000+b2000]",
    )
    reader = DeathReader()
    assert reader.read([first]) == []
    (whole,) = reader.read([second])
    assert isinstance(whole, Segfault) and whole.instruction == 0x77DB6928
    assert reader.read([first]) == []
    (alone,) = reader.read([])
    assert isinstance(alone, Segfault) and alone.instruction is None
    assert reader.read([]) == []
    one, two = deaths([first, first._replace(time_us=1500), second])
    assert isinstance(one, Segfault) and isinstance(two, Segfault)
    assert (one.instruction, two.instruction) == (None, 0x77DB6928)


def test_the_registers_of_a_later_report_are_not_a_faults() -> None:
    found = fault(
        "a: unhandled page fault (11) at 0x00000010, code 0x817",
        *["usb 1-1: new device"] * 2000,
        REGISTERS.format("", "a"),
    )
    assert found.tid is None


@pytest.mark.parametrize(
    "line",
    [
        "User process fault: interruption code 0007 ilc:2 in a[100000000+1000]",  # data exception
        "a[5]: unhandled exception: BRK (AArch64), ESR 0x00000000f2000001, ptrace BRK handler in a[1+1]",
        "a: unhandled page fault (7) at 0x00000010, code 0x817",
    ],
)
def test_what_is_no_segfault(line: str) -> None:
    assert deaths(said(line)) == []


@given(
    st.binary(min_size=1, max_size=15), st.integers(1, 1 << 22), st.binary(min_size=1, max_size=40)
)
def test_no_name_hides_a_segfault(name: bytes, tid: int, file: bytes) -> None:
    found = fault(
        b"%b[%d]: segfault at 10 ip 00000000aaaa0010 sp 00007ffd error 7 in %b[aaaa0000+1000]"
        % (name, tid, file)
    )
    assert (found.tid, found.name.encode("utf-8", "surrogateescape")) == (tid, name)
    assert (found.address, found.access, found.is_protection) == (0x10, "write", True)


def die(program: Path, how: str) -> tuple[AddressMap, Segfault] | None:
    """The last map of a process that touches what it may not, and the kernel's word on that."""
    log = KernelLog(LiveFiles(), only_new=True)
    with subprocess.Popen(
        [program, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == "ready\n"
        last = look(process.pid)
        # A thread that is still on its way to sleep has no stack pointer to tell.
        while how == "overflow" and not all(each.stack_pointer for each in last.threads):
            last = look(process.pid)
        process.communicate("\n")
        assert process.returncode == -11
    part = log.read()
    assert isinstance(part, LogPart)
    tids = {process.pid, *(thread.tid for thread in last.threads)}
    for each in deaths(part.records):
        if isinstance(each, Segfault) and each.tid in tids:
            return last, each
    return None


@pytest.mark.xdist_group("machine")
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("null", "write to 0x10: not mapped, a null pointer plus 0x10; at faulty+0x"),
        ("constant", "read-only memory, the read-only data of faulty; at faulty+0x"),
        ("closed", "in memory without any access: "),
        ("wild", "not canonical): a wild pointer; at faulty+0x"),
        ("jump", "jump to 0x20: not mapped, a null pointer plus 0x20"),
        ("data", "not executable memory, the heap"),
        ("overflow", "in the guard page below the stack of thread "),
    ],
)
def test_a_real_segfault_and_its_obituary(how: str, words: str, tmp_path: Path) -> None:
    needs_log()
    if (
        Path("/proc/sys/debug/exception-trace").read_text().strip() == "0"
        or os.uname().machine != "x86_64"
    ):
        pytest.skip("needs debug.exception-trace, and the words of x86")
    program = compiled("faulty", tmp_path)
    deadline = time.monotonic() + 60
    # The kernel writes ten such lines in five seconds and no more, whoever they are of.
    while (death := die(program, how)) is None:
        assert time.monotonic() < deadline, "the kernel says nothing"
        time.sleep(1)
    last, found = death
    pid = last.key.pid
    memories = Memories()
    memories.note(Known(last.key, "faulty", f"{program} {how}", "/", last))
    empty = Ranking(OomScope(None, 1, 1, True), (), None)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    _, (obituary,) = observe(State(), Look(now, 4096, empty, {}, {}, (found,), True), memories)
    assert (obituary.pid, obituary.name, obituary.cause) == (pid, "faulty", "segfault")
    assert obituary.command == f"{program} {how}" and obituary.map is last
    assert words in obituary.sentence
    assert 0 <= now - obituary.time_s < 30
