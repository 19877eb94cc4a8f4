"""What one mapping is, in words for people, and how sure that is.

Names in the words are other people's text, raw: whoever shows them makes them printable.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from memtui.kernel.threads import Thread
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.kinds import is_arena_reservation
from memtui.units import size

Sure = Literal["certain", "likely", "guess"]


class Label(NamedTuple):
    """Words, and where they come from.

    certain: the kernel says so, by name, type of file, flag or a thread's stack pointer.
    likely: told from the layout, by permissions and neighbours.
    guess: told from habits of programs, which others may have too.
    """

    words: str
    sure: Sure


_DELETED: Final = " (deleted)"
_ASHMEM: Final = "/dev/ashmem/"
# Files that never had a name anybody could open, or that are unlinked as a matter of course.
_ALWAYS_DELETED: Final = (
    "/memfd:",
    "/dev/shm/",
    "/dev/ashmem/",
    "/dev/zero",
    "/SYSV",
    "/anon_hugepage",
    "/secretmem",
    "/[aio]",
    "/dmabuf:",
    "/drm mm object",
    "/i915",
)
_KERNELS_CODE: Final = {
    "[vdso]": "the kernel's vdso: time without a system call",
    "[vvar]": "the kernel's data for the vdso: the clock",
    "[vvar_vclock]": "the hypervisor's clock pages for the vdso",
    "[vsyscall]": "vsyscall: the oldest fast system calls, kept for old programs",
    "[vectors]": "the processor's vectors, with the kernel's routines (arm)",
    "[sigpage]": "the kernel's code to return from signal handlers",
    "[uprobes]": "copies of instructions that the kernel traces (uprobes)",
}
_DEVICES: Final = (
    ("anon_inode:[io_uring]", "io_uring: queues shared with the kernel"),
    ("anon_inode:[perf_event]", "perf's event buffer, shared with the kernel"),
    ("anon_inode:kvm", "KVM: a virtual processor's state, shared with the kernel"),
    ("socket:", "a socket's packet buffer, shared with the kernel"),
    ("/[aio]", "asynchronous I/O: completions shared with the kernel"),
    ("/dmabuf:", "buffer shared between devices (dma-buf)"),
    ("/drm mm object", "graphics memory"),
    ("/i915", "graphics memory"),
)
_SYSV: Final = re.compile(r"/SYSV([0-9a-f]{8})(?: \(deleted\))?")
_TID: Final = re.compile(r":\s*(\d+)\]$|^\[stack:(\d+)\]$")
_SMALL_GUARD: Final = 1 << 20
_JAVA_HEAP_BELOW: Final = 1 << 35  # compressed pointers reach 32 GiB
_GO_HEAP: Final = range(0xC0 << 32, 0xC1 << 32)


class Habit(NamedTuple):
    """How an allocator lays out its memory: of which files it is known, and what its mappings are
    multiples of. Others may do so too: a guess.
    """

    files: re.Pattern[str]
    aligned_to: int
    multiple_of: int
    words: str
    fills: bool = False  # each of its pieces before it asks for the next


_KIB, _MIB = 1 << 10, 1 << 20
_HABITS: Final = (
    Habit(
        re.compile(r"node(js)?|libnode\.so.*|libv8.*\.so.*|chrom(e|ium)|electron"),
        256 * _KIB,
        4 * _KIB,
        "V8 heap: JavaScript's objects",
    ),
    Habit(re.compile(r"libjemalloc\.so.*"), 2 * _MIB, 2 * _MIB, "jemalloc's extents"),
    Habit(re.compile(r"libmimalloc.*\.so.*"), 4 * _MIB, 4 * _MIB, "mimalloc's segments"),
    # 3.10 and later; by mmap, so that it lies anywhere, and several in one mapping.
    Habit(re.compile(r"(lib)?python3\.\d\d.*"), 1, _MIB, "Python's arenas: small objects", True),
)
_GO: Final = "Go heap"
_JAVA: Final = "Java heap"
ALLOCATORS: Final = frozenset((*(habit.words for habit in _HABITS), _GO, _JAVA))


@lru_cache(maxsize=16)
def habits(programs: frozenset[str]) -> tuple[Habit, ...]:
    """Those of the allocators that a process has by the files it maps."""
    return tuple(
        habit for habit in _HABITS if any(habit.files.fullmatch(name) for name in programs)
    )


def has_allocator(map_: AddressMap) -> bool:
    """Whether an allocator is known whose mappings are told by their habits."""
    return bool(habits(map_.programs)) or map_.is_java or map_.row_at(_GO_HEAP.start) is not None


def label(map_: AddressMap, row: int) -> Label:
    """What a mapping is for."""
    return _LABELS[map_.kind(row).name](map_, row)


def flags(map_: AddressMap, row: int) -> tuple[str, ...]:
    """What deserves a warning about a mapping.

    A file that is really called "… (deleted)" looks like a deleted one in maps.
    """
    mappings = map_.mappings
    path = mappings.paths[row]
    found = []
    if mappings.perms[row][1:3] == "wx":
        found.append("writable and executable")
    if _is_deleted(path):
        is_code = map_.kind(row).name in _PARTS
        found.append(
            "deleted or replaced library: restart to use the new one" if is_code else "deleted file"
        )
    return tuple(found)


_PARTS: Final[dict[str, tuple[str, Sure]]] = {
    "text": ("program code", "certain"),
    "rodata": ("read-only data", "certain"),
    "relro": ("data made read-only after linking (RELRO)", "likely"),
    "data": ("initialised data", "certain"),
}


def _part(map_: AddressMap, row: int) -> Label:
    words, sure = _PARTS[map_.kind(row).name]
    return Label(f"{_file_name(map_.mappings.paths[row])}: {words}", sure)


def _bss(map_: AddressMap, row: int) -> Label:
    mappings = map_.mappings
    if mappings.paths[row]:
        return Label("zero-initialised data (bss)", "certain")
    words = f"{_file_name(mappings.paths[row - 1])}: zero-initialised data (bss)"
    end = map_.bss_ends.get(row)
    if end is None:
        return Label(words, "likely")
    rest = mappings.ends[row] - end
    return Label(f"{words}, and {size(rest)} behind it" if rest > 0 else words, "certain")


def _heap(map_: AddressMap, row: int) -> Label:
    path = map_.mappings.paths[row]
    if path.startswith("[heap]"):
        return Label("main heap, grown by brk", "certain")
    if path:
        return Label(f"malloc's memory, named {_given_name(path)}", "certain")
    return Label("glibc arena: malloc's heap for other threads", "likely")


def _stack(map_: AddressMap, row: int) -> Label:
    return Label("main stack", "certain")


def _thread_stack(map_: AddressMap, row: int) -> Label:
    threads = map_.threads_in(row)
    if threads:
        return Label(f"stack of {_who(threads)}", "certain")
    path = map_.mappings.paths[row]
    tid = _TID.search(path)
    if tid:
        wanted = int(tid[1] or tid[2])
        known = [thread for thread in map_.threads if thread.tid == wanted]
        return Label(f"stack of {_who(known) if known else f'thread {wanted}'}", "certain")
    return Label("stack of a thread", "certain" if path else "likely")


def _who(threads: list[Thread]) -> str:
    if len(threads) > 1:
        return f"{len(threads)} threads"
    return f"thread {threads[0].tid} {threads[0].name}"


def _anon(map_: AddressMap, row: int) -> Label:
    mappings = map_.mappings
    path, start = mappings.paths[row], mappings.starts[row]
    vm_flags = mappings.vm_flags(row) or ()
    threads = map_.threads_in(row)
    if "ss" in vm_flags:
        return Label("shadow stack: return addresses that the processor checks", "certain")
    if threads:
        return Label(f"anonymous memory with the stack of {_who(threads)}", "certain")
    if path == "/dev/zero":
        return Label("anonymous memory, mapped from /dev/zero", "certain")
    if path.startswith(_ASHMEM):
        return Label(f"anonymous memory named {_ashmem_name(path)} (ashmem)", "certain")
    if path:
        return Label(f"anonymous memory named {_given_name(path)} by its program", "certain")
    bss = map_.bss_ends.get(row, 0) - start
    if bss > 0:
        name = _file_name(mappings.paths[row - 1])
        return Label(f"anonymous memory, the first {size(bss)} of it the bss of {name}", "certain")
    if "gd" in vm_flags:
        return Label("anonymous memory that grows downwards, as a stack does", "certain")
    if _is_java_heap(map_, row):
        return Label(_JAVA, "guess")
    if start in _GO_HEAP:
        return Label(_GO, "guess")
    # With huge pages or without is what a program mapped for itself, and advised the kernel about.
    if mappings.perms[row] == "rw-p" and not {"nh", "hg"}.intersection(vm_flags):
        for habit in habits(map_.programs):
            if _has_habit(map_, row, habit):
                return Label(habit.words, "guess")
    if mappings.perms[row][1] == "w":
        return Label("anonymous memory", "certain")
    return Label("anonymous memory, read-only", "certain")


def _has_habit(map_: AddressMap, row: int, habit: Habit) -> bool:
    mappings = map_.mappings
    start, length = mappings.starts[row], mappings.ends[row] - mappings.starts[row]
    if start % habit.aligned_to or length % habit.multiple_of:
        return False
    used = mappings.get(row, "Rss")
    if not habit.fills or used is None:
        return True
    # Half, as what fills it need not touch every page.
    used += mappings.get(row, "Swap") or 0
    return used >= (length - habit.multiple_of) // 2


def _jit(map_: AddressMap, row: int) -> Label:
    path = map_.mappings.paths[row]
    words = "code generated at run time (JIT)"
    if path.startswith("/memfd:"):
        return Label(f"memfd {_memfd_name(path)}: {words}", "likely")
    if path.startswith(_ASHMEM):
        return Label(f"{words}, named {_ashmem_name(path)}", "likely")
    if path.startswith("["):
        return Label(f"{words}, named {_given_name(path)}", "likely")
    return Label(f"{_file_name(path)}: {words}" if path else words, "likely")


def _shm(map_: AddressMap, row: int) -> Label:
    path = map_.mappings.paths[row]
    if path.startswith("/memfd:"):
        return Label(f"memfd {_memfd_name(path)}: memory with a file descriptor", "certain")
    if path.startswith("/SYSV"):
        return Label(_sysv(map_, row), "certain")
    if path.startswith("/secretmem"):
        return Label("secret memory, closed even to the kernel (memfd_secret)", "certain")
    if path.startswith(_ASHMEM):
        return Label(f"shared memory named {_ashmem_name(path)} (ashmem)", "certain")
    if path.startswith("/dev/shm/"):
        name = path.removeprefix("/dev/shm").removesuffix(_DELETED)
        unlinked = ", unlinked" if path.endswith(_DELETED) else ""
        return Label(f"POSIX shared memory {name}{unlinked}", "certain")
    if path.startswith("[anon_shmem"):
        words = f"shared anonymous memory named {_given_name(path)} by its program"
        return Label(words, "certain")
    return Label("shared anonymous memory", "certain")


def _sysv(map_: AddressMap, row: int) -> str:
    """ipcs shows the same id and key; the kernel keeps the id in the inode's place."""
    match = _SYSV.fullmatch(map_.mappings.paths[row])
    key = f"0x{match[1]}" if match else "unknown"
    return f"System V shared memory, id {map_.mappings.inodes[row]}, key {key}"


def _hugetlb(map_: AddressMap, row: int) -> Label:
    path = map_.mappings.paths[row]
    words = "huge pages (hugetlb)"
    if path.startswith("/memfd:"):
        words += f": memfd {_memfd_name(path)}"
    elif path.startswith("/SYSV"):
        words += f": {_sysv(map_, row)}"
    elif path.startswith("/") and not path.startswith("/anon_hugepage"):
        words += f": file {path}"
    return Label(words, "certain")


def _device(map_: AddressMap, row: int) -> Label:
    path = map_.mappings.paths[row]
    for start, words in _DEVICES:
        if path.startswith(start):
            return Label(words, "certain")
    if not path:
        return Label("device memory", "certain")
    return Label(f"device memory: {path}", "certain")


def _vdso(map_: AddressMap, row: int) -> Label:
    return Label(_KERNELS_CODE[map_.mappings.paths[row]], "certain")


def _guard(map_: AddressMap, row: int) -> Label:
    mappings = map_.mappings
    path = mappings.paths[row]
    if path.startswith("["):
        return Label(f"no access, named {_given_name(path)}", "certain")
    if path.startswith("/memfd:"):
        return Label(f"memfd {_memfd_name(path)}: no access", "certain")
    if path:
        return Label(f"{_file_name(path)}: no access, a gap between its parts", "likely")
    if is_arena_reservation(mappings, map_.kinds, row):
        return Label("no access: reserved for a glibc arena", "likely")
    above = row + 1
    if (
        above < len(map_)
        and mappings.starts[above] == mappings.ends[row]
        and map_.kind(above).name == "thread_stack"
    ):
        return Label(f"guard below the {_thread_stack(map_, above).words}", "likely")
    if mappings.ends[row] - mappings.starts[row] <= _SMALL_GUARD:
        return Label("no access: a guard against overruns, or reserved", "guess")
    if _is_java_heap(map_, row):
        return Label("no access: reserved for the Java heap", "guess")
    if mappings.starts[row] in _GO_HEAP:
        return Label("no access: reserved for the Go heap", "guess")
    return Label("no access: address space reserved for later", "likely")


def _file(map_: AddressMap, row: int) -> Label:
    path, perms = map_.mappings.paths[row], map_.mappings.perms[row]
    if path.startswith("/memfd:"):
        return Label(f"memfd {_memfd_name(path)}: private copy", "certain")
    name = _file_name(path)
    if path.removesuffix(_DELETED).endswith(".jsa"):
        return Label(f"{name}: archive of Java classes (CDS)", "likely")
    if _is_deleted(path):
        words = "file, deleted while mapped: the process still uses the old one"
        return Label(f"{name}: {words}", "likely")
    if perms[1] != "w":
        return Label(f"{name}: file, read only", "certain")
    if perms[3] == "s":
        return Label(f"{name}: file, writes go to it", "certain")
    return Label(f"{name}: file, writes stay in this process", "certain")


def _is_java_heap(map_: AddressMap, row: int) -> bool:
    return map_.mappings.ends[row] <= _JAVA_HEAP_BELOW and map_.is_java


def _is_deleted(path: str) -> bool:
    return path.endswith(_DELETED) and not path.startswith(_ALWAYS_DELETED)


def _file_name(path: str) -> str:
    if path.startswith("/memfd:"):
        return f"memfd {_memfd_name(path)}"
    return path.removesuffix(_DELETED).rpartition("/")[2]


def _memfd_name(path: str) -> str:
    return path.removeprefix("/memfd:").removesuffix(_DELETED)


def _ashmem_name(path: str) -> str:
    return path.removeprefix(_ASHMEM).removesuffix(_DELETED)


def _given_name(path: str) -> str:
    """NAME of `[anon:NAME]` and `[anon_shmem:NAME]`."""
    return path.partition(":")[2].removesuffix("]").strip() or path


_LABELS: Final = {
    **dict.fromkeys(_PARTS, _part),
    "bss": _bss,
    "heap": _heap,
    "stack": _stack,
    "thread_stack": _thread_stack,
    "anon": _anon,
    "jit": _jit,
    "shm": _shm,
    "file": _file,
    "hugetlb": _hugetlb,
    "device": _device,
    "vdso": _vdso,
    "guard": _guard,
}
