"""Addresses taken apart: by hand, as the kernel's documents draw them, and put together again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Gap
from memtui.model.map.pagetable import Paging, page_offset, paging_of, split

K = 1024
TOP = 1 << 64


def paging(machine: str, page_kib: int, la57: bool | None, highest: int) -> Paging:
    found = paging_of(machine, page_kib * K, la57, highest)
    assert isinstance(found, Paging), found
    return found


# Machine, page size in KiB, la57, highest address; then the width and, top first, each level's
# lowest bit: Documentation/arch/x86/x86_64/mm.rst, Documentation/arch/arm64/memory.rst.
DOCUMENTED: list[tuple[str, int, bool | None, int, int, str]] = [
    ("x86_64", 4, False, 0x7FFF_FFFF_F000, 48, "PGD 39 PUD 30 PMD 21 PTE 12"),
    ("x86_64", 4, True, 0x7FFF_FFFF_F000, 57, "PGD 48 P4D 39 PUD 30 PMD 21 PTE 12"),
    ("x86_64", 4, None, 0xFF_FFFF_FFFF_F000, 57, "PGD 48 P4D 39 PUD 30 PMD 21 PTE 12"),
    ("x86_64", 4, False, 0xFFFF_F000, 48, "PGD 39 PUD 30 PMD 21 PTE 12"),
    ("aarch64", 4, False, 0x7F_FFFF_F000, 39, "PGD 30 PMD 21 PTE 12"),
    ("aarch64", 4, False, 0xFFFF_FFFF_F000, 48, "PGD 39 PUD 30 PMD 21 PTE 12"),
    ("aarch64", 4, False, 0xF_FFFF_FFFF_F000, 52, "PGD 48 P4D 39 PUD 30 PMD 21 PTE 12"),
    ("aarch64", 16, False, 0xF_FFFF_C000, 36, "PGD 25 PTE 14"),
    ("aarch64", 16, False, 0x7FFF_FFFF_C000, 47, "PGD 36 PMD 25 PTE 14"),
    ("aarch64", 16, False, 0xFFFF_FFFF_C000, 48, "PGD 47 PUD 36 PMD 25 PTE 14"),
    ("aarch64", 64, False, 0x3FF_FFFF_0000, 42, "PGD 29 PTE 16"),
    ("aarch64", 64, False, 0xFFFF_FFFF_0000, 48, "PGD 42 PMD 29 PTE 16"),
    ("aarch64", 64, False, 0xF_FFFF_FFFF_0000, 52, "PGD 42 PMD 29 PTE 16"),
    ("x86_64", 4, None, 0x7FFF_FFFF_F000, 48, "PGD 39 PUD 30 PMD 21 PTE 12"),
    # A process cannot have what the processor has not.
    ("x86_64", 4, False, 0xFF_FFFF_FFFF_F000, 48, "PGD 39 PUD 30 PMD 21 PTE 12"),
]
PAGINGS = [paging(*case[:4]) for case in DOCUMENTED]


@pytest.mark.parametrize(("case", "found"), zip(DOCUMENTED, PAGINGS, strict=True))
def test_levels_are_those_that_the_kernel_documents(
    case: tuple[str, int, bool | None, int, int, str], found: Paging
) -> None:
    *_, va_bits, levels = case
    assert " ".join(f"{level.name} {level.shift}" for level in found.levels) == levels
    assert found.va_bits == va_bits
    assert found.page_bits + sum(level.bits for level in found.levels) == va_bits
    assert found.words.startswith("x86-64, " if case[0] == "x86_64" else "arm64, ")
    assert found.words.endswith(f", {len(found.levels)} levels, pages of {case[1]} KiB")


@pytest.mark.parametrize(
    ("machine", "page_kib", "highest", "why"),
    [
        ("i686", 4, 0xC000_0000, "PAE"),
        ("aarch64", 4, 0xFFFF_1000, "32-bit process"),
        ("aarch64", 8, 0xFFFF_FFFF_F000, "aarch64"),
        ("aarch64", 4, 1 << 60, "aarch64"),
        ("riscv64", 4, 0x3F_FFFF_F000, "riscv64"),
        ("", 4, 0x7FFF_FFFF_F000, "this machine"),
    ],
)
def test_what_cannot_be_told_is_a_gap_with_its_reason(
    machine: str, page_kib: int, highest: int, why: str
) -> None:
    found = paging_of(machine, page_kib * K, False, highest)
    assert isinstance(found, Gap) and found.reason == "unsupported"
    assert why in found.detail


def test_addresses_by_hand() -> None:
    four, five = PAGINGS[0], PAGINGS[1]
    stack = 0x7FFF_FFFF_EFFF
    assert [step.index for step in split(four, stack)] == [255, 511, 511, 510]
    assert [step.index for step in split(five, stack)] == [0, 255, 511, 511, 510]
    assert page_offset(four, stack) == 0xFFF
    program = 0x0040_1234
    assert [step.index for step in split(four, program)] == [0, 0, 2, 1]
    assert page_offset(four, program) == 0x234
    vsyscall = 0xFFFF_FFFF_FF60_0000
    assert [step.index for step in split(four, vsyscall)] == [511, 511, 507, 0]
    assert [step.index for step in split(five, vsyscall)] == [511, 511, 511, 507, 0]
    assert split(four, vsyscall)[0].end == TOP


def test_the_cpu_refuses_what_is_not_canonical() -> None:
    four, five, arm = PAGINGS[0], PAGINGS[1], PAGINGS[5]
    assert not split(four, 1 << 47) and not split(four, TOP - (1 << 47) - 1)
    assert split(four, TOP - (1 << 47))[0].index == 256
    assert split(five, 1 << 47) and not split(five, 1 << 56)
    assert split(arm, 1 << 47) and not split(arm, 1 << 48)
    for each in PAGINGS:
        assert not split(each, -1) and not split(each, TOP)


@given(st.sampled_from(PAGINGS), st.data())
def test_indices_and_offset_make_up_the_address_again(each: Paging, data: st.DataObject) -> None:
    low = data.draw(st.integers(0, each.user_end - 1))
    address = data.draw(st.sampled_from((low, low + each.kernel_start)))
    steps = split(each, address)
    rebuilt = sum(step.index << step.level.shift for step in steps) + page_offset(each, address)
    assert rebuilt == address % (1 << each.va_bits)
    outer_start, outer_end = 0, TOP
    for step in steps:
        assert 0 <= step.index < 1 << step.level.bits
        assert outer_start <= step.start <= address < step.end <= outer_end
        assert step.end - step.start == step.level.covers_bytes
        outer_start, outer_end = step.start, step.end
    assert outer_end - outer_start == 1 << each.page_bits


@given(st.sampled_from(PAGINGS), st.integers(0, TOP - 1))
def test_neighbours_in_a_page_take_the_same_walk(each: Paging, address: int) -> None:
    steps = split(each, address)
    assert bool(steps) == each.is_canonical(address)
    assert steps == split(each, address ^ 1)
    if steps and steps[-1].end < TOP:
        after = split(each, steps[-1].end)
        assert not after or after[-1].start == steps[-1].end
