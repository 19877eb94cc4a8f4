"""What each mapping is for: hand-made maps, captured hosts, and an ELF file asked of readelf."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from itertools import pairwise

import pytest

from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import Mappings, parse_maps, read_mappings
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.kinds import KINDS, classify
from tests.conftest import HOSTS, may_read, open_host

KIND_NAMES = [kind.name for kind in KINDS]
DOCUMENTED = (
    "text rodata relro data bss heap stack thread_stack anon jit shm file hugetlb device vdso guard"
)
CAPTURED = [
    (host, pid)
    for host in HOSTS
    for pid in sorted(open_host(host).pids())
    if may_read(open_host(host), f"proc/{pid}/maps")
]
WITH_SMAPS = [
    (host, pid) for host, pid in CAPTURED if may_read(open_host(host), f"proc/{pid}/smaps")
]


def kinds(text: str, threads: int = 1) -> list[str]:
    """The kinds of maps lines written as `start-end perms offset inode name`, in hex pages."""
    lines = []
    for line in text.strip().splitlines():
        range_, perms, offset, inode, *name = line.split(None, 4)
        start, end = (int(part, 16) << 12 for part in range_.split("-"))
        place = f"{int(offset, 16) << 12:08x} 08:01 {inode}"
        lines.append(f"{start:08x}-{end:08x} {perms} {place} {''.join(name)}\n")
    mappings = parse_maps("".join(lines).encode())
    return [KIND_NAMES[index] for index in classify(mappings, threads)]


def mappings_of(files: Files, pid: int, source: str) -> Mappings:
    mappings = read_mappings(files, pid, source)
    assert not isinstance(mappings, Gap), mappings
    return mappings


def test_kinds_are_those_that_programs_rely_on_and_their_letters_differ() -> None:
    assert DOCUMENTED.split() == KIND_NAMES
    assert len({kind.letter for kind in KINDS}) == len(KINDS)
    assert all(len(kind.letter) == 1 and kind.words for kind in KINDS)


def test_an_elf_file_whose_first_segment_is_its_text() -> None:
    with_relro = """
        400-4b0 r-xp 0   9 /bin/old
        6af-6b0 r--p af  9 /bin/old
        6b0-6b4 rw-p b0  9 /bin/old
        6b4-6c0 rw-p 0   0
    """
    assert kinds(with_relro) == ["text", "relro", "data", "bss"]
    without = """
        400-4b0 r-xp 0   9 /bin/old
        6b0-6b4 rw-p b0  9 /bin/old
        6b4-6c0 rw-p 0   0
    """
    assert kinds(without) == ["text", "data", "bss"]


def test_a_library_with_a_gap_of_no_access_between_its_segments() -> None:
    library = """
        7f000-7f100 r-xp 0   7 /lib/libold.so
        7f100-7f300 ---p 100 7 /lib/libold.so
        7f300-7f304 r--p 100 7 /lib/libold.so
        7f304-7f306 rw-p 104 7 /lib/libold.so
    """
    assert kinds(library) == ["text", "guard", "relro", "data"]


def test_an_elf_file_with_its_code_apart() -> None:
    with_relro = """
        555-556 r--p 0 9 /bin/new
        556-560 r-xp 1 9 /bin/new
        560-563 r--p b 9 /bin/new
        563-564 r--p d 9 /bin/new
        564-565 rw-p e 9 /bin/new
        565-570 rw-p 0 0
    """
    assert kinds(with_relro) == ["rodata", "text", "rodata", "relro", "data", "bss"]
    without = """
        555-556 r--p 0 9 /bin/new
        556-560 r-xp 1 9 /bin/new
        560-563 r--p b 9 /bin/new
        563-564 rw-p e 9 /bin/new
    """
    assert kinds(without) == ["rodata", "text", "rodata", "data"]


def test_two_files_that_touch_are_told_apart() -> None:
    touching = """
        100-101 r-xp 0 5 /lib/a.so
        101-102 r--p 0 6 /lib/b.so
        102-103 r-xp 1 6 /lib/b.so
        103-104 rw-p 2 6 /lib/b.so
    """
    assert kinds(touching) == ["text", "rodata", "text", "data"]


def test_bss_is_what_touches_data_and_nothing_else() -> None:
    image = "400-401 r-xp 0 9 /bin/a\n401-402 rw-p 1 9 /bin/a\n"
    assert kinds(image + "402-410 rw-p 0 0")[2] == "bss"
    assert kinds(image + "403-410 rw-p 0 0")[2] == "anon"
    assert kinds(image + "402-410 rw-s 0 0")[2] == "shm"
    assert kinds(image + "402-410 r--p 0 0")[2] == "anon"
    file = "400-401 r--p 0 9 /var/db\n401-402 rw-p 1 9 /var/db\n402-410 rw-p 0 0"
    assert kinds(file) == ["file", "file", "anon"]


@pytest.mark.parametrize(
    ("perms", "name", "kind"),
    [
        ("rw-p", "[heap]", "heap"),
        ("rwxp", "[heap]", "heap"),
        ("rw-p", "[stack]", "stack"),
        ("rw-p", "[stack:1234]", "thread_stack"),
        ("r-xp", "[vdso]", "vdso"),
        ("r--p", "[vvar]", "vdso"),
        ("r--p", "[vvar_vclock]", "vdso"),
        ("--xp", "[vsyscall]", "vdso"),
        ("r-xp", "[vectors]", "vdso"),
        ("r-xp", "[sigpage]", "vdso"),
        ("--xp", "[uprobes]", "vdso"),
        ("rw-p", "", "anon"),
        ("r--p", "", "anon"),
        ("rw-p", "[anon:scudo:primary]", "heap"),
        ("rw-p", "[anon: glibc: malloc arena]", "heap"),
        ("rw-p", "[anon: glibc: pthread stack: 42]", "thread_stack"),
        ("rw-p", "[anon: Go: heap]", "anon"),
        ("---p", "[anon:scudo:reserve]", "guard"),
        ("r-xp", "[anon:dalvik-jit-code-cache]", "jit"),
        ("rw-s", "[anon_shmem:dalvik-data]", "shm"),
        ("---p", "", "guard"),
        ("---s", "", "guard"),
        ("rwxp", "", "jit"),
        ("r-xp", "", "jit"),
        ("rw-s", "", "shm"),
        ("rw-s", "/SYSV00000000 (deleted)", "shm"),
        ("rw-s", "/dev/zero (deleted)", "shm"),
        ("rw-s", "/dev/shm/PostgreSQL.42", "shm"),
        ("rw-p", "/dev/shm/PostgreSQL.42", "file"),
        ("rw-p", "/dev/zero", "anon"),
        ("rw-s", "/SYSVINIT", "file"),
        ("rw-s", "/secretmem (deleted)", "shm"),
        ("rw-s", "/memfd:wayland (deleted)", "shm"),
        ("r--s", "/memfd:seal (deleted)", "shm"),
        ("r-xs", "/memfd:doublemapper (deleted)", "jit"),
        ("rw-p", "/memfd:private (deleted)", "file"),
        ("r-xp", "/memfd:program (deleted)", "text"),
        ("rw-s", "/anon_hugepage (deleted)", "hugetlb"),
        ("rw-p", "/anon_hugepage (deleted)", "hugetlb"),
        ("rw-s", "/dev/hugepages/qemu", "hugetlb"),
        ("rw-s", "/dev/dri/renderD128", "device"),
        ("rw-s", "anon_inode:[perf_event]", "device"),
        ("rw-s", "socket:[1234]", "device"),
        ("rw-s", "/[aio] (deleted)", "device"),
        ("r--p", "/usr/lib/locale/C.utf8/LC_CTYPE", "file"),
        ("r--s", "/var/lib/app/file (deleted)", "file"),
        ("rw-s", "/var/lib/db", "file"),
        ("r-xp", "/usr/bin/cat", "text"),
        ("r-xp", "/dev/shm/cat", "text"),
        ("r-xs", "/tmp/ffiaBcDeF (deleted)", "jit"),
        ("rwxp", "/usr/lib/jvm/classes.jsa", "file"),
    ],
)
def test_what_permissions_and_name_tell(perms: str, name: str, kind: str) -> None:
    assert kinds(f"100-200 {perms} 0 {len(name)} {name}") == [kind]


STACKS = """
    7f000-7f001 ---p 0 0
    7f001-7f801 rw-p 0 0
    7f801-7f802 ---p 0 0
    7f802-80002 rw-p 0 0
"""


def test_stacks_of_threads_lie_above_their_guards() -> None:
    assert kinds(STACKS, threads=3) == ["guard", "thread_stack"] * 2
    assert kinds(STACKS, threads=1) == ["guard", "anon"] * 2
    # A JVM keeps pages of its own closed at the end of each stack.
    assert kinds("7f000-7f005 ---p 0 0\n7f005-7f101 rw-p 0 0", 2) == ["guard", "thread_stack"]


def test_arenas_are_heaps_and_no_stacks() -> None:
    """glibc's malloc: 64 MiB reserved, aligned to that, writable at first and closed behind."""
    arenas = """
        7f2004000-7f2004021 rw-p 0 0
        7f2004021-7f2008000 ---p 0 0
        7f2008000-7f200bff0 rw-p 0 0
        7f200bff0-7f200c000 ---p 0 0
        7f200c000-7f200c080 rw-p 0 0
        7f200c080-7f2010000 ---p 0 0
    """
    assert kinds(arenas, threads=9) == ["heap", "guard"] * 3


def test_reservations_are_no_guards_of_stacks() -> None:
    """A JVM's heap: committed pieces in gigabytes that it may not touch yet."""
    heap = """
        70000-74000 rw-p 0 0
        74000-80000 ---p 0 0
        80000-80280 rw-p 0 0
        80280-c0000 ---p 0 0
        c0001-c0271 rwxp 0 0
        c0271-cf000 ---p 0 0
    """
    assert kinds(heap, threads=40) == ["anon", "guard", "anon", "guard", "jit", "guard"]


@pytest.mark.parametrize(("host", "pid"), WITH_SMAPS)
def test_maps_and_smaps_tell_the_same_kinds(host: str, pid: int) -> None:
    files = open_host(host)
    maps, smaps = (mappings_of(files, pid, source) for source in ("maps", "smaps"))
    assert maps.starts == smaps.starts
    assert classify(maps, 4) == classify(smaps, 4)


@pytest.mark.parametrize(("host", "pid"), CAPTURED)
def test_kinds_sum_to_the_mappings(host: str, pid: int) -> None:
    files = open_host(host)
    source = "smaps" if (host, pid) in WITH_SMAPS else "maps"
    mappings = mappings_of(files, pid, source)
    map_ = AddressMap(ProcessKey(pid, 1), mappings, 4)
    totals = map_.totals
    assert totals.mappings == len(mappings) == len(map_)
    assert totals.size == sum(mappings.ends) - sum(mappings.starts)
    sizes = [end - start for start, end in zip(mappings.starts, mappings.ends, strict=True)]
    assert totals.largest == max(sizes, default=0)
    for field, key in (("rss", "Rss"), ("pss", "Pss"), ("swap", "Swap")):
        assert getattr(totals, field) == mappings.total(key)
    clean, dirty = mappings.total("Private_Clean"), mappings.total("Private_Dirty")
    assert totals.private == (None if clean is None or dirty is None else clean + dirty)
    if None not in (totals.rss, totals.private, totals.shared):
        assert totals.rss == (totals.private or 0) + (totals.shared or 0)
    for kind, part in map_.by_kind.items():
        assert part.mappings == sum(map_.kind(row) is kind for row in range(len(map_)))


def test_a_captured_java_and_a_postgres() -> None:
    files = open_host("debian-6.18")
    found = {}
    for pid, name in ((688, "java"), (4223, "postgres")):
        key = ProcessKey(pid, 1)
        map_ = AddressMap(key, mappings_of(files, pid, "maps"), 1 if name == "postgres" else 30)
        found[name] = {kind.name for kind in map_.by_kind}
    everywhere = {"text", "rodata", "relro", "data", "bss", "heap", "stack", "anon", "vdso"}
    assert found["java"] >= everywhere | {"thread_stack", "jit", "guard", "file"}
    assert found["postgres"] >= everywhere | {"shm"}
    assert not found["postgres"] & {"jit", "thread_stack"}


def test_kinds_of_an_equal_layout_are_not_worked_out_again() -> None:
    files, key = open_host("debian-6.18"), ProcessKey(688, 1)
    maps = AddressMap(key, mappings_of(files, 688, "maps"), 30)
    smaps = AddressMap(key, mappings_of(files, 688, "smaps"), 30, last=maps)
    assert smaps.kinds is maps.kinds
    assert not maps.has_usage
    assert smaps.has_usage


def test_row_at_an_address() -> None:
    map_ = AddressMap(
        ProcessKey(1, 1), parse_maps(b"1000-3000 r--p 0 0:0 0\n5000-6000 rw-p 0 0:0 0\n")
    )
    found = {address: map_.row_at(address) for address in (0xFFF, 0x1000, 0x2FFF, 0x3000, 0x5FFF)}
    assert found == {0xFFF: None, 0x1000: 0, 0x2FFF: 0, 0x3000: None, 0x5FFF: 1}
    assert map_.row_at(0x6000) is None


# The oracle: readelf.

_LOAD = re.compile(
    r"^ +(LOAD|GNU_RELRO) +0x\w+ +0x(\w+) +0x\w+ +0x\w+ +0x(\w+) +([R W E]{3}) ", re.M
)


@pytest.mark.skipif(not shutil.which("readelf"), reason="binutils is not installed")
def test_segments_are_where_readelf_says(stopped_pid: int) -> None:
    """Text and RELRO of every ELF file in a process, by its program headers."""
    mappings = mappings_of(LiveFiles("/"), stopped_pid, "maps")
    names = [KIND_NAMES[index] for index in classify(mappings, 4)]
    page, compared = os.sysconf("SC_PAGE_SIZE"), 0
    paths = {path for path, name in zip(mappings.paths, names, strict=True) if name == "text"}
    for path in sorted(paths):
        rows = [row for row, other in enumerate(mappings.paths) if other == path]
        if any(upper != lower + 1 for lower, upper in pairwise(rows)) or path.endswith("(deleted)"):
            continue  # something else was put between its segments
        text = subprocess.run(
            ["readelf", "-lW", path], capture_output=True, text=True, check=True
        ).stdout
        segments = [
            (kind, int(at, 16), int(size, 16), flags)
            for kind, at, size, flags in _LOAD.findall(text)
        ]
        first = min(at for kind, at, _, _ in segments if kind == "LOAD")
        base = mappings.starts[rows[0]] - first // page * page
        expected = {
            "text": {
                (base + at // page * page, base + -(-(at + size) // page) * page)
                for kind, at, size, flags in segments
                if kind == "LOAD" and "E" in flags
            },
            "relro": {
                (base + at // page * page, base + (at + size) // page * page)
                for kind, at, size, _ in segments
                if kind == "GNU_RELRO"
            },
        }
        for name, ranges in expected.items():
            here = {
                (mappings.starts[row], mappings.ends[row]) for row in rows if names[row] == name
            }
            assert here == ranges, (path, name)
        compared += 1
    assert compared
