"""Real programs that crash in each way, held at their end: what is read and said of them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from memtui.kernel import ptrace
from memtui.kernel.files import Gap
from memtui.kernel.segfaults import Access
from memtui.model.crash.crash import Crash
from memtui.model.crash.explain import explain
from tests.gdbview import View, gdb_view
from tests.held import held
from tests.programs import compiled

SOURCE = Path(__file__).parents[1] / "programs" / "crashes.c"
BUILDS = {"O0": ("-g", "-O0"), "O2": ("-g", "-O2", "-fomit-frame-pointer")}


class Way(NamedTuple):
    """What must be said of one way to die."""

    signal: str
    code: str
    access: Access | None
    words: str


WAYS = {
    "null-read": Way("SIGSEGV", "SEGV_MAPERR", "read", "read of 0x0: not mapped, a null pointer;"),
    "null-write": Way("SIGSEGV", "SEGV_MAPERR", "write", "not mapped, a null pointer plus 0x10;"),
    "wild": Way("SIGSEGV", "SEGV_MAPERR", "write", "write to 0x123456789000: not mapped, far from"),
    "unmapped": Way(
        "SIGSEGV", "SEGV_MAPERR", "read", "not mapped, 8 bytes past the end of closed memory"
    ),
    "overflow": Way(
        *("SIGSEGV", "SEGV_MAPERR", "write"),
        "below the main stack: it has overflowed, 1.0 MiB of 1.0 MiB used; in dive",
    ),
    "text": Way(
        "SIGSEGV", "SEGV_ACCERR", "write", "read-only memory, the program code of crashes;"
    ),
    "rodata": Way(
        "SIGSEGV", "SEGV_ACCERR", "write", "read-only memory, the read-only data of crashes;"
    ),
    "data": Way(
        "SIGSEGV", "SEGV_ACCERR", "execute", "not executable memory, the heap; called from"
    ),
    "jump": Way(
        "SIGSEGV", "SEGV_MAPERR", "execute", "jump to 0x0: not mapped, a null pointer; called"
    ),
    "file-end": Way(
        "SIGBUS", "BUS_ADRERR", "read", "which has 100 bytes; it is mapped beyond that;"
    ),
    "twice": Way("SIGABRT", "SI_TKILL", None, "abort from free(): glibc found its heap damaged"),
    "abort": Way("SIGABRT", "SI_TKILL", None, "abort(), which the program called itself; in main"),
    "divide": Way("SIGFPE", "FPE_INTDIV", None, "division of an integer by zero: idiv"),
    "illegal": Way("SIGILL", "ILL_ILLOPN", None, "ud2, the instruction that is none"),
    "heap-end": Way(
        "SIGSEGV", "SEGV_MAPERR", "write", "not mapped, 8 bytes past the end of the heap;"
    ),
    "thread": Way("SIGSEGV", "SEGV_MAPERR", "write", "a null pointer; in in_thread"),
    # Its first thread has ended, and /proc/PID tells nothing of its memory any more.
    "leaderless": Way("SIGSEGV", "SEGV_MAPERR", "write", "a null pointer; in outlives"),
    "thread-overflow": Way(
        "SIGSEGV", "SEGV_ACCERR", "write", "in the guard page below the stack of thread"
    ),
    "library": Way("SIGSEGV", "SEGV_MAPERR", "write", "a null pointer plus 0x40; in __mem"),
    "handler": Way("SIGSEGV", "SEGV_MAPERR", "write", "a null pointer; in handler"),
    "misaligned": Way(
        "SIGSEGV", "SI_KERNEL", "read", "misaligned by 4 bytes, movaps takes multiples of 16"
    ),
    "uncanonical": Way(
        "SIGSEGV", "SI_KERNEL", "write", "write to 0xdeadbeefdeadbeef: it can be no address"
    ),
    "smash": Way(
        "SIGSEGV", "SI_KERNEL", "execute", "jump to 0x4141414141414141: it can be no address"
    ),
    "privileged": Way(
        "SIGSEGV", "SI_KERNEL", None, "hlt: an instruction that is the kernel's alone"
    ),
}

pytestmark = pytest.mark.skipif(ptrace.processor() != "x86_64", reason="the words are x86-64's")


@pytest.fixture(scope="module", params=BUILDS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = (*BUILDS[request.param], "-fno-stack-protector")
    return compiled("crashes", tmp_path_factory.mktemp(request.param), *options)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(
        "crashes", tmp_path_factory.mktemp("plain"), *BUILDS["O0"], "-fno-stack-protector"
    )


def dying_line(how: str) -> int:
    lines = SOURCE.read_text().splitlines()
    return 1 + next(at for at, line in enumerate(lines) if f"DIES {how} " in line)


def own_lines(crash: Crash) -> list[int | None]:
    """Lines of the program's own source, the innermost first."""
    places = [each.place for each in crash.frames]
    return [each.line for each in places if each.source.endswith("/crashes.c")]


@pytest.mark.parametrize("how", WAYS)
def test_each_way_is_explained(how: str, program: Path) -> None:
    way = WAYS[how]
    with held([program, how]) as thread:
        crash = thread.crash()
    told = explain(crash)
    assert (crash.siginfo.name, crash.siginfo.code_name) == (way.signal, way.code)
    assert told.access == way.access
    assert way.words in told.sentence
    assert told.exit_status == 128 + crash.siginfo.signal
    assert crash.name == "crashes" and len(told.steps) >= 2
    assert not isinstance(crash.map, Gap)
    # The outermost calls are those of every program, unless the stack overflowed.
    if "overflow" not in how:
        symbols = [each.place.symbol for each in crash.frames]
        if how == "smash":
            assert symbols  # what lies where the caller's was is not known
        elif how in ("thread", "leaderless"):
            assert symbols[0] in ("in_thread", "outlives")
        else:
            assert symbols[-1] == "_start" and "main" in symbols


@pytest.mark.parametrize("how", WAYS)
def test_the_line_is_the_one_that_dies(how: str, plain: Path) -> None:
    if how in ("abort", "overflow", "thread-overflow"):
        pytest.skip("dies on other lines than one")
    with held([plain, how]) as thread:
        crash = thread.crash()
    assert own_lines(crash)[0] == dying_line(how)
    assert not crash.lines_missed


@pytest.mark.parametrize("how", WAYS)
def test_gdb_sees_the_same(how: str, program: Path) -> None:
    view = gdb_view([program, how])
    with held([program, how]) as thread:
        crash = thread.crash()
    assert not isinstance(crash.registers, Gap)
    assert (view.signal, view.code) == (crash.siginfo.name, crash.siginfo.code)
    assert view.pointer == crash.registers.instruction_pointer
    if way_has_address(view):
        assert view.address == crash.siginfo.address
    if view.mnemonic:
        assert not isinstance(crash.instruction, Gap)
        assert f" {crash.instruction.text}".partition(f" {view.mnemonic}")[1]
    theirs = [line for _, source, line in view.frames if source == "crashes.c"]
    if how != "smash":  # gdb takes what lies on the stack for a caller
        # Of what was inlined gdb shows each function as a frame; ours are those that were called.
        ours = own_lines(crash)[: len(theirs)]
        assert ours[0] == theirs[0]
        assert ours == [line for line in theirs if line in ours][: len(ours)]


def way_has_address(view: View) -> bool:
    return view.signal in ("SIGSEGV", "SIGBUS") and view.code != 0x80


def test_a_thread_is_named_by_its_stack(plain: Path) -> None:
    with held([plain, "thread-overflow"]) as thread:
        crash = thread.crash()
        assert thread.tid != thread.key.pid
    assert crash.tid == thread.tid
    assert (
        f"stack of thread {thread.tid} crashes: it has overflowed, all of its"
        in explain(crash).sentence
    )


def test_calls_go_on_beyond_a_signals_handler(plain: Path) -> None:
    with held([plain, "handler"]) as thread:
        crash = thread.crash()
    lines = SOURCE.read_text().splitlines()
    raised = 1 + next(at for at, line in enumerate(lines) if "INTERRUPTED handler" in line)
    assert own_lines(crash)[:2] == [dying_line("handler"), raised]


def test_without_call_frame_information_frame_pointers_do(tmp_path: Path) -> None:
    options = ("-O0", "-fno-omit-frame-pointer", "-fno-asynchronous-unwind-tables")
    program = compiled("crashes", tmp_path, *options)
    with held([program, "null-write"]) as thread:
        crash = thread.crash()
    assert [each.place.symbol for each in crash.frames][:2] == ["null_write", "main"]
    assert crash.frames[0].how == "frame pointer"


def test_a_stripped_program_has_places_all_the_same(tmp_path: Path) -> None:
    program = compiled("crashes", tmp_path, "-O0", "-s")
    with held([program, "null-write"]) as thread:
        crash = thread.crash()
    place = crash.frames[0].place
    assert (place.symbol, place.source, place.section) == ("", "", ".text")
    assert explain(crash).sentence.endswith(f"; in crashes+{place.file_offset:#x}")


def test_a_position_dependent_program(tmp_path: Path) -> None:
    program = compiled("crashes", tmp_path, "-g", "-O0", "-no-pie", "-static")
    with held([program, "null-write"]) as thread:
        crash = thread.crash()
    assert own_lines(crash)[0] == dying_line("null-write")
    assert crash.frames[0].place.link_address == crash.frames[0].place.address


def test_debug_information_of_every_kind(tmp_path: Path) -> None:
    """Older DWARF, compressed, and without .debug_aranges as clang leaves it."""
    for number, options in enumerate((("-gdwarf-4",), ("-gz",), ("-gdwarf-3",))):
        directory = tmp_path / str(number)
        directory.mkdir()
        program = compiled("crashes", directory, "-g", "-O0", *options)
        without = directory / "without"
        if shutil.which("objcopy"):
            os.spawnlp(
                os.P_WAIT, "objcopy", "objcopy", "--remove-section=.debug_aranges", program, without
            )
        for each in (program, without):
            if each.exists():
                with held([each, "null-write"]) as thread:
                    assert own_lines(thread.crash())[0] == dying_line("null-write"), (options, each)


def test_a_protection_key(plain: Path) -> None:
    if " pku " not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no protection keys")
    with held([plain, "key"]) as thread:
        told = explain(thread.crash())
    assert "which protection key" in told.sentence and told.access == "read"


def test_python_is_held_in_a_library_of_a_library() -> None:
    program = Path(sys.executable).resolve()
    with held([program, "-I", "-c", "import ctypes; ctypes.string_at(0)"]) as thread:
        crash = thread.crash(lines_s=0)
    told = explain(crash)
    assert told.access == "read" and "read of 0x0: not mapped, a null pointer; in " in told.sentence
    assert crash.frames[-1].place.symbol == "_start"
    assert not any(each.place.source for each in crash.frames)
    assert crash.lines_missed  # there was no time for them


def test_a_process_that_is_another_now_has_nothing_to_tell(plain: Path) -> None:
    with held([plain, "null-write"]) as thread:
        other = thread._replace(key=thread.key._replace(start_time_ticks=1))
        crash = other.crash()
    assert isinstance(crash.map, Gap) and isinstance(crash.instruction, Gap)
    assert "write" not in explain(crash).sentence and explain(crash).exit_status == 139
