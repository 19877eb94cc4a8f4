"""Swap: out when there is too little room, in again at the next touch, and thrashing."""

from __future__ import annotations

import mmap
import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from memtui.lab.experiment import Expected, Experiment, Facts, Prediction, Run, Stage, Step
from memtui.lab.pages import present_pages, swapped_pages
from memtui.lab.tools import MIB, address_of, anonymous

_LIMIT_BYTES: Final = 64 * MIB
_LITTLE_BYTES: Final = 24 * MIB
_MUCH_BYTES: Final = 96 * MIB
_SLACK_BYTES: Final = 4 * MIB  # the interpreter's own
_MADV_PAGEOUT: Final = 21  # since 5.4; the mmap module does not know it
_NOISE_BYTES: Final = 1 << 16


class _Area(NamedTuple):
    """The program's memory."""

    memory: mmap.mmap
    address: int
    page_bytes: int

    def fill(self, start: int, end: int) -> None:
        """With what cannot be told in fewer bytes."""
        noise = os.urandom(_NOISE_BYTES)
        for offset in range(start, end, _NOISE_BYTES):
            self.memory[offset : offset + _NOISE_BYTES] = noise

    def read(self, size_bytes: int) -> tuple[int, int]:
        """A byte of each page. Returns the faults that it took: minor and major ones."""
        before = resource.getrusage(resource.RUSAGE_SELF)
        sum(self.memory[: size_bytes : self.page_bytes])
        after = resource.getrusage(resource.RUSAGE_SELF)
        return after.ru_minflt - before.ru_minflt, after.ru_majflt - before.ru_majflt

    def pages(self, size_bytes: int) -> Facts:
        """Where they are."""
        asked = (os.getpid(), self.address, size_bytes // self.page_bytes, self.page_bytes)
        return {"pages in memory": present_pages(*asked), "pages in swap": swapped_pages(*asked)}


def _program(stage: Stage) -> Iterator[Facts]:
    memory = anonymous(_MUCH_BYTES)
    area = _Area(memory, address_of(memory), stage.page_bytes)
    area.read(0)
    area.fill(0, _LITTLE_BYTES)
    yield area.pages(_LITTLE_BYTES)
    if "cgroup v1" in stage.has:
        yield from _squeezed(area)
    taken = 0
    with suppress(OSError):
        memory.madvise(_MADV_PAGEOUT, 0, _LITTLE_BYTES)
        taken = 1
    yield {"is taken": taken, **area.pages(_LITTLE_BYTES)}
    minor, major = area.read(_LITTLE_BYTES)
    yield {"faults": minor + major, "major after advice": major, **area.pages(_LITTLE_BYTES)}


def _squeezed(area: _Area) -> Iterator[Facts]:
    """What needs a group with a limit."""
    area.fill(_LITTLE_BYTES, _MUCH_BYTES)
    cluster = int(Path("/proc/sys/vm/page-cluster").read_text())
    yield {"pages at once": 1 << cluster, **area.pages(_MUCH_BYTES)}
    out = area.pages(_LITTLE_BYTES)["pages in swap"]
    _, major = area.read(_LITTLE_BYTES)
    yield {"were in swap": out, "major on return": major, **area.pages(_LITTLE_BYTES)}
    passes = [area.read(_MUCH_BYTES)[1] for _ in range(2)]
    yield {"major in pass 1": passes[0], "major in pass 2": passes[1]}
    passes = [area.read(_LITTLE_BYTES)[1] for _ in range(2)]
    yield {"major at first": passes[0], "major then": passes[1]}


def _value(key: str, low: int, high: int, words: str) -> Expected:
    return Expected(key, low, high, "value", words)


def _in_pages(run: Run, size_bytes: int) -> int:
    return size_bytes // run.stage.page_bytes


def _expected_fitting(run: Run) -> tuple[Expected, ...]:
    little = _in_pages(run, _LITTLE_BYTES)
    return (
        _value("pages in memory", little, little, "there is room for all of them"),
        _value("pages in swap", 0, 0, "nothing had to leave"),
        Expected("rss", _LITTLE_BYTES, _LITTLE_BYTES + _SLACK_BYTES, words="a frame for each page"),
    )


def _expected_overflow(run: Run) -> tuple[Expected, ...]:
    much, limit = _in_pages(run, _MUCH_BYTES), _in_pages(run, _LIMIT_BYTES)
    return (
        _value("pages in memory", 0, limit, "no more than the group's limit"),
        _value("pages in swap", much - limit, much, "what is beyond the limit, at least"),
        Expected("swap", _MUCH_BYTES - _LIMIT_BYTES, 2 * _MUCH_BYTES, words="written out"),
        _value("group_usage", 0, _LIMIT_BYTES, "the limit holds"),
        Expected("group_failcnt", 1, 4 * much, words="at the limit somebody has to leave"),
    )


def _expected_return(run: Run) -> tuple[Expected, ...]:
    little, out = _in_pages(run, _LITTLE_BYTES), run.facts["were in swap"]
    at_least = out // run.facts["pages at once"] // 2
    return (
        _value("were in swap", little // 4, little, "the oldest left first"),
        _value("major on return", at_least, out, "one reads several pages, side by side in swap"),
        _value("pages in memory", little // 2, little, "touched last, so they are in"),
    )


def _expected_thrashing(run: Run) -> tuple[Expected, ...]:
    at_least = _in_pages(run, _MUCH_BYTES - _LIMIT_BYTES) // run.facts["pages at once"] // 2
    at_most = _in_pages(run, _MUCH_BYTES)
    return (
        _value("major in pass 1", at_least, at_most, "what does not fit must be read again"),
        _value("major in pass 2", at_least, at_most, "and again: the first pass was of no use"),
    )


def _expected_calm(run: Run) -> tuple[Expected, ...]:
    few = _in_pages(run, _LITTLE_BYTES) // 20  # others on the machine may press, too
    return (_value("major then", 0, few, "what fits, and is in use, stays"),)


def _expected_advice(run: Run) -> tuple[Expected, ...]:
    if not run.facts["is taken"]:
        return ()
    little = _in_pages(run, _LITTLE_BYTES)
    return (
        _value("pages in swap", little * 3 // 4, little, "all that can be written out at once"),
        Expected("rss", -_LITTLE_BYTES - _SLACK_BYTES, -_LITTLE_BYTES // 2, words="they left"),
    )


def _expected_touch(run: Run) -> tuple[Expected, ...]:
    little = _in_pages(run, _LITTLE_BYTES)
    least = little * 3 // 4 if run.facts["is taken"] else 0
    return (
        _value("faults", least, little + _in_pages(run, _SLACK_BYTES), "one for each page"),
        _value("pages in memory", little * 3 // 4, little, "they are back"),
    )


EXPERIMENT: Final = Experiment(
    name="swap",
    order=110,
    title="swap",
    summary="out when there is too little room, in at the next touch, and thrashing",
    program=_program,
    steps=(
        Step(
            "what fits",
            "The program fills 24 MiB with noise. Where there is a control group with a limit, "
            "it is in one of 64 MiB: watch that nothing is swapped.",
            ("rss", "swap", "minor_faults", "major_faults", "group_usage"),
            _expected_fitting,
            after="Room enough: swap is not touched.",
        ),
        Step(
            "more than fits",
            "Now it goes on until it has 96 MiB, in a group of 64 MiB. Watch RSS, and where the "
            "rest goes.",
            ("rss", "swap", "group_usage", "group_swap", "group_failcnt"),
            _expected_overflow,
            Prediction(
                "It has written 96 MiB. How much of that is in memory?",
                lambda run: ("all of it", "64 MiB at most", "24 MiB", "none"),
                1,
            ),
            after=(
                "For each new page an old one was written to swap: the page table has its place "
                "there instead."
            ),
            needs=frozenset({"cgroup v1"}),
        ),
        Step(
            "in again",
            "It reads the first 24 MiB, which it has not used for longest. Watch the major "
            "faults: each waits for the disk.",
            ("rss", "swap", "minor_faults", "major_faults"),
            _expected_return,
            Prediction(
                "How does a page come back from swap?",
                lambda run: (
                    "the kernel reads all back when there is room",
                    "at its next touch, by a fault",
                    "never: it is lost",
                ),
                1,
            ),
            after=(
                "Readahead brings neighbours along, so there are fewer major faults than pages; "
                "and others had to leave for them."
            ),
            needs=frozenset({"cgroup v1"}),
        ),
        Step(
            "thrashing",
            "It reads all of its 96 MiB from the first page to the last, twice. Watch the major "
            "faults of both passes.",
            ("rss", "swap", "major_faults", "group_failcnt"),
            _expected_thrashing,
            Prediction(
                "How many major faults has the second pass?",
                lambda run: ("none", "half of the first's", "about as many"),
                2,
            ),
            after=(
                "Each page leaves just before it is wanted again: the disk works, the program "
                "waits. This is thrashing."
            ),
            needs=frozenset({"cgroup v1"}),
        ),
        Step(
            "the same with what fits",
            "It reads 24 MiB only, twice. Watch the second pass.",
            ("rss", "swap", "major_faults"),
            _expected_calm,
            after=(
                "It is not swap that is slow, but a working set larger than the memory that it has."
            ),
            needs=frozenset({"cgroup v1"}),
        ),
        Step(
            "out by advice",
            "The program tells the kernel that it will not need these 24 MiB soon "
            "(MADV_PAGEOUT). Watch them leave, without anybody being short of memory.",
            ("rss", "swap", "swap_used"),
            _expected_advice,
            after="Swapped out is not lost, and not a sign of distress by itself.",
        ),
        Step(
            "and back",
            "It reads them once more. Watch whether its faults are major ones, which wait for "
            "the disk, or minor ones: what has left may still be in memory, in the swap cache.",
            ("rss", "swap", "minor_faults", "major_faults"),
            _expected_touch,
            after=(
                "vmstat's si and so, and memtui's Pressure view, show this for the whole machine."
            ),
        ),
    ),
    at_most_bytes=96 * MIB,
    at_most_s=60,
    needs=frozenset({"swap"}),
    likes=frozenset({"cgroup v1"}),
    group_limit_bytes=_LIMIT_BYTES,
    swap_bytes=256 * MIB,
    topics=("swap", "major faults", "thrashing", "swap cache"),
)
