"""What each mapping is for: a closed set of kinds, told from permissions, names and neighbours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from itertools import pairwise
from typing import Final, NamedTuple

from memtui.frozen import FrozenDict
from memtui.kernel.maps import Mappings


class Kind(NamedTuple):
    """What a mapping is for: the name that JSON and filters use, its letter, words and colour."""

    name: str
    letter: str
    words: str
    colour: str


KINDS: Final = (
    Kind("text", "t", "program code", "#5fafff"),
    Kind("rodata", "r", "read-only data", "#5f87af"),
    Kind("relro", "R", "read-only after linking (RELRO)", "#7f8fbf"),
    Kind("data", "d", "initialised data", "#d7af5f"),
    Kind("bss", "b", "zero-initialised data", "#b58a3c"),
    Kind("heap", "h", "heap", "#ff875f"),
    Kind("stack", "k", "main stack", "#ff5f87"),
    Kind("thread_stack", "K", "thread stacks", "#d75f9f"),
    Kind("anon", "a", "anonymous", "#87d75f"),
    Kind("jit", "j", "generated code", "#ffd75f"),
    Kind("shm", "S", "shared memory", "#af87ff"),
    Kind("file", "f", "mapped files", "#5fd7d7"),
    Kind("hugetlb", "H", "huge pages", "#d7ff87"),
    Kind("device", "D", "device memory", "#bcbcbc"),
    Kind("vdso", "v", "kernel's code for programs", "#8a8a8a"),
    Kind("guard", "g", "no access: guards, reserved", "#4e4e4e"),
)
KIND_BY_NAME: Final = {kind.name: kind for kind in KINDS}
INDEX: Final = {kind.name: index for index, kind in enumerate(KINDS)}

_TEXT, _RODATA, _RELRO, _DATA, _BSS, _HEAP, _STACK, _THREAD_STACK, _ANON, _JIT = range(10)
_FILE, _HUGETLB, _DEVICE, _VDSO, _GUARD = range(11, 16)

# A guard below a thread's stack is a page, four in a JVM; larger ones are reservations.
_GUARD_AT_MOST: Final = 1 << 20
_STACK_TO_GUARD: Final = 4  # a JVM's class space has pieces that are little larger than the gaps
_ALLOCATED: Final = 1 << 20  # allocators map multiples of it; a bss is one by chance
_ARENA: Final = 64 << 20  # what glibc's malloc reserves for an arena on 64 bits, aligned to that

_ANY, _SHARED, _NO_ACCESS = "....", "...s", "---."
# What permissions and name alone tell: the first pattern that they fit says the kind.
_BY_NAME: Final = (
    (_ANY, r"\[(?:vdso|vvar|vvar_vclock|vsyscall|vectors|sigpage|uprobes)\]\Z", "vdso"),
    (_ANY, r"\[stack\]\Z", "stack"),
    (_ANY, r"\[stack:", "thread_stack"),  # 3.4 to 4.4
    (_ANY, r"\[heap\]", "heap"),
    (_ANY, r"\[anon_shmem", "shm"),
    (_ANY, r"/anon_hugepage|/dev/hugepages/|/hugetlbfs/", "hugetlb"),
    (_NO_ACCESS, "", "guard"),
    # Android's ashmem is memory of no device: shared, or private and then as if it had no file.
    ("..xp", r"/dev/ashmem/", "jit"),
    ("...p", r"/dev/ashmem/", "anon"),
    # Names that C libraries give: bionic; glibc, for what malloc holds where
    # glibc.mem.decorate_maps is set.
    (_ANY, r"\[anon:(?=.*stack)(?=.*pthread|.*stack_and_tls)", "thread_stack"),
    (_ANY, r"\[anon:\.bss\]\Z", "bss"),
    (_ANY, r"\[anon: glibc: malloc|\[anon:libc_malloc|\[anon:scudo:", "heap"),
    (
        _SHARED,
        r"/dev/shm/|/dev/ashmem/|/dev/zero|/secretmem|/SYSV[0-9a-f]{8}(?: \(deleted\))?\Z",
        "shm",
    ),
    ("..xs", r"/memfd:", "jit"),
    (_SHARED, r"/memfd:", "shm"),
    # Memory that the kernel shares with a program, in files that nobody can open by name.
    (_ANY, r"/\[aio\]|/dmabuf:|/drm mm object|/i915|\[vfio", "device"),
    (_ANY, r"/dev/(?!(?:shm|ashmem|mqueue|__properties__)/|zero)|anon_inode:|socket:", "device"),
    # A JVM's archive of classes may be executable, and is no ELF file.
    (_ANY, r"/.*\.jsa(?: \(deleted\))?\Z", "file"),
    ("..[^x].", r"/(?!dev/zero\Z)", "file"),
    # libffi and LLVM write code to a file that they unlinked, and map it a second time.
    (_SHARED, r"/.* \(deleted\)\Z", "jit"),
    (_ANY, r"/(?!dev/zero\Z)", "text"),  # any private executable mapping of a file
    (_SHARED, "", "shm"),
    ("..x.", "", "jit"),
    (_ANY, "", "anon"),
)
_NAMED: Final = re.compile("|".join(f"({perms}(?:{path}))" for perms, path, _ in _BY_NAME), re.S)


def classify(
    mappings: Mappings, threads: int = 1, bss_ends: Mapping[int, int] = FrozenDict()
) -> bytearray:
    """The kind of every mapping, as indices into `KINDS`.

    From perms, names and neighbours, so that maps gives the same answer as smaps; what flags add
    where smaps has them is `with_flags`. `bss_ends`: by row, of those right behind a file's data,
    where its bss ends, as far as files could be read; any other is taken for bss, unless it is so many
    whole MiB: that is what an allocator mapped, right behind.
    """
    perms, paths = mappings.perms, mappings.paths
    kinds = bytearray(map(_Memo().__getitem__, zip(perms, paths, strict=True)))
    devs, inodes = mappings.devs, mappings.inodes
    # By path too: a core dump tells no inodes.
    images = {(devs[row], inodes[row], paths[row]) for row in _rows(kinds, _TEXT)}
    for row in _rows(kinds, _TEXT):
        # A program that asks for READ_IMPLIES_EXEC has executable data.
        if perms[row][1] == "w" and _same_file(mappings, row, row - 1):
            kinds[row] = _DATA
    for row in _rows(kinds, _FILE):
        if (devs[row], inodes[row], paths[row]) in images:
            kinds[row] = _kind_in_image(mappings, row)
    for row in _rows(kinds, _DATA):
        above = row + 1
        if _touches(mappings, row, above) and (perms[above], paths[above]) == (perms[row], ""):
            start, end = mappings.starts[above], mappings.ends[above]
            # One kind for all of it: what most of it is.
            likely_end = start if (end - start) % _ALLOCATED == 0 else end
            if 2 * (bss_ends.get(above, likely_end) - start) >= end - start:
                kinds[above] = _BSS
    stack_perms = next((perms[row] for row in _rows(kinds, _STACK)), "rw-p")
    for row in _rows(kinds, _GUARD):
        if mappings.ends[row] % _ARENA == 0:
            _mark_arena(mappings, kinds, row)
        if threads > 1 and _is_below_thread_stack(mappings, kinds, row, stack_perms):
            kinds[row + 1] = _THREAD_STACK
    return kinds


def rows_behind_data(mappings: Mappings) -> list[int]:
    """The rows of anonymous memory that a file's writable private mapping ends at: bss, or more."""
    starts, ends, perms = mappings.starts, mappings.ends, mappings.perms
    return [
        row
        for row, (below, own) in enumerate(pairwise(mappings.paths), 1)
        if below
        and not own
        and below[0] == "/"
        and ends[row - 1] == starts[row]
        and perms[row] == perms[row - 1]
        and perms[row][1] == "w"
        and perms[row][3] == "p"
    ]


def with_flags(mappings: Mappings, kinds: bytearray) -> bytearray:
    """`kinds`, or a copy with what only VmFlags tell.

    Huge pages in System V segments, memfds and hugetlbfs anywhere (ht); device memory (io, pf);
    glibc's arenas that are full (nr, and not ac): malloc alone reserves what it then opens.
    """
    column = mappings.texts.get("VmFlags")
    if column is None:
        return kinds
    telling = {}
    for text in set(column):  # some twenty in 60,000
        words = set((text or "").split())
        if "ht" in words:
            telling[text] = _HUGETLB
        elif words & {"io", "pf"}:
            telling[text] = _DEVICE
    reserved = {text for text in set(column) if _is_reserved(text)}
    if not telling and not reserved:
        return kinds
    found = bytearray(kinds)
    if telling:
        for row, text in enumerate(column):
            # [vvar] is PFNs too.
            if text in telling and kinds[row] != _VDSO:
                found[row] = telling[text]
    if reserved:
        for row, start in enumerate(mappings.starts):
            if start % _ARENA == 0 and found[row] == _ANON and column[row] in reserved:
                _mark_full_arenas(mappings, found, row, column, reserved)
    return kinds if found == kinds else found


def with_threads(
    mappings: Mappings, kinds: bytearray, stacks: Set[int], *, knows_all: bool
) -> bytearray:
    """`kinds`, or a copy without what only looks like a thread's stack, where every stack is known.

    `stacks`: the rows that hold a thread's stack pointer; `knows_all`: of every thread but the first.
    One that is on another stack just now, a signal's or a coroutine's, does not tell where its own is.
    """
    likely = {row for row in _rows(kinds, _THREAD_STACK) if not mappings.paths[row]}
    if not knows_all or not stacks <= likely:
        return kinds
    found = bytearray(kinds)
    for row in likely - stacks:
        found[row] = _JIT if mappings.perms[row][2] == "x" else _ANON
    return found


def _is_reserved(flags: str | None) -> bool:
    """Whether memory was mapped without a reservation and is not accounted for."""
    words = (flags or "").split()
    return "nr" in words and "ac" not in words


def _mark_full_arenas(
    mappings: Mappings,
    kinds: bytearray,
    row: int,
    flags: list[str | None],
    reserved: Set[str | None],
) -> None:
    """Marks whole arenas from an aligned start on: writable all over, perhaps in several pieces."""
    first = row
    if not _may_hold_arenas(mappings.starts[row]):
        return
    while kinds[row] in (_ANON, _HEAP) and flags[row] in reserved and mappings.perms[row] == "rw-p":
        if mappings.ends[row] % _ARENA == 0:
            kinds[first : row + 1] = bytes([_HEAP]) * (row + 1 - first)
            first = row + 1
        if not _touches(mappings, row, row + 1) or mappings.paths[row + 1]:
            return
        row += 1


def is_arena_reservation(mappings: Mappings, kinds: bytearray, row: int) -> bool:
    """Whether a guard is what a glibc arena may still grow into, or has given back."""
    while row and kinds[row] == _GUARD and _touches(mappings, row - 1, row):
        row -= 1
        if kinds[row] == _HEAP:
            return not mappings.paths[row]
    return False


class _Memo(dict[tuple[str, str], int]):
    """What permissions and name alone tell, worked out once for each pair of them."""

    def __missing__(self, pair: tuple[str, str]) -> int:
        match = _NAMED.match("".join(pair))
        assert match is not None  # the last fits all
        assert match.lastindex is not None
        kind = self[pair] = INDEX[_BY_NAME[match.lastindex - 1][2]]
        return kind


def _rows(kinds: bytearray, kind: int) -> Iterator[int]:
    """The rows of one kind, those included that become it meanwhile, further up."""
    row = kinds.find(kind)
    while row >= 0:
        yield row
        row = kinds.find(kind, row + 1)


def _kind_in_image(mappings: Mappings, row: int) -> int:
    """Which part of an ELF file that is not executable; another mapping of the file is."""
    perms = mappings.perms
    # Debuggers, and what prints backtraces, map the file once more to read it.
    if not (_same_file(mappings, row, row + 1) or _same_file(mappings, row, row - 1)):
        return _FILE
    if perms[row][1] == "w":
        return _DATA if perms[row][3] == "p" else _FILE
    # RELRO is the head of the writable data, write-protected after linking: right below the data.
    if not _same_file(mappings, row, row + 1) or perms[row + 1][1] != "w":
        return _RODATA
    above = row - 1
    while _same_file(mappings, row, above) and perms[above].startswith("---"):
        above -= 1
    if not _same_file(mappings, row, above):
        return _RODATA
    if perms[above] == "r--p":
        # GNU ld since 2018: headers, text, read-only data, RELRO, data.
        before = above - 1
        return _RELRO if _same_file(mappings, row, before) and perms[before][2] == "x" else _RODATA
    # Right above the text: RELRO of lld, mold, gold and the older GNU ld, which move on by a page
    # and so map the file's page at the seam twice; else the read-only data of Go, or without RELRO.
    if perms[above][2] == "x" and _bias(mappings, row) != _bias(mappings, above):
        return _RELRO
    return _RODATA


def _bias(mappings: Mappings, row: int) -> int:
    return mappings.starts[row] - mappings.offsets[row]


def _same_file(mappings: Mappings, row: int, other: int) -> bool:
    paths = mappings.paths
    return (
        0 <= other < len(paths)
        and paths[row] == paths[other]  # mostly one string, or unequal at a glance
        and mappings.inodes[row] == mappings.inodes[other]
        and mappings.devs[row] == mappings.devs[other]
    )


def _touches(mappings: Mappings, row: int, above: int) -> bool:
    return above < len(mappings) and mappings.ends[row] == mappings.starts[above]


def _mark_arena(mappings: Mappings, kinds: bytearray, last: int) -> None:
    """Marks the arena that ends in this guard: writable from its aligned start, closed to its end.

    An arena that is full has merged with the next one; of one that shrank there are several pieces.
    """
    end = mappings.ends[last]
    if mappings.paths[last] or not _may_hold_arenas(end - _ARENA):
        return
    first = last
    while mappings.starts[first] > end - _ARENA:
        first -= 1
        if (
            first < 0
            or not _touches(mappings, first, first + 1)
            or mappings.paths[first]
            or kinds[first] not in (_ANON, _GUARD)
        ):
            return
    if mappings.starts[first] % _ARENA or mappings.perms[first] != "rw-p":
        return
    for row in range(first, last):
        if mappings.perms[row] == "rw-p":
            kinds[row] = _HEAP
    _mark_neighbour(mappings, kinds, last + 1)


def _mark_neighbour(mappings: Mappings, kinds: bytearray, row: int) -> None:
    """Right above an arena, whole ones that are full: aligned at both ends, and nameless."""
    if (
        _touches(mappings, row - 1, row)
        and kinds[row] == _ANON
        and mappings.perms[row] == "rw-p"
        and mappings.ends[row] % _ARENA == 0
    ):
        kinds[row] = _HEAP


def _may_hold_arenas(address: int) -> bool:
    """Whether malloc's arenas come to lie there: others' heaps look alike, at other places.

    A JVM's lies below 32 GiB; Go's begins at 0xc000000000, on arm64 at 0x4000000000.
    """
    return address >= 1 << 35 and not (
        0x40 <= address >> 32 < 0x60 or 0xC0 <= address >> 32 < 0x100
    )


def _is_below_thread_stack(
    mappings: Mappings, kinds: bytearray, guard: int, stack_perms: str
) -> bool:
    """Whether right above a small guard lies a large nameless stack, as pthread_create lays it."""
    row = guard + 1
    if not _touches(mappings, guard, row) or kinds[row] not in (_ANON, _JIT):
        return False
    guard_size = mappings.ends[guard] - mappings.starts[guard]
    return (
        mappings.perms[row] == stack_perms
        and mappings.perms[guard] == "---p"
        and not mappings.paths[row]
        and not mappings.paths[guard]
        and guard_size <= _GUARD_AT_MOST
        and mappings.starts[row] % _ARENA != 0
        and mappings.ends[row] - mappings.starts[row] >= _STACK_TO_GUARD * guard_size
    )
