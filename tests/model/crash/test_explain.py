"""Why a program died, from what is known of it: the sentence, the steps and the status."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Gap
from memtui.kernel.registers import DWARF_NAMES, Processor, Registers
from memtui.kernel.siginfo import SigInfo
from memtui.model.crash.crash import Crash, Frame, Instruction, Operand, Place
from memtui.model.crash.explain import Step, explain
from tests.model.crash.maps import KEY, address_map

PAGE = 4096
SEGV, BUS, FPE, ILL = signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL
MAPERR, ACCERR, PKUERR, KERNEL = 1, 2, 4, 0x80
PC = 0x400010
NOWHERE = Gap("0x0", "absent")


def registers(processor: Processor = "x86_64", **values: int) -> Registers:
    known = dict.fromkeys(DWARF_NAMES[processor], 0)
    known |= {"rip": PC, "rsp": 0x7FFD00080000} if processor == "x86_64" else {"pc": PC}
    return Registers(processor, known | values)


def crash(
    siginfo: SigInfo,
    *operands: Operand,
    text: str = "mov byte ptr [rax], 1",
    frames: tuple[Frame, ...] = (),
    processor: Processor = "x86_64",
    **registers_: int,
) -> Crash:
    return Crash(
        KEY,
        KEY.pid,
        "prog",
        siginfo,
        registers(processor, **registers_),
        address_map(),
        Instruction(PC, b"", text, operands),
        frames,
        1 << 20,
        PAGE,
    )


def write(address: int, size: int = 1) -> Operand:
    return Operand(address, size, "write", "[rax]")


def frame(symbol: str, file: str, source: str = "", line: int | None = None) -> Frame:
    return Frame(Place(PC, file, 0x1136, 0x1136, ".text", symbol, 9, source, line), 0, "")


def terms(steps: tuple[Step, ...]) -> list[str]:
    return [each.term for each in steps if each.term]


def test_a_null_write_is_told_from_the_page_table_to_the_status() -> None:
    frames = (frame("main", "/bin/segv", "/home/me/segv.c", 9),)
    told = explain(crash(SigInfo(SEGV, MAPERR, 0), write(0), frames=frames))
    assert told.sentence == (
        "write to 0x0: not mapped, a null pointer; in main at segv.c:9, segv+0x1136"
    )
    assert [each.words for each in told.steps] == [
        "the CPU looked for the page of 0x0 and found no entry",
        "page fault: write, from user mode",
        "the kernel's handler found no mapping at 0x0",
        "below it nothing; above it the program code of prog from 0x400000, 4.0 MiB away",
        "SIGSEGV: by its default action the program ends, with status 139",
    ]
    assert terms(told.steps) == ["P = 0", "error code 0x6", "SEGV_MAPERR", "128 + 11"]
    assert (told.access, told.address, told.row, told.below, told.above) == (
        "write",
        0,
        None,
        None,
        0,
    )
    assert told.exit_status == 139


@pytest.mark.parametrize(
    ("is_present", "term", "code"),
    [(True, "R/W = 0", "error code 0x7"), (False, "P = 0", "error code 0x6"), (None, "", "")],
)
def test_the_error_code_is_told_where_the_page_is_known(
    is_present: bool | None, term: str, code: str
) -> None:
    """What was never touched has no entry yet, although it is mapped."""
    found = crash(SigInfo(SEGV, ACCERR, 0x401010), write(0x401010))
    told = explain(found._replace(is_present=is_present))
    assert told.row == 1
    assert (told.steps[0].term, told.steps[1].term) == (term, code)
    assert "r--p and does not allow writing" in told.steps[2].words


def test_an_access_is_the_operands_that_holds_the_address() -> None:
    read = Operand(0x20000000, 64, "read", "[rsi]")
    found = crash(SigInfo(SEGV, ACCERR, 0x401FF0), read, write(0x401FC0, 64))
    assert explain(found).access == "write"
    assert explain(found._replace(siginfo=SigInfo(SEGV, MAPERR, 0x2000003F))).access == "read"
    assert explain(found._replace(siginfo=SigInfo(SEGV, MAPERR, 0x20000040))).access is None


def test_a_jump_to_nowhere_is_told_by_who_called() -> None:
    frames = (Frame(Place(0), 0, "return address"), frame("main", "/bin/prog", "p.c", 3))
    found = crash(SigInfo(SEGV, MAPERR, 0), frames=frames, rip=0)._replace(instruction=NOWHERE)
    told = explain(found)
    assert told.access == "execute"
    assert told.sentence.endswith("a null pointer; called from main at p.c:3, prog+0x1136")
    assert terms(told.steps)[1] == "error code 0x14"


def test_in_a_library_the_program_that_called_it_is_told_too() -> None:
    frames = (
        frame("memcpy", "/lib/libc.so.6", "memcpy.S", 3),
        frame("copy", "/bin/prog", "p.c", 7),
        frame("main", "/bin/prog", "p.c", 9),
    )
    told = explain(crash(SigInfo(SEGV, MAPERR, 0), write(0), frames=frames))
    assert "; in memcpy at memcpy.S:3, libc.so.6+0x1136, called from copy at p.c:7" in told.sentence


def test_past_the_end_of_a_file() -> None:
    read = Operand(0x20001008, 1, "read", "[rax]")
    told = explain(crash(SigInfo(BUS, 2, 0x20001008), read)._replace(file_bytes=100))
    assert (
        "read of 0x20001008: 4 004 bytes past the end of data.bin, which has 100 bytes"
        in told.sentence
    )
    assert told.exit_status == 135
    # It was cut short meanwhile, or the disk failed.
    assert "cannot be had" in explain(crash(SigInfo(BUS, 2, 0x20001008), read)).sentence


def test_an_address_that_can_be_none_is_worked_out() -> None:
    told = explain(crash(SigInfo(SEGV, KERNEL), write(0xDEADBEEFDEADBEEF)))
    assert told.sentence.startswith("write to 0xdeadbeefdeadbeef: it can be no address")
    assert (told.address, told.access) == (0xDEADBEEFDEADBEEF, "write")
    assert "vector 13, #GP" in terms(told.steps)
    returns = crash(SigInfo(SEGV, KERNEL), Operand(0x7FFD00080000, 8, "read", "[rsp]"), text="ret")
    assert not isinstance(returns.instruction, Gap)
    smashed = returns.instruction._replace(target=0x4141414141414141)
    told = explain(returns._replace(instruction=smashed))
    assert told.sentence.startswith("jump to 0x4141414141414141: it can be no address")


def test_misaligned_privileged_and_what_nobody_tells() -> None:
    aligned = Operand(0x402004, 16, "read", "[rax]", None, 16)
    found = crash(SigInfo(SEGV, KERNEL), aligned, text="movaps xmm0, xmmword ptr [rax]")
    assert "misaligned by 4 bytes, movaps takes multiples of 16" in explain(found).sentence
    assert not isinstance(found.instruction, Gap)
    found = crash(SigInfo(SEGV, KERNEL), text="hlt")
    assert "refused it (general protection)" in explain(found).sentence
    found = found._replace(instruction=Instruction(PC, b"", "hlt", is_privileged=True))
    assert "the kernel's alone" in explain(found).sentence
    found = found._replace(instruction=NOWHERE)
    assert explain(found).address is None and "not canonical" in explain(found).sentence


@pytest.mark.parametrize(("divisor", "words"), [(0, "by zero"), (-1, "division by -1, whose")])
def test_divisions(divisor: int, words: str) -> None:
    instruction = Instruction(PC, b"", "idiv ecx", divisor=divisor)
    told = explain(crash(SigInfo(FPE, 1, PC))._replace(instruction=instruction))
    assert words in told.sentence and told.exit_status == 136


def test_an_abort_says_what_glibc_said() -> None:
    frames = (
        frame("abort", "/lib/libc.so.6"),
        frame("free", "/lib/libc.so.6"),
        frame("f", "/bin/p"),
    )
    found = crash(SigInfo(signal.SIGABRT, -6, None, None, 7, 0), frames=frames)
    told = explain(found._replace(message="free(): invalid pointer"))
    assert told.sentence == (
        'abort from free(): glibc found its heap damaged ("free(): invalid pointer"); in f, p+0x1136'
    )
    told = explain(found._replace(message="p: a.c:1: f: Assertion `0' failed.", frames=frames[::2]))
    assert told.sentence.startswith("abort(): p: a.c:1: f: Assertion")
    assert told.exit_status == 134


def test_a_signal_that_was_sent_is_nobodys_access() -> None:
    sent = explain(crash(SigInfo(SEGV, 0, None, None, 99, 1000)))
    assert sent.sentence.startswith("SIGSEGV that process 99 of user 1000 sent it")
    own = explain(crash(SigInfo(SEGV, -6, None, None, 7, 1000)))
    assert "sent to itself" in own.sentence
    assert (sent.access, sent.address, sent.row) == (None, None, None)


def test_a_protection_key_and_the_kernels_half() -> None:
    told = explain(
        crash(SigInfo(SEGV, PKUERR, 0x10000000, 3), write(0x10000000))._replace(is_present=True)
    )
    assert "which protection key 3 forbids" in told.sentence
    assert told.steps[1].term == "error code 0x27"
    told = explain(crash(SigInfo(SEGV, MAPERR, 0xFFFFFFFF81000000), write(0xFFFFFFFF81000000)))
    assert "kernel's half" in told.sentence and told.steps[0].term == "U/S = 0"


def test_arm64_has_no_error_code_and_tells_misaligned_addresses() -> None:
    store = Operand(0, 4, "write", "[x1]")
    found = crash(SigInfo(SEGV, MAPERR, 0), store, text="str w0, [x1]", processor="aarch64")
    told = explain(found)
    assert told.access == "write" and terms(told.steps) == ["SEGV_MAPERR", "128 + 11"]
    found = crash(SigInfo(BUS, 1, 0x402001), store, text="stxr w0, w1, [x2]", processor="aarch64")
    told = explain(found)
    assert "misaligned" in told.sentence and "vector" not in str(told.steps)


signals = st.builds(
    SigInfo,
    st.integers(1, 64),
    st.integers(-60, 130),
    st.none() | st.integers(0, (1 << 64) - 1),
    st.none() | st.integers(0, 15),
    st.none() | st.integers(0, 9),
    st.none() | st.integers(0, 9),
)


@given(signals, st.integers(0, (1 << 64) - 1), st.booleans(), st.booleans(), st.booleans())
def test_whatever_is_missing_it_is_explained(
    siginfo: SigInfo, address: int, has_map: bool, has_registers: bool, has_instruction: bool
) -> None:
    found = crash(siginfo, write(address), rsp=address)
    found = found._replace(
        map=found.map if has_map else NOWHERE,
        registers=found.registers if has_registers else NOWHERE,
        instruction=found.instruction if has_instruction else NOWHERE,
    )
    told = explain(found)
    assert told.sentence and told.steps and "\n" not in told.sentence
    assert told.exit_status == 128 + siginfo.signal
