"""Allocating is promising: what mmap gives, what the first touch takes, and a promise refused."""

from __future__ import annotations

import errno
import mmap
import resource
from collections.abc import Iterator
from pathlib import Path

from memtui.lab.experiment import Expected, Experiment, Facts, Prediction, Run, Stage, Step
from memtui.lab.tools import MIB, anonymous, touch

_PROMISED = 1 << 30
_FEW = 1_000  # pages
_MANY = 64 * MIB
_NOISE = 2 * MIB  # of the interpreter's own, in bytes
_ALWAYS, _NEVER = 1, 2  # of vm.overcommit_memory
_OF_MODE = (
    "mode 0 refuses what could never be",
    "mode 1 promises anything",
    "mode 2 keeps to CommitLimit",
)
_MAP_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)  # Python has it since 3.13
_FAULTS = 100  # of the interpreter's own
_OTHERS = 512 * MIB  # what others on the machine may promise themselves, or give back, meanwhile


def _program(stage: Stage) -> Iterator[Facts]:
    page = stage.page_bytes
    touch(anonymous(16 * page), 0, 16, page)  # once unmeasured, for what Python itself needs for it
    return _steps(page)


def _steps(page: int) -> Iterator[Facts]:
    promised = anonymous(_PROMISED)
    yield {"promised": _PROMISED}
    touch(promised, 0, _FEW, page)
    yield {}
    touch(promised, _FEW, _MANY // page - _FEW, page)
    yield {}
    promised.madvise(mmap.MADV_DONTNEED)
    yield {}
    yield {"refused": _refused()}
    yield _too_much()
    promised.close()
    yield {}


def _refused() -> int:
    """The error of an allocation beyond what this process may have."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2 * _PROMISED, limits[1]))
    try:
        return _error_of_mmap(2 * _PROMISED, 0)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _too_much() -> Facts:
    """What comes of asking for more than all memory and swap: 0, or the error."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    sizes = {key: int(rest.split()[0]) for key, _, rest in (line.partition(":") for line in lines)}
    size_bytes = (sizes["MemTotal"] + sizes["SwapTotal"]) * 1024 + _PROMISED
    return {
        "overcommit_memory": int(Path("/proc/sys/vm/overcommit_memory").read_text()),
        "is_limited": int(resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY),
        "with_reserve": _error_of_mmap(size_bytes, 0),
        "without_reserve": _error_of_mmap(size_bytes, _MAP_NORESERVE),
    }


def _error_of_mmap(size_bytes: int, more_flags: int) -> int:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | more_flags
    try:
        mmap.mmap(-1, size_bytes, flags=flags).close()
    except OSError as error:
        return error.errno or 0
    return 0


def _pages(run: Run, pages: int) -> int:
    return pages * run.stage.page_bytes


def _promise(run: Run) -> tuple[Expected, ...]:
    return (
        Expected(
            "virtual", _PROMISED, _PROMISED + _NOISE, words="all of it is a range of addresses"
        ),
        Expected("rss", 0, _NOISE, words="none of it is memory yet"),
        Expected("minor_faults", 0, _FAULTS, words="nothing was touched"),
        Expected(
            "committed",
            _PROMISED - _OTHERS,
            _PROMISED + _OTHERS,
            words="the kernel counts it as promised, and others come and go meanwhile",
        ),
    )


def _touched(run: Run, pages: int, why: str) -> tuple[Expected, ...]:
    # A table of page table entries maps as many pages as entries of 8 bytes fit into a page.
    tables = _pages(run, pages // (run.stage.page_bytes // 8))
    return (
        Expected("virtual", 0, _NOISE, words="the range was there before"),
        Expected("rss", _pages(run, pages), _pages(run, pages) + _NOISE, words=why),
        Expected("minor_faults", pages, pages + _FAULTS, words="one fault a page"),
        Expected(
            "page_tables", tables, tables + _pages(run, 8), words="one table for 512 pages of 4 KiB"
        ),
    )


def _overcommitted(run: Run) -> tuple[Expected, ...]:
    mode = run.facts["overcommit_memory"]
    is_refused = errno.ENOMEM if mode != _ALWAYS or run.facts["is_limited"] else 0
    is_refused_all_the_same = errno.ENOMEM if mode == _NEVER or run.facts["is_limited"] else 0
    return (
        _is("with_reserve", is_refused, _OF_MODE[mode]),
        _is(
            "without_reserve", is_refused_all_the_same, "MAP_NORESERVE: not counted, but in mode 2"
        ),
        Expected("virtual", 0, _NOISE, words="what was mapped was unmapped at once"),
    )


def _is(key: str, value: int, words: str) -> Expected:
    return Expected(key, value, value, "value", words)


def _many(run: Run) -> int:
    return _MANY // run.stage.page_bytes - _FEW


EXPERIMENT = Experiment(
    name="promise",
    title="allocating is promising",
    summary=(
        "mmap gives addresses, the first touch gives memory; and what a refused promise looks like"
    ),
    program=_program,
    order=20,
    steps=(
        Step(
            "mmap of 1 GiB",
            "The program asks the kernel for 1 GiB with mmap, and touches none of it. Watch VIRT "
            "and "
            "Committed_AS, which count promises, and RSS, which counts memory.",
            ("virtual", "rss", "minor_faults", "page_tables", "committed"),
            _promise,
            Prediction(
                "How much will RSS grow?",
                lambda _: ("hardly at all", "4 MiB", "512 MiB", "1 GiB"),
                0,
            ),
            "A malloc of that size does the same. Committed_AS counts it, as the kernel may have "
            "to keep "
            "its word.",
        ),
        Step(
            "one byte into each of 1,000 pages",
            "Now it writes one byte into each of the first 1,000 pages. Watch the minor faults: "
            "at the "
            "first touch of a page there is no entry for it, and the kernel's handler finds a "
            "frame.",
            ("virtual", "rss", "minor_faults", "page_tables", "machine_anon"),
            lambda run: _touched(run, _FEW, "a whole frame for each byte"),
            Prediction(
                "1,000 bytes are written. How much will RSS grow?",
                lambda run: (
                    "0",
                    "1,000 bytes",
                    f"1,000 × {run.stage.page_bytes:,} bytes",
                    "1 GiB",
                ),
                2,
            ),
            "Memory is handed out by the page, and at the first touch.",
        ),
        Step(
            "the rest of the first 64 MiB",
            "It goes on until 64 MiB have been touched, and leaves the rest of the promise "
            "alone. Watch "
            "the page tables grow too: they are the price of a map.",
            ("virtual", "rss", "minor_faults", "page_tables", "machine_anon"),
            lambda run: _touched(run, _many(run), "a frame for each page"),
            None,
            "What a process costs is what it has touched, not what it has asked for.",
        ),
        Step(
            "the memory is given back, the promise stays",
            "madvise(MADV_DONTNEED) tells the kernel that the contents are of no use any more. "
            "Watch RSS "
            "fall, and VIRT stand still.",
            ("virtual", "rss", "minor_faults", "page_tables", "committed"),
            lambda run: (
                Expected("virtual", 0, _NOISE, words="the range is still its own"),
                Expected("rss", -_MANY - _NOISE, -_MANY + _NOISE, words="every frame went back"),
            ),
            Prediction(
                "What will VIRT do?", lambda _: ("fall by 64 MiB", "stay", "fall by 1 GiB"), 1
            ),
            "The next touch would be a minor fault again, and find zeros.",
        ),
        Step(
            "a promise that is refused",
            "The program sets itself a limit of addresses, RLIMIT_AS, of 2 GiB and asks for 2 "
            "GiB more. "
            "Watch what comes of it: an error at once, and nothing happens to anybody.",
            ("virtual", "rss", "refused"),
            lambda _: (
                Expected(
                    "refused", errno.ENOMEM, errno.ENOMEM, "value", "ENOMEM: malloc gives NULL"
                ),
                Expected("virtual", 0, _NOISE, words="nothing was mapped"),
            ),
            Prediction(
                "What happens to the program?",
                lambda _: ("it is killed", "mmap fails with ENOMEM", "it waits for memory"),
                1,
            ),
            "The kernel has promised nothing that it cannot keep, and the program can go on.",
        ),
        Step(
            "more than there is",
            "It asks for more than all memory and swap of the machine, once as usual and once with "
            "MAP_NORESERVE. Watch which is refused: that depends on vm.overcommit_memory.",
            ("overcommit_memory", "with_reserve", "without_reserve", "commit_limit", "committed"),
            _overcommitted,
            None,
            "Short of that the kernel promises more than it has. When too many ask it to keep its word at "
            "once, the OOM killer pays.",
        ),
        Step(
            "munmap",
            "The whole range is unmapped. Watch the promise go back.",
            ("virtual", "rss", "page_tables", "committed"),
            lambda _: (
                Expected(
                    "virtual",
                    -_PROMISED - _NOISE,
                    -_PROMISED + _NOISE,
                    words="the addresses are free",
                ),
                Expected(
                    "committed",
                    -_PROMISED - _OTHERS,
                    -_PROMISED + _OTHERS,
                    words="the promise is taken back",
                ),
            ),
        ),
    ),
    at_most_bytes=80 * MIB,
    at_most_s=60,
    topics=("virtual memory", "overcommit", "minor faults", "RSS", "page table", "commit"),
)
