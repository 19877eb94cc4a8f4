"""What is at a refused address, in words: of the kernel's log, and of a crash."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.segfaults import Access, Segfault
from memtui.model.crash.target import Refused, explain_segfault, neighbours, overflowed, target
from tests.model.crash.maps import address_map


@pytest.mark.parametrize(
    ("address", "access", "words"),
    [
        (0x10, "write", "write to 0x10: not mapped, a null pointer plus 0x10"),
        (0, "read", "read of 0x0: not mapped, a null pointer"),
        ((1 << 64) - 8, "read", "not mapped, a null pointer minus 0x8"),
        (0xFFFFFFFF81000000, "read", "the kernel's half of the addresses"),
        (0x401010, "write", "read-only memory, the read-only data of prog"),
        (0x402010, "execute", "not executable memory, the initialised data of prog"),
        (0x402010, "write", "which allowed that at the last look"),
        (0x7F0000000800, "write", "in the guard page below the stack of thread 12 worker"),
        (0x7FFCFFFFFF00, "write", "256 bytes below the main stack"),
        (0x10021010, "write", "not mapped, 16 bytes past the end of the heap"),
        (0x3FFFF0, "read", "16 bytes before the start of the program code of prog"),
        (0x500000000000, "read", "far from everything"),
    ],
)
def test_a_segfault_against_the_last_map(address: int, access: Access, words: str) -> None:
    fault = Segfault(0, 7, "prog", address, 0x400010, 1, 6, access, False, True, None, None, None)
    assert words in explain_segfault(fault, address_map())
    assert explain_segfault(fault, address_map()).endswith("; at prog+0x1010")


def test_a_segfault_without_a_map() -> None:
    fault = Segfault(0, 7, "prog", 0x401010, 0x400010, 1, 7, "write", True, True, "prog", 1, 2)
    assert (
        explain_segfault(fault)
        == "write to 0x401010: mapped, but not for this; at 0x400010, 0x40000f into the mapping of prog"
    )
    assert "nothing there" in explain_segfault(fault._replace(is_protection=False))


STACK = 0x7FFD00000000
MIB = 1 << 20


def now(address: int, access: Access = "write", pointer: int | None = None) -> Refused:
    return Refused(address, access, False, pointer, MIB, is_now=True)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (0x10021000, "not mapped, right at the end of the heap"),
        (0x10021001, "not mapped, 1 byte past the end of the heap"),
        (0x10020FFF, "the heap, which allows that"),
        (0x10021000 + 70_000, "not mapped, 68.4 KiB past the end of the heap"),
        (0x1FFFFFF0, "not mapped, 16 bytes before the start of data.bin: file, read only"),
    ],
)
def test_distances_are_told_to_the_byte(address: int, words: str) -> None:
    assert target(now(address), address_map()) == words


def test_a_stack_overflows_only_where_its_pointer_is() -> None:
    """A wild pointer into the room below the stack, from a sound function, is none of it."""
    map_ = address_map()
    below = STACK - 8
    assert "8 bytes below the main stack: it has overflowed, 1.0 MiB of 1.0 MiB used" in target(
        now(below, pointer=below), map_
    )
    # A call pushes below its stack pointer; a large variable lies above it.
    assert overflowed(now(below, pointer=STACK), map_) is not None
    assert overflowed(now(below, pointer=below - 4 * MIB), map_) is not None
    sound = now(below, pointer=STACK + 0x80000)
    assert overflowed(sound, map_) is None
    assert target(sound, map_) == "not mapped, 8 bytes before the start of the main stack"


def test_a_guard_is_no_overflow_for_another_thread() -> None:
    map_, guard = address_map(), 0x7F0000000800
    own = target(now(guard, pointer=guard), map_)
    assert own == (
        "in the guard page below the stack of thread 12 worker: it has overflowed, "
        "all of its 8.0 MiB used"
    )
    assert target(now(guard, pointer=STACK + 64), map_).startswith("in memory without any access")


def test_a_protection_key_is_named() -> None:
    refused = now(0x10000000, "read")._replace(key=3)
    assert (
        target(refused, address_map()) == "the heap, which protection key 3 forbids to this thread"
    )


@given(st.integers(0, (1 << 64) - 1), st.sampled_from(["read", "write", "execute", None]))
def test_any_address_has_words(address: int, access: Access | None) -> None:
    map_ = address_map()
    refused = Refused(address, access, None, address, None, is_now=True)
    assert target(refused, map_) and target(refused, None)
    below, above = neighbours(map_, address)
    if map_.row_at(address) is None:
        assert below is None or map_.mappings.ends[below] <= address
        assert above is None or map_.mappings.starts[above] > address
