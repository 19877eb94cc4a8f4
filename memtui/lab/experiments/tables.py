"""Page tables: the walk to a page before and after its first touch, their price, and huge pages."""

from __future__ import annotations

import mmap
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from memtui.lab.experiment import Expected, Experiment, Facts, Prediction, Run, Stage, Step, exactly
from memtui.lab.pages import entries, frame, is_present
from memtui.lab.tools import MIB, address_of, anonymous

_LEVELS: Final = ("PTE", "PMD", "PUD", "PGD")  # from the page upwards
_ADDRESS_BITS: Final = 48
_ENTRY_BYTES: Final = 8
_AREA_BYTES: Final = 256 * MIB
_SLACK_TABLES: Final = 8  # of upper levels, and of what the interpreter maps meanwhile
_SLACK_PAGES: Final = 64  # the interpreter writes, too
_HUGE_AREA_BYTES: Final = 32 * MIB
_PMD_SIZE: Final = Path("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size")
_PLENTY: Final = 64


def _program(stage: Stage) -> Iterator[Facts]:
    page_bytes = stage.page_bytes
    per_table, tables = _per_table(page_bytes), _tables(page_bytes)
    _faults(anonymous(page_bytes), range(1), page_bytes)  # a rehearsal
    area = anonymous((tables + 2) * per_table * page_bytes)
    address = _round_up(address_of(area), per_table * page_bytes)
    first = (address - address_of(area)) // page_bytes

    yield {"address": address, **_walk(address, page_bytes), **_entry(address, page_bytes)}
    touch, beside = range(first, first + 1), range(first + 1, first + 1 + tables)
    apart = range(first + per_table, first + (tables + 1) * per_table, per_table)
    yield {"first fault": _faults(area, touch, page_bytes), **_entry(address, page_bytes)}
    yield {"faults beside": _faults(area, beside, page_bytes)}
    yield {"faults apart": _faults(area, apart, page_bytes)}
    if "huge pages" in stage.has:
        yield from _huge(page_bytes)


def _huge(page_bytes: int) -> Iterator[Facts]:
    size_bytes = int(_PMD_SIZE.read_text())
    count = _HUGE_AREA_BYTES // size_bytes
    area = mmap.mmap(-1, (count + 1) * size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.madvise(mmap.MADV_HUGEPAGE)
    first = (_round_up(address_of(area), size_bytes) - address_of(area)) // page_bytes
    per_huge = size_bytes // page_bytes
    pages = range(first, first + count * per_huge, per_huge)
    whole = _whole_blocks(per_huge.bit_length() - 1)
    yield {
        "huge page": size_bytes,
        "huge pages touched": count,
        "free blocks of that size": whole,
        "huge faults": _faults(area, pages, page_bytes),
    }
    rest = range(first, first + count * per_huge)
    yield {"faults of the rest": _faults(area, rest, page_bytes)}


def _per_table(page_bytes: int) -> int:
    """Entries of a table, which is a page."""
    return page_bytes // _ENTRY_BYTES


def _tables(page_bytes: int) -> int:
    """How many tables are to be needed: 128 where a page is 4 KiB."""
    return max(2, _AREA_BYTES // (_per_table(page_bytes) * page_bytes))


def _round_up(value: int, to: int) -> int:
    return -(-value // to) * to


def _walk(address: int, page_bytes: int) -> Facts:
    """Which entry of the table of each level leads to the page."""
    facts, shift = {}, page_bytes.bit_length() - 1
    bits = _per_table(page_bytes).bit_length() - 1
    for level in _LEVELS:
        if shift < _ADDRESS_BITS:
            facts[f"index in the {level}"] = address >> shift & (1 << bits) - 1
        shift += bits
    return facts


def _entry(address: int, page_bytes: int) -> Facts:
    """What the last table has for the page."""
    entry = entries(os.getpid(), address, 1, page_bytes)[0]
    shown = {"frame": frame(entry)} if frame(entry) else {}
    return {"is present": int(is_present(entry)), **shown}


def _faults(memory: mmap.mmap, pages: range, page_bytes: int) -> int:
    """The minor faults that it takes to write a byte to each of these pages, and nothing else."""
    where = slice(*(page * page_bytes for page in (pages.start, pages.stop, pages.step)))
    data = b"\1" * len(pages)
    before = resource.getrusage(resource.RUSAGE_SELF)
    memory[where] = data
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before.ru_minflt


def _whole_blocks(order: int) -> int:
    """Free blocks of 2^order pages, outside of the zone that is kept for old devices."""
    lines = Path("/proc/buddyinfo").read_text().splitlines()
    counts = [line.split()[4:] for line in lines if line.split()[3] != "DMA"]
    return sum(
        int(number) << larger for each in counts for larger, number in enumerate(each[order:])
    )


def _pages(run: Run, key: str, pages: int, words: str, slack: int = 0) -> Expected:
    size_bytes = pages * run.stage.page_bytes
    return Expected(key, size_bytes, size_bytes + slack * run.stage.page_bytes, words=words)


def _expected_promise(run: Run) -> tuple[Expected, ...]:
    last = _per_table(run.stage.page_bytes) - 1
    indices = (
        Expected(
            key, 0, last, "value", "9 bits of the address" if last == 511 else "a table is a page"
        )
        for key in run.facts
        if key.startswith("index in")
    )
    return (*indices, exactly("is present", 0, "mapped, but nobody has touched it"))


def _expected_touch(run: Run) -> tuple[Expected, ...]:
    return (
        exactly("is present", 1, "the fault's handler has entered a frame"),
        exactly("first fault", 1, "the walk led nowhere, once"),
    )


def _expected_huge(run: Run) -> tuple[Expected, ...]:
    count, size_bytes = run.facts["huge pages touched"], run.facts["huge page"]
    is_plenty = run.facts["free blocks of that size"] >= _PLENTY
    return (
        Expected(
            "anon_huge",
            size_bytes if is_plenty else 0,
            count * size_bytes,
            words="whole blocks are free"
            if is_plenty
            else "there are few free blocks of that size",
        ),
        exactly("huge faults", count, "one for each byte that was written, however large the page"),
    )


def _expected_rest(run: Run) -> tuple[Expected, ...]:
    area_bytes = run.facts["huge pages touched"] * run.facts["huge page"]
    small = (area_bytes - run.after.get("anon_huge", 0)) // run.stage.page_bytes
    return (
        Expected(
            "faults of the rest", 0, small, "value", "what is in a huge page is there already"
        ),
    )


def _expected_beside(run: Run) -> tuple[Expected, ...]:
    tables = _tables(run.stage.page_bytes)
    return (
        exactly("faults beside", tables, "one for each page"),
        _pages(run, "private_dirty", tables, "a frame for each page", _SLACK_PAGES),
        _pages(run, "page_tables", 0, "entries of the table that is there already", _SLACK_TABLES),
    )


def _expected_apart(run: Run) -> tuple[Expected, ...]:
    tables = _tables(run.stage.page_bytes)
    return (
        exactly("faults apart", tables, "one for each page"),
        _pages(run, "private_dirty", tables, "a frame for each page", _SLACK_PAGES),
        _pages(run, "page_tables", tables, "a table for each page, of a page", _SLACK_TABLES),
    )


def _in_words(run: Run, pages: int) -> str:
    return f"{pages * run.stage.page_bytes // 1024:,} KiB"


EXPERIMENT: Final = Experiment(
    name="tables",
    order=90,
    title="page tables",
    summary="a page's walk before and after its first touch, what tables cost, and huge pages",
    program=_program,
    steps=(
        Step(
            "a promise, and the way to it",
            "The program maps memory and touches none of it. An address is a row of indices, one "
            "for the table of each level: watch where they lead.",
            ("virtual", "rss", "page_tables", "address"),
            _expected_promise,
            after="The kernel has noted a mapping; the processor's tables know nothing of it yet.",
        ),
        Step(
            "the first touch",
            "Now it writes one byte to the first page. The processor walks the tables, finds no "
            "entry, and calls the kernel: watch the entry.",
            ("rss", "page_tables", "minor_faults", "frame"),
            _expected_touch,
            Prediction(
                "How many page faults does that take?",
                lambda run: ("none", "1", "1 for each level"),
                1,
            ),
            after=(
                "One fault: the handler made the tables that were missing, took a frame, and "
                "entered it."
            ),
        ),
        Step(
            "side by side",
            "It writes to the pages that follow, one byte each. All of them have their entries "
            "in the same table: watch what the tables cost now.",
            ("private_dirty", "page_tables", "minor_faults"),
            _expected_beside,
            after="A table is a page of entries: neighbours share it.",
        ),
        Step(
            "far apart",
            "It writes to as many pages again, but each so far from the next that it has a table "
            "to itself. Watch what the tables cost.",
            ("private_dirty", "page_tables", "minor_faults"),
            _expected_apart,
            Prediction(
                "How much will the page tables grow?",
                lambda run: (
                    "not at all",
                    f"{_in_words(run, 1)}: one table",
                    f"{_in_words(run, _tables(run.stage.page_bytes))}: as much as the data",
                ),
                2,
            ),
            after=(
                "A byte here and there costs two pages each: one for the data, one for the table."
            ),
        ),
        Step(
            "huge pages",
            "Elsewhere the program asks for huge pages (MADV_HUGEPAGE), and writes one byte to "
            "each. One entry of the PMD leads to a whole block then, with no table below it.",
            ("rss", "anon_huge", "page_tables", "minor_faults"),
            _expected_huge,
            Prediction(
                "How much does RSS grow for each byte written?",
                lambda run: ("1 byte", _in_words(run, 1), "a huge page"),
                2,
            ),
            after=(
                "One fault cleared and entered a whole block, where one was free. The tables "
                "that grew are kept in reserve, should a huge page have to be split."
            ),
            needs=frozenset({"huge pages"}),
        ),
        Step(
            "the rest of them",
            "Now it writes to every small page within the huge ones. Watch how many faults that "
            "takes.",
            ("rss", "anon_huge", "minor_faults"),
            _expected_rest,
            Prediction("How many page faults?", lambda run: ("none", "1 each"), 0),
            after=(
                "Fewer faults and a shorter walk, for memory that may never be used: that is the "
                "trade."
            ),
            needs=frozenset({"huge pages"}),
        ),
    ),
    at_most_bytes=64 * MIB,
    at_most_s=20,
    likes=frozenset({"pagemap", "huge pages"}),
    topics=("page table", "minor faults", "huge pages", "virtual memory"),
)
