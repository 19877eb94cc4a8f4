"""The words for mappings: names that no program here makes, and libraries replaced underneath."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.maps import parse_maps, read_mappings
from memtui.kernel.threads import Thread
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.labels import Label, flags, label
from tests.conftest import HOSTS, may_read, open_host
from tests.programs import look

CAPTURED = [
    (host, pid)
    for host in HOSTS
    for pid in sorted(open_host(host).pids())
    if may_read(open_host(host), f"proc/{pid}/maps")
]


def map_of(text: str, threads: int = 1, thread_list: tuple[Thread, ...] = ()) -> AddressMap:
    """maps lines written as `start-end perms name`, in hex pages."""
    lines = []
    for line in text.strip().splitlines():
        range_, perms, *name = line.split(None, 2)
        start, end = (int(part, 16) << 12 for part in range_.split("-"))
        lines.append(f"{start:08x}-{end:08x} {perms} 00000000 00:01 {7 if name else 0} ")
        lines[-1] += "".join(name) + "\n"
    mappings = parse_maps("".join(lines).encode())
    return AddressMap(ProcessKey(1, 1), mappings, threads, thread_list=thread_list)


@pytest.mark.parametrize(
    ("perms", "name", "words", "sure"),
    [
        ("rw-p", "[heap]", "main heap, grown by brk", "certain"),
        ("rw-p", "[stack]", "main stack", "certain"),
        ("rw-p", "[stack:42]", "stack of thread 42", "certain"),
        ("rw-p", "[anon:stack_and_tls:42]", "stack of thread 42", "certain"),
        ("rw-p", "[anon: glibc: pthread stack: 42]", "stack of thread 42", "certain"),
        ("rw-p", "[anon: glibc: pthread user stack]", "stack of a thread", "certain"),
        (
            "rw-p",
            "[anon: glibc: malloc arena]",
            "malloc's memory, named glibc: malloc arena",
            "certain",
        ),
        ("rw-p", "[anon:scudo:primary]", "malloc's memory, named scudo:primary", "certain"),
        ("rw-p", "[anon:.bss]", "zero-initialised data (bss)", "certain"),
        ("---p", "[anon:scudo:reserve]", "no access, named scudo:reserve", "certain"),
        (
            "rw-p",
            "[anon: Go: heap]",
            "anonymous memory named Go: heap by its program",
            "certain",
        ),
        (
            "rw-s",
            "[anon_shmem:dalvik-data]",
            "shared anonymous memory named dalvik-data by its program",
            "certain",
        ),
        (
            "r-xp",
            "[anon:dalvik-jit-code-cache]",
            "code generated at run time (JIT), named dalvik-jit-code-cache",
            "likely",
        ),
        ("r-xp", "[vdso]", "the kernel's vdso: time without a system call", "certain"),
        ("rw-s", "/dev/dri/renderD128", "device memory: /dev/dri/renderD128", "certain"),
        (
            "rw-s",
            "anon_inode:kvm-vcpu:0",
            "KVM: a virtual processor's state, shared with the kernel",
            "certain",
        ),
        (
            "rw-s",
            "anon_inode:[userfaultfd]",
            "device memory: anon_inode:[userfaultfd]",
            "certain",
        ),
        ("rw-s", "socket:[123]", "a socket's packet buffer, shared with the kernel", "certain"),
        (
            "rw-s",
            "/dev/hugepages/vm0",
            "huge pages (hugetlb): file /dev/hugepages/vm0",
            "certain",
        ),
        ("rw-p", "/anon_hugepage (deleted)", "huge pages (hugetlb)", "certain"),
        (
            "rw-s",
            "/secretmem (deleted)",
            "secret memory, closed even to the kernel (memfd_secret)",
            "certain",
        ),
        (
            "rw-s",
            "/dev/shm/a/b (deleted)",
            "POSIX shared memory /a/b, unlinked",
            "certain",
        ),
        ("r-xp", "/memfd:x (deleted)", "memfd x: program code", "certain"),
        (
            "rw-p",
            "/usr/lib/jvm/lib/server/classes.jsa",
            "classes.jsa: archive of Java classes (CDS)",
            "likely",
        ),
    ],
)
def test_words_of_a_name(perms: str, name: str, words: str, sure: str) -> None:
    assert label(map_of(f"100-900 {perms} {name}"), 0) == Label(words, sure)  # type: ignore[arg-type]


STACK = "7f000-7f001 ---p\n7f001-7f801 rw-p\n"


def test_a_stack_is_certain_where_a_stack_pointer_is_in_it() -> None:
    known = map_of(STACK, 2, (Thread(42, "GC Thread#0", 0x7F800 << 12),))
    assert label(known, 1) == Label("stack of thread 42 GC Thread#0", "certain")
    assert label(known, 0) == Label("guard below the stack of thread 42 GC Thread#0", "likely")
    unknown = map_of(STACK, 2, (Thread(42, "GC Thread#0", None),))
    assert label(unknown, 1) == Label("stack of a thread", "likely")
    assert label(unknown, 0) == Label("guard below the stack of a thread", "likely")


def test_a_stack_without_a_guard_is_told_by_its_thread() -> None:
    one = (Thread(42, "w", 0x7F100 << 12),)
    without_guard = "7f001-7f801 rw-p"
    assert label(map_of(without_guard, 2, one), 0) == Label(
        "anonymous memory with the stack of thread 42 w", "certain"
    )
    two = (*one, Thread(43, "w", 0x7F200 << 12))
    assert label(map_of(without_guard, 2, two), 0).words == (
        "anonymous memory with the stack of 2 threads"
    )


def test_heaps_of_go_and_java_are_guesses() -> None:
    assert label(map_of("c000000-c000400 rw-p"), 0) == Label("Go heap", "guess")
    java = "70000-74000 rw-p\n74000-80000 ---p\n"
    libjvm = "7f000000-7f000001 r-xp /usr/lib/jvm/lib/server/libjvm.so"
    assert label(map_of(java + libjvm), 0) == Label("Java heap", "guess")
    assert label(map_of(java + libjvm), 1) == Label(
        "no access: reserved for the Java heap", "guess"
    )
    assert label(map_of(java), 0) == Label("anonymous memory", "certain")


def test_shadow_stacks_are_told_by_their_flag() -> None:
    smaps = b"7f000000-7f001000 rw-p 00000000 00:00 0 \nRss: 0 kB\nVmFlags: rd wr mr ac ss\n"
    map_ = AddressMap(ProcessKey(1, 1), parse_maps(smaps))
    assert label(map_, 0).words.startswith("shadow stack")


@pytest.mark.parametrize(
    ("resident_kb", "swapped_kb", "advised", "words"),
    [
        (3500, 0, "", "Python's arenas"),
        (1000, 1000, "", "Python's arenas"),
        (1000, 0, "", "anonymous memory"),  # the first arena is full before the second is mapped
        (3500, 0, " nh", "anonymous memory"),
        (4096, 0, " hg", "anonymous memory"),
    ],
)
def test_memory_that_is_used_as_no_allocator_uses_it_is_no_allocators(
    resident_kb: int, swapped_kb: int, advised: str, words: str
) -> None:
    code = "400000-401000 r-xp 0 08:01 9 /usr/bin/python3.11\nRss: 0 kB\nSwap: 0 kB\nVmFlags: rd ex mr\n"
    data = (
        f"7f000000-7f400000 rw-p 0 00:00 0\nRss: {resident_kb} kB\nSwap: {swapped_kb} kB\n"
        f"VmFlags: rd wr mr{advised}\n"
    )
    map_ = AddressMap(ProcessKey(1, 1), parse_maps((code + data).encode()))
    assert label(map_, 1).words.startswith(words)


@pytest.mark.parametrize(("host", "pid"), CAPTURED)
def test_every_mapping_of_every_captured_process_has_words(host: str, pid: int) -> None:
    files = open_host(host)
    mappings = read_mappings(files, pid, "maps")
    assert not isinstance(mappings, Gap)
    map_ = AddressMap(ProcessKey(pid, 1), mappings, 8)
    for row in range(len(map_)):
        words, sure = label(map_, row)
        assert words
        assert sure in ("certain", "likely", "guess")
        # A nameless mapping is never given a file's name, but for what belongs to the one below.
        if not mappings.paths[row] and map_.kind(row).name != "bss":
            assert not re.search(r"\.so\b", words)


def test_what_deserves_a_warning() -> None:
    warned = map_of(
        """
        100-101 rwxp
        102-103 r-xp /bin/new
        104-105 r--p /var/db (deleted)
        106-107 rw-s /memfd:x (deleted)
        108-109 rw-s /dev/shm/x (deleted)
        10a-10b rw-s /SYSV00000000 (deleted)
        10c-10d rw-s /dev/zero (deleted)
        """
    )
    assert [flags(warned, row) for row in range(len(warned))] == [
        ("writable and executable",),
        (),
        ("deleted file",),
        (),
        (),
        (),
        (),
    ]


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_a_library_that_was_replaced_says_restart(tmp_path: Path) -> None:
    library = tmp_path / "libold.so"
    source = "int big[5000] = {1}; int zero[50000]; int f(void) { return big[1] + zero[1]; }"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library],
        input=source,
        text=True,
        check=True,
    )
    load = "import ctypes, sys; ctypes.CDLL(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", load, library], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        child.stdout.readline()
        fresh = look(child.pid)
        assert not any(flags(fresh, row) for row in range(len(fresh)))
        library.unlink()
        map_ = look(child.pid, last=fresh)
        child.kill()
    warned = {label(map_, row).words for row in range(len(map_)) if flags(map_, row)}
    assert warned >= {"libold.so: program code", "libold.so: initialised data"}
    assert {text for row in range(len(map_)) for text in flags(map_, row)} == {
        "deleted or replaced library: restart to use the new one"
    }
    words = {label(map_, row).words for row in range(len(map_))}
    assert "libold.so: zero-initialised data (bss)" in words
