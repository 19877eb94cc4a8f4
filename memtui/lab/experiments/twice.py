"""The same program twice: what the file says, where it lies in two processes, and what they share."""

from __future__ import annotations

import ctypes
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from memtui.lab.experiment import Expected, Experiment, Facts, Prediction, Run, Stage, Step, exactly
from memtui.lab.pages import entries, frame
from memtui.lab.tools import MIB, libc

_PT_LOAD, _EXECUTE = 1, 1
_ET_DYN: Final = 3
_HEADER: Final = struct.Struct("<16sHHIQQQIHHH")  # Elf64_Ehdr as far as the number of segments
_SEGMENT: Final = struct.Struct("<IIQQQQQQ")  # Elf64_Phdr
_ADDR_NO_RANDOMIZE: Final = 0x40000
_SHARES: Final = (
    ("resident", ("Rss",)),
    ("shared", ("Shared_Clean", "Shared_Dirty")),
    ("proportional", ("Pss",)),
)
_ASK: Final = 0xFFFFFFFF

_personality: Final = libc.personality
_personality.argtypes = (ctypes.c_ulong,)


class _File(NamedTuple):
    """What an ELF file says of the addresses its program would have: in whole pages, but the entry."""

    is_position_independent: bool
    lowest: int
    text: int
    entry: int


class _Mapping(NamedTuple):
    start: int
    end: int
    is_text: bool
    name: str
    sizes: dict[str, int]  # bytes, by smaps' names


def _program(stage: Stage) -> Iterator[Facts]:
    path = Path(shutil.which("cat") or "/bin/cat").resolve()
    file = _read_file(path, stage.page_bytes)
    yield {
        "file text address": file.text,
        "file_offset_bytes": file.text - file.lowest,
        "is position independent": int(file.is_position_independent),
    }
    with ExitStack() as stack:
        first, second = (stack.enter_context(_started(path)) for _ in range(2))
        yield {
            "pid first": first,
            "pid second": second,
            **_places(path, first=first, second=second),
            "is randomized": int(file.is_position_independent and _randomizes()),
        }
        yield _sharing(first)
        if "pagemap" in stage.has:
            yield _frames(path, file, first, second, stage.page_bytes)
        was = _personality(_ASK)
        is_refused = _personality(was | _ADDR_NO_RANDOMIZE) == -1  # by a container's filter
        third, fourth = (stack.enter_context(_started(path)) for _ in range(2))
        _personality(was)
        yield {
            "pid third": third,
            "pid fourth": fourth,
            **_places(path, third=third, fourth=fourth),
            "is refused": int(is_refused),
        }


def _read_file(path: Path, page_bytes: int) -> _File:
    """The ELF header, and the segments that are loaded; 64-bit little-endian."""
    with path.open("rb") as source:
        header = _HEADER.unpack(source.read(_HEADER.size))
        source.seek(header[5])
        segments = [_SEGMENT.unpack(source.read(_SEGMENT.size)) for _ in range(header[10])]
    loaded = [(address, flags) for kind, flags, _, address, *_ in segments if kind == _PT_LOAD]
    lowest = min(address for address, _ in loaded)
    text = min(address for address, flags in loaded if flags & _EXECUTE)
    return _File(
        header[1] == _ET_DYN,
        lowest - lowest % page_bytes,
        text - text % page_bytes,
        header[4],
    )


@contextmanager
def _started(path: Path) -> Iterator[int]:
    """A process of it that waits for input, until the block ends."""
    pipe = subprocess.PIPE
    with subprocess.Popen(["cat"], executable=path, stdin=pipe, stdout=pipe, bufsize=0) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b".")
        process.stdout.read(1)  # it has come back: the program is up, and waits for more
        yield process.pid
        process.kill()


def _mappings(pid: int) -> list[_Mapping]:
    """Source: /proc/PID/smaps."""
    found: list[_Mapping] = []
    for line in Path(f"/proc/{pid}/smaps").read_text(errors="replace").splitlines():
        key, *words = line.split(maxsplit=5)
        if key.endswith(":"):
            found[-1].sizes[key[:-1]] = int(words[0]) * 1024 if words[0].isdecimal() else 0
        else:
            start, end = (int(part, 16) for part in key.split("-"))
            name = words[4] if len(words) > 4 else ""
            found.append(_Mapping(start, end, "x" in words[0], name, {}))
    return found


def _own(path: Path, pid: int) -> tuple[int, _Mapping]:
    """Where the program's file begins in the process, and its text there."""
    own = [mapping for mapping in _mappings(pid) if mapping.name == str(path)]
    return own[0].start, next(mapping for mapping in own if mapping.is_text)


def _places(path: Path, **pids: int) -> Facts:
    """Where two processes have their text, how far from the file's start, and from each other."""
    facts: dict[str, int] = {}
    for name, pid in pids.items():
        start, text = _own(path, pid)
        facts |= {f"{name} text address": text.start, f"{name}_offset_bytes": text.start - start}
    one, other = (facts[f"{name} text address"] for name in pids)
    return {**facts, "apart_bytes": abs(one - other)}


def _randomizes() -> bool:
    """Whether the kernel gives the program's children addresses by chance."""
    wanted = Path("/proc/sys/kernel/randomize_va_space").read_text().strip() != "0"
    return wanted and not _personality(_ASK) & _ADDR_NO_RANDOMIZE


def _sharing(pid: int) -> Facts:
    """How much of all text of files, and of the stack, is in memory, and in another process's too."""
    mappings = _mappings(pid)
    texts = [each.sizes for each in mappings if each.is_text and each.name.startswith("/")]
    stacks = [each.sizes for each in mappings if each.name == "[stack]"]
    return {
        f"{what}_{word}_bytes": sum(each[key] for each in sizes for key in keys)
        for what, sizes in (("text", texts), ("stack", stacks))
        for word, keys in _SHARES
    }


def _frames(path: Path, file: _File, first: int, second: int, page_bytes: int) -> Facts:
    """The frame of the page that each began to run in; and how many of their stacks are the same."""
    facts: dict[str, int] = {}
    stacks = []
    for name, pid in (("first", first), ("second", second)):
        start, _ = _own(path, pid)
        facts[f"text frame of {name}"] = frame(
            entries(pid, start + file.entry - file.lowest, 1, page_bytes)[0]
        )
        stack = next(mapping for mapping in _mappings(pid) if mapping.name == "[stack]")
        pages = entries(pid, stack.start, (stack.end - stack.start) // page_bytes, page_bytes)
        stacks.append({frame(entry) for entry in pages} - {0})
    return {
        **facts,
        "stack frames": len(stacks[0] | stacks[1]),
        "stack frames in common": len(stacks[0] & stacks[1]),
    }


def _expected_places(run: Run, *names: str, is_apart: bool | None) -> tuple[Expected, ...]:
    offset = run.facts["file_offset_bytes"]
    offsets = tuple(
        exactly(f"{name}_offset_bytes", offset, "as far from the file's start as the file says")
        for name in names
    )
    if is_apart is None:
        return offsets
    if is_apart:
        by_chance = "the kernel chose each by chance, in whole pages"
        return (
            *offsets,
            Expected("apart_bytes", run.stage.page_bytes, 1 << 47, "value", by_chance),
        )
    return *offsets, exactly("apart_bytes", 0, "the same start each time")


EXPERIMENT: Final = Experiment(
    name="twice",
    order=80,
    title="the same program twice",
    summary="what readelf shows, where it lies in two processes, what they share and what not",
    program=_program,
    steps=(
        Step(
            "what the file says",
            "The program to be started is cat. Before that, the lab reads in its file what "
            "readelf -l shows: at which address its text, the machine code, would like to be.",
            ("file text address", "file_offset_bytes"),
            lambda run: (
                Expected(
                    "file text address",
                    0,
                    run.stage.page_bytes << 20 if run.facts["is position independent"] else 1 << 47,
                    "value",
                    "counted from 0, where the file may lie anywhere (ET_DYN)",
                ),
            ),
            after="These are distances from wherever the file will be put, not yet places.",
        ),
        Step(
            "two processes of it",
            "Now cat is started twice, and both wait for input. Watch at which address each has "
            "its text.",
            ("first text address", "second text address", "first.rss", "second.rss"),
            lambda run: _expected_places(
                run, "first", "second", is_apart=bool(run.facts["is randomized"])
            ),
            Prediction(
                "Will both have their text at the same address?",
                lambda run: (
                    "yes: it is the same file",
                    "no: each has it elsewhere" if run.facts["is position independent"] else "no",
                ),
                1,
            ),
            after=(
                "Address space layout randomization (ASLR): who attacks one cannot know the "
                "other's addresses."
            ),
        ),
        Step(
            "what is in memory once",
            "Look at the same two processes page by page: the text comes from a file, the stack "
            "does not. Watch PSS: a page that two have counts half in each.",
            ("first.rss", "first.pss", "first.shared", "first.private_dirty"),
            lambda run: (
                Expected(
                    "text_shared_bytes",
                    run.stage.page_bytes,
                    run.facts["text_resident_bytes"],
                    "value",
                    "the page cache has each page of a file once, for all",
                ),
                Expected(
                    "text_proportional_bytes",
                    0,
                    run.facts["text_resident_bytes"] - run.facts["text_shared_bytes"] // 2,
                    "value",
                    "what is shared counts half, or less",
                ),
                exactly("stack_shared_bytes", 0, "what a process writes is its own"),
                Expected(
                    "stack_resident_bytes",
                    run.stage.page_bytes,
                    1 << 30,
                    "value",
                    "its arguments and environment, at least",
                ),
            ),
            Prediction(
                "Of which do the two have the same page frames?",
                lambda run: ("the text", "the stack", "both", "neither"),
                0,
            ),
            after="A second process of a program costs little more than what it writes.",
        ),
        Step(
            "the frames",
            "Root may see the numbers of the page frames. Compare those of the page in which "
            "both began to run, and those of their stacks.",
            ("text frame of first", "text frame of second"),
            lambda run: (
                Expected(
                    "text frame of second",
                    max(1, run.facts["text frame of first"]),
                    run.facts["text frame of first"],
                    "value",
                    "the first one's, at another address",
                ),
                exactly("stack frames in common", 0, "each has its own"),
                Expected("stack frames", 2, 1 << 16, "value", "at least one each"),
            ),
            after="Two addresses, one frame: the text. Two stacks, no frame in common.",
            needs=frozenset({"pagemap"}),
        ),
        Step(
            "without chance",
            "Two more are started with ADDR_NO_RANDOMIZE set, as setarch -R and gdb do it. Watch "
            "their addresses.",
            ("third text address", "fourth text address", "third.rss", "fourth.rss"),
            lambda run: _expected_places(
                run, "third", "fourth", is_apart=None if run.facts["is refused"] else False
            ),
            Prediction(
                "Will these two have their text at the same address?",
                lambda run: ("yes", "no"),
                0,
            ),
            after=(
                "The same numbers again and again: that is why a debugger's addresses hold until "
                "the next run."
            ),
        ),
    ),
    at_most_bytes=48 * MIB,
    at_most_s=20,
    likes=frozenset({"pagemap"}),
    topics=("ASLR", "PSS", "RSS", "page cache"),
)
