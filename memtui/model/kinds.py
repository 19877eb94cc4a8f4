"""What each mapping is for: a closed set of kinds, told from permissions, names and neighbours."""

from __future__ import annotations

from typing import Final, NamedTuple

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
    Kind("relro", "R", "data made read-only after linking", "#7f8fbf"),
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

_VDSO_NAMES: Final = frozenset(
    ("[vdso]", "[vvar]", "[vvar_vclock]", "[vsyscall]", "[vectors]", "[sigpage]", "[uprobes]")
)
# A guard below a thread's stack is a page, four in a JVM; larger ones are reservations.
_GUARD_AT_MOST: Final = 1 << 20
_ARENA: Final = 64 << 20  # glibc's malloc arenas are aligned to their reservation's size


def classify(mappings: Mappings, threads: int = 1) -> bytearray:
    """The kind of every mapping, as indices into `KINDS`.

    From perms, names and neighbours alone, so that maps gives the same answer as smaps.
    """
    perms, paths = mappings.perms, mappings.paths
    starts, ends = mappings.starts, mappings.ends
    images = {
        (dev, inode)
        for dev, inode, perm, path in zip(mappings.devs, mappings.inodes, perms, paths, strict=True)
        if perm[2] == "x" and path.startswith("/") and not path.startswith("/dev/")
    }
    kinds = bytearray(len(mappings))
    memo: dict[tuple[str, str], str] = {}
    names: list[str] = []
    for row, pair in enumerate(zip(perms, paths, strict=True)):
        name = memo.get(pair)
        if name is None:
            name = memo[pair] = _kind_by_name(*pair)
        if name == "file" and (mappings.devs[row], mappings.inodes[row]) in images:
            name = _kind_in_image(mappings, row)
        elif name == "anon" and row and starts[row] == ends[row - 1]:
            if names[-1] == "data" and pair == ("rw-p", ""):
                name = "bss"
            elif threads > 1 and _is_thread_stack(mappings, row):
                name = "thread_stack"
        names.append(name)
        kinds[row] = INDEX[name]
    return kinds


def _kind_by_name(perm: str, path: str) -> str:
    """What permissions and name alone tell."""
    shared, execute = perm[3] == "s", perm[2] == "x"
    if path.startswith("["):
        if path in _VDSO_NAMES:
            return "vdso"
        if path == "[stack]":
            return "stack"
        if path.startswith("[stack:"):  # 3.4 to 4.4
            return "thread_stack"
        if path.startswith("[heap]"):
            return "heap"
        if path.startswith("[anon_shmem"):
            return "shm"
        # Names that C libraries give: glibc, and Android's bionic.
        if "stack" in path and ("pthread" in path or "stack_and_tls" in path):
            return "thread_stack"
        if path == "[anon:.bss]":
            return "bss"
    if path.startswith(("/anon_hugepage", "/dev/hugepages/", "/hugetlbfs/")):
        return "hugetlb"
    if perm.startswith("---"):
        return "guard"
    if path.startswith(("/SYSV", "/dev/shm/", "/dev/zero")):
        return "shm"
    if path.startswith("/memfd:"):
        return "file" if not shared else "jit" if execute else "shm"
    if path.startswith(("/dev/", "anon_inode:", "socket:")):
        return "device"
    if path.startswith("/"):
        return "file"
    if shared:
        return "shm"
    return "jit" if execute else "anon"


def _kind_in_image(mappings: Mappings, row: int) -> str:
    """Which part of an ELF file: one of whose mappings is executable."""
    perm = mappings.perms[row]
    if perm[2] == "x":
        return "text"
    if perm[1] == "w":
        return "data"
    # RELRO is the head of the writable segment, write-protected after linking: read-only, right
    # below data, and behind the read-only data that linkers set apart since 2018, or behind text
    # where the file's first mapping is its text.
    if _same_file(mappings, row, row + 1) and mappings.perms[row + 1][1] == "w":
        above = row - 1
        while _same_file(mappings, row, above) and mappings.perms[above].startswith("---"):
            above -= 1
        if _same_file(mappings, row, above):
            if mappings.perms[above] == "r--p":
                before = above - 1
                if _same_file(mappings, row, before) and mappings.perms[before][2] == "x":
                    return "relro"
            elif mappings.perms[above][2] == "x" and mappings.offsets[above] == 0:
                return "relro"
    return "rodata"


def _same_file(mappings: Mappings, row: int, other: int) -> bool:
    return (
        0 <= other < len(mappings)
        and mappings.inodes[row] == mappings.inodes[other]
        and mappings.devs[row] == mappings.devs[other]
        and mappings.paths[row] == mappings.paths[other]
    )


def _is_thread_stack(mappings: Mappings, row: int) -> bool:
    """Writable, nameless, right above a small guard: how pthread_create lays out a stack."""
    guard = row - 1
    return (
        mappings.perms[row] == "rw-p"
        and not mappings.paths[row]
        and mappings.perms[guard] == "---p"
        and not mappings.paths[guard]
        and mappings.ends[guard] - mappings.starts[guard] <= _GUARD_AT_MOST
        and mappings.starts[row] % _ARENA != 0
        and mappings.ends[row] - mappings.starts[row]
        > mappings.ends[guard] - mappings.starts[guard]
    )
