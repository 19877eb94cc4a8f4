"""Kinds against a program that knows what it mapped where, and layouts of linkers not installed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.maps import Mappings, parse_maps
from memtui.kernel.threads import Thread
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.kinds import KIND_BY_NAME, KINDS, classify, with_flags
from memtui.model.map.labels import flags, label
from memtui.model.map.vmflags import VM_FLAGS, decode
from tests.oracles import until_alike
from tests.programs import Expected, Mapped, compiled, look, mapped

PAGE = os.sysconf("SC_PAGE_SIZE")
HUGE_PAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")


def row_of(map_: AddressMap, expected: Expected) -> int:
    row = map_.row_at(expected.start or expected.end - 1)
    assert row is not None, expected
    return row


def check(map_: AddressMap, expected: list[Expected]) -> set[int]:
    """Every mapping that the program told of is there to the byte, of its kind and in its words."""
    rows = set()
    for each in expected:
        row = row_of(map_, each)
        start, end = map_.mappings.starts[row], map_.mappings.ends[row]
        assert map_.kind(row).name == each.kind, each
        if each.start and each.end:
            assert (start, end) == (each.start, each.end), each
        if each.words:
            assert label(map_, row).words == each.words, each
        rows.add(row)
    return rows


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled("mapped", tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="module")
def everything(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapped]:
    with mapped(program, tmp_path_factory.mktemp("files")) as running:
        yield running


def test_every_mapping_of_a_program_is_what_the_program_made_it(everything: Mapped) -> None:
    map_ = look(everything.pid)
    told = check(map_, everything.expected)
    assert {map_.kind(row).name for row in told} == {kind.name for kind in KINDS} - {
        "vdso",
        "hugetlb",
    }
    for row in set(range(len(map_))) - told:
        # Left are the kernel's own, and what the C library keeps for itself without a name.
        assert map_.kind(row).name in ("vdso", "anon"), map_.mappings.vma(row)
        assert map_.kind(row).name == "vdso" or not map_.mappings.paths[row]


def test_maps_tells_the_same_kinds_as_smaps(everything: Mapped) -> None:
    assert look(everything.pid, "maps").kinds == look(everything.pid, "smaps").kinds


def test_what_a_program_asked_for_stands_in_flags_and_usage(everything: Mapped) -> None:
    map_ = look(everything.pid)
    by_key = {key: row_of(map_, each) for key, each in everything.by_key.items()}
    asked = {key.partition(":")[2]: row for key, row in by_key.items() if key.startswith("flag:")}
    assert len(asked) > 8
    for code, row in asked.items():
        vm_flags = map_.mappings.vm_flags(row) or ()
        assert code in vm_flags
        assert VM_FLAGS[code] in decode(vm_flags)
    assert "lo" in (map_.mappings.vm_flags(by_key["locked"]) or ())
    assert map_.mappings.get(by_key["locked"], "Locked") == 16 * PAGE
    assert map_.mappings.get(by_key["anon"], "Locked") == 0


def test_transparent_huge_pages_are_usage_and_no_kind(program: Path, tmp_path: Path) -> None:
    if "[never]" in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text():
        pytest.skip("transparent huge pages are turned off")

    def they_are() -> None:
        """Of a program of its own each time: there may be none to be had at a moment."""
        with mapped(program, tmp_path) as running:
            map_ = look(running.pid)
            row = row_of(map_, running.by_key["transparent"])
            assert map_.mappings.get(row, "AnonHugePages")
            assert map_.kind(row).name == "anon"

    until_alike(they_are)


def test_warnings_are_of_the_mappings_that_deserve_them(everything: Mapped) -> None:
    map_ = look(everything.pid)
    warned = {
        key: flags(map_, row_of(map_, each))
        for key, each in everything.by_key.items()
        if flags(map_, row_of(map_, each))
    }
    assert warned == {
        "wx": ("writable and executable",),
        "deleted": ("deleted file",),
        "deleted-jit": ("deleted file",),
    }


def test_every_flag_of_this_kernel_has_words(everything: Mapped) -> None:
    column = look(everything.pid).mappings.texts["VmFlags"]
    codes = {code for text in column for code in (text or "").split()}
    assert codes
    assert codes <= VM_FLAGS.keys()
    assert decode(("rd", "zz", "")) == ["may be read", "zz", ""]


def test_kinds_follow_a_program_that_maps_grows_and_unmaps(program: Path, tmp_path: Path) -> None:
    with mapped(program, tmp_path) as running:
        before = look(running.pid)
        new = running.command("map")
        after = look(running.pid, last=before)
        check(after, running.expected + new)
        assert len(after) == len(before) + 1
        grown = running.command("grow")
        check(look(running.pid, last=after), running.expected + grown)
        # Arenas grow into what was reserved for them, and stay arenas.
        arenas = running.command("allocate")
        last = look(running.pid, last=after)
        check(last, arenas)
        heap = KIND_BY_NAME["heap"]
        assert last.by_kind[heap].size > after.by_kind[heap].size + 4 * 9_000_000
        assert last.row_at(new[0].start) is not None
        running.command("unmap")
        assert look(running.pid, last=last).row_at(new[0].start) is None


@pytest.mark.parametrize(
    "options",
    [
        "-static",
        "-static-pie",
        "-no-pie",
        "-Wl,-z,norelro",
        "-Wl,-z,now",
        "-Wl,-z,noseparate-code",
        "-Wl,-z,noseparate-code,-z,norelro",
        "-Wl,-z,max-page-size=0x200000",
        "-fuse-ld=gold",
        "-fuse-ld=lld",
        "-fuse-ld=lld -no-pie",
        "-fuse-ld=mold",
    ],
)
def test_parts_of_an_elf_file_are_where_its_program_headers_say(
    options: str, tmp_path: Path
) -> None:
    program = compiled("mapped", tmp_path, *options.split())
    with mapped(program, tmp_path, "segments") as running:
        map_ = look(running.pid)
        # What gcc starts the program with apart, static programs tell one object.
        assert {"text", "rodata", "data", "bss"} - {each.kind for each in running.expected} <= {
            "rodata"
        }
        check(map_, running.expected)


@pytest.fixture
def reserved() -> Iterator[None]:
    """Huge pages to map: reserved for a test by root, and given back."""
    try:
        before = HUGE_PAGES.read_text()
        HUGE_PAGES.write_text(str(int(before) + 8))
    except OSError as error:
        pytest.skip(f"reserving huge pages of 2 MiB: {error}")
    try:
        if int(HUGE_PAGES.read_text()) < int(before) + 8:
            pytest.skip("no free memory for huge pages")
        yield
    finally:
        HUGE_PAGES.write_text(before)


@pytest.mark.xdist_group("machine")  # where others reserve some, and give them back
@pytest.mark.usefixtures("reserved")
def test_huge_pages_behind_any_name(program: Path, tmp_path: Path) -> None:
    with mapped(program, tmp_path, "hugetlb") as running:
        assert len(running.by_key) == 4
        layout = look(running.pid, "maps")
        map_ = look(running.pid, last=layout)
        check(map_, running.expected)
        for each in running.by_key.values():
            usage = map_.mappings.vma(row_of(map_, each)).usage
            assert (usage["Private_Hugetlb"] or 0) + (usage["Shared_Hugetlb"] or 0) == 2 << 20
            assert usage["Rss"] == 0
        # maps does not tell these two; the flags in smaps do, of the same layout.
        changed = {
            key
            for key, each in running.by_key.items()
            if layout.kind(row_of(layout, each)) != map_.kind(row_of(map_, each))
        }
        assert changed == {"huge-memfd", "huge-sysv"}


def names(text: str, threads: int = 1) -> list[str]:
    """The kinds of maps lines written in hex pages, with `file` for an inode where there is a name."""
    lines = []
    for line in text.strip().splitlines():
        range_, perms, offset, *name = line.split(None, 3)
        start, end = (int(part, 16) << 12 for part in range_.split("-"))
        place = f"{int(offset, 16) << 12:08x} fe:00 {9 if name else 0}"
        lines.append(f"{start:08x}-{end:08x} {perms} {place} {''.join(name)}\n")
    mappings = parse_maps("".join(lines).encode())
    return [KINDS[index].name for index in classify(mappings, threads)]


def test_relro_of_lld_lies_right_above_its_text() -> None:
    """lld moves on by a page for each segment: the file's page at each seam is mapped twice."""
    lld = """
        200-203 r--p 0 /bin/a
        203-207 r-xp 2 /bin/a
        207-209 r--p 5 /bin/a
        209-20a rw-p 6 /bin/a
        20a-20c rw-p 0
    """
    assert names(lld) == ["rodata", "text", "relro", "data", "bss"]


def test_whole_mebibytes_behind_a_files_data_are_an_allocators() -> None:
    """Where no file tells how long its bss is, as in a recording."""
    for length, kind in ((0x100, "anon"), (0x300, "anon"), (0x10, "bss"), (0x101, "bss")):
        end = 0x20A + length
        python = f"200-207 r-xp 0 /lib/a.so\n207-20a rw-p 7 /lib/a.so\n20a-{end:x} rw-p 0\n"
        assert names(python) == ["text", "data", kind]


def test_read_only_data_of_go_lies_right_above_its_text_too() -> None:
    go = """
        400-48b r-xp 0   /bin/go
        48b-532 r--p 8b  /bin/go
        532-54a rw-p 132 /bin/go
        54a-57f rw-p 0
    """
    assert names(go) == ["text", "rodata", "data", "bss"]


def test_heap_of_go_is_no_arena_of_malloc() -> None:
    """Reserved by 64 MiB like an arena, at an address of Go's own."""
    assert names("c000000-c000400 rw-p 0\nc000400-c004000 ---p 0") == ["anon", "guard"]


def test_heap_of_a_jvm_is_no_arena_of_malloc() -> None:
    """-Xmx64m: below 32 GiB, where compressed pointers reach."""
    assert names("fc000-fd000 rw-p 0\nfd000-100000 ---p 0") == ["anon", "guard"]


def test_class_space_of_a_jvm_is_neither_arena_nor_stack() -> None:
    class_space = """
        7f2ea0000-7f2ea0010 rw-p 0
        7f2ea0010-7f2ea0040 ---p 0
        7f2ea0040-7f2ea0080 rw-p 0
        7f2ea0080-7f2ee0000 ---p 0
    """
    assert names(class_space, threads=20) == ["anon", "guard", "anon", "guard"]


def test_arenas_in_several_pieces_and_arenas_that_met() -> None:
    shrunk = """
        7f18b4000-7f18b4010 rw-p 0
        7f18b4010-7f18b4020 ---p 0
        7f18b4020-7f18b40f7 rw-p 0
        7f18b40f7-7f18b8000 ---p 0
    """
    assert names(shrunk) == ["heap", "guard", "heap", "guard"]
    full = "7f18b0000-7f18b4010 rw-p 0\n7f18b4010-7f18b8000 ---p 0"
    assert names(full) == ["heap", "guard"]
    begun_elsewhere = "7f18b4001-7f18b4010 rw-p 0\n7f18b4010-7f18b8000 ---p 0"
    assert names(begun_elsewhere) == ["anon", "guard"]
    with_a_hole = "7f18b4000-7f18b4010 rw-p 0\n7f18b4011-7f18b8000 ---p 0"
    assert names(with_a_hole) == ["anon", "guard"]
    with_code = """
        7ff69c000-7ff69c002 rw-p 0
        7ff69c002-7ff69c003 ---p 0
        7ff69c003-7ff69c03f rwxp 0
        7ff69c03f-7ff6a0000 ---p 0
    """
    assert names(with_code, 9) == ["anon", "guard", "jit", "guard"]


def test_stacks_are_executable_where_the_main_stack_is() -> None:
    stacks = "7f000-7f001 ---p 0\n7f001-7f801 rwxp 0\n"
    assert names(stacks + "7ff00-7ff21 rwxp 0 [stack]", 2) == ["guard", "thread_stack", "stack"]
    assert names(stacks + "7ff00-7ff21 rw-p 0 [stack]", 2) == ["guard", "jit", "stack"]


def test_data_of_a_program_that_may_execute_everything() -> None:
    everything = """
        400-410 r-xp 0 /bin/old
        410-412 rwxp f /bin/old
        412-420 rwxp 0
    """
    assert names(everything) == ["text", "data", "bss"]


def test_device_memory_is_told_by_its_flags() -> None:
    smaps = b"".join(
        b"%x000-%x000 rw-s 00000000 00:00 0%s\nRss: 0 kB\nVmFlags: %s\n" % (at, at + 1, name, flags)
        for at, name, flags in (
            (1, b"", b"rd wr sh io pf"),
            (3, b" [vvar]", b"rd pf"),
            (5, b"", b"rd wr sh"),
        )
    )
    mappings = parse_maps(smaps)
    without = classify(mappings)
    assert [KINDS[kind].name for kind in without] == ["shm", "vdso", "shm"]
    told = with_flags(mappings, without)
    assert [KINDS[kind].name for kind in told] == ["device", "vdso", "shm"]
    assert with_flags(mappings, told) is told


_NAMES = ["", "", "", "/lib/a.so", "/bin/b", "[heap]", "[stack]", "/memfd:c (deleted)", "[anon:d]"]


@st.composite
def layouts(draw: st.DrawFn) -> Mappings:
    """Any perms and names in any order, touching or not, at places where arenas may be."""
    address, lines = draw(st.sampled_from([0, 1 << 34, 0x7F00_0000_0000])), []
    for _ in range(draw(st.integers(1, 12))):
        address += draw(st.sampled_from([0, 0, 1 << 12, 1 << 26]))
        size = draw(st.sampled_from([1 << 12, 3 << 12, 1 << 20, 1 << 25, 1 << 26]))
        perms = draw(st.sampled_from(["r--p", "r-xp", "rw-p", "---p", "rwxp", "rw-s"]))
        offset = draw(st.sampled_from([0, 1 << 12]))
        name = draw(st.sampled_from(_NAMES))
        inode = _NAMES.index(name)
        lines.append(f"{address:x}-{address + size:x} {perms} {offset:08x} fe:00 {inode} {name}\n")
        address += size
    return parse_maps("".join(lines).encode())


@given(layouts(), st.integers(1, 3))
def test_any_layout_has_a_kind_and_a_label_for_each_mapping(
    mappings: Mappings, threads: int
) -> None:
    map_ = AddressMap(ProcessKey(1, 1), mappings, threads)
    assert len(map_.kinds) == len(mappings)
    for row in range(len(map_)):
        kind, perms = map_.kind(row).name, mappings.perms[row]
        assert (kind == "guard") <= perms.startswith("---")
        assert (kind == "text") <= (perms[2] == "x")
        assert (kind in ("data", "bss", "thread_stack")) <= (perms[1] == "w")
        if kind == "bss":
            assert map_.kind(row - 1).name == "data"
            assert mappings.ends[row - 1] == mappings.starts[row]
        assert label(map_, row).words


def test_full_arenas_stay_in_the_heap(tmp_path: Path) -> None:
    """By their alignment and flags, and by their neighbours where there are no flags."""
    with subprocess.Popen(
        [compiled("arenas", tmp_path), "3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout and process.stdout.readline() == b"ready\n"
            map_ = look(process.pid)
            found = {kind.name: totals for kind, totals in map_.by_kind.items()}
            assert found["heap"].size > 3 * (64 << 20)
            assert found["heap"].rss is not None and found["heap"].rss > 3 * (63 << 20)
            anonymous = found.get("anon")
            assert anonymous is None or anonymous.size < 1 << 20
        finally:
            process.kill()


FULL = """7f0000000000-7f0004000000 rw-p 00000000 00:00 0
Size: 65536 kB
Rss: 65536 kB
VmFlags: {}
"""


@pytest.mark.parametrize(
    ("vm_flags", "kind"),
    [
        ("rd wr mr mw me nr sd", "heap"),
        ("rd wr mr mw me ac sd", "anon"),
        ("rd wr mr mw me nr ac sd", "anon"),
    ],
)
def test_flags_tell_an_arena_from_what_is_as_large(vm_flags: str, kind: str) -> None:
    mappings = parse_maps(FULL.format(vm_flags).encode())
    found = with_flags(mappings, classify(mappings))
    assert KINDS[found[0]].name == kind


def test_a_full_arena_right_above_another() -> None:
    layout = """7f0000000000-7f0000021000 rw-p 00000000 00:00 0
7f0000021000-7f0004000000 ---p 00000000 00:00 0
7f0004000000-7f0008000000 rw-p 00000000 00:00 0
"""
    mappings = parse_maps(layout.encode())
    assert [KINDS[index].name for index in classify(mappings)] == ["heap", "guard", "heap"]


STACKS = """7f1000000000-7f1000001000 ---p 00000000 00:00 0
7f1000001000-7f1000801000 rw-p 00000000 00:00 0
7f2000000000-7f2000001000 ---p 00000000 00:00 0
7f2000001000-7f2000801000 rw-p 00000000 00:00 0
7f3000000000-7f3000801000 rw-p 00000000 00:00 0
"""


@pytest.mark.parametrize(
    ("pointers", "second"),
    [
        ((0x7F1000800000,), "anon"),  # every thread's own stack is known
        ((None,), "thread_stack"),
        ((0x7F1000800000, None), "thread_stack"),
        ((0x7F1000800000, 0x7F2000800000), "thread_stack"),
        ((0x7F3000800000,), "thread_stack"),  # on another stack just now
    ],
)
def test_between_two_guards_is_no_stack_where_all_stacks_are_known(
    pointers: tuple[int | None, ...], second: str
) -> None:
    threads = (Thread(1, "main", None), *(Thread(2, "t", pointer) for pointer in pointers))
    map_ = AddressMap(
        ProcessKey(1, 1), parse_maps(STACKS.encode()), len(threads), thread_list=threads
    )
    assert map_.kind(3).name == second
    # What is told of the layout stays for the next reading, with a thread that has begun.
    more = (*threads, Thread(3, "new", 0x7F2000800000))
    again = AddressMap(
        ProcessKey(1, 1), parse_maps(STACKS.encode()), len(more), map_, thread_list=more
    )
    assert again.kind(3).name == "thread_stack"


@pytest.mark.parametrize(
    ("perms", "path", "kind"),
    [
        ("rw-p", "/dev/ashmem/dalvik-main space (deleted)", "anon"),
        ("rw-s", "/dev/ashmem/gralloc (deleted)", "shm"),
        ("r-xp", "/dev/ashmem/dalvik-jit-code-cache (deleted)", "jit"),
        ("---p", "/dev/ashmem/dalvik-large object (deleted)", "guard"),
        ("r--s", "/dev/__properties__/u:object_r:default_prop:s0", "file"),
        ("rw-s", "/dev/mqueue/x", "file"),
        ("rw-s", "/dev/dri/card0", "device"),
        ("rw-p", "/dev/mem", "device"),
    ],
)
def test_memory_that_only_has_a_devices_name_is_no_device(perms: str, path: str, kind: str) -> None:
    layout = f"7f1000000000-7f1000001000 {perms} 00000000 00:06 7 {path}\n"
    map_ = AddressMap(ProcessKey(1, 1), parse_maps(layout.encode()))
    assert map_.kind(0).name == kind
    assert ("deleted" in " ".join(flags(map_, 0))) is False
    assert not label(map_, 0).words.startswith("device") or kind == "device"


@pytest.mark.parametrize(
    ("file", "start", "size", "words"),
    [
        ("/usr/bin/node", 0x9CBA6C0000, 0x40000, "V8 heap: JavaScript's objects"),
        ("/usr/bin/node", 0x9CBA6C1000, 0x40000, "anonymous memory"),
        ("/usr/lib/libjemalloc.so.2", 0x7F0000000000, 4 << 20, "jemalloc's extents"),
        ("/usr/bin/python3.11", 0x7F0000001000, 3 << 20, "Python's arenas: small objects"),
        ("/usr/bin/python3.11", 0x7F0000001000, 3 << 19, "anonymous memory"),
        ("/usr/bin/other", 0x9CBA6C0000, 0x40000, "anonymous memory"),
    ],
)
def test_habits_of_allocators_are_guesses(file: str, start: int, size: int, words: str) -> None:
    layout = f"400000-401000 r-xp 0 08:01 9 {file}\n{start:x}-{start + size:x} rw-p 0 00:00 0\n"
    map_ = AddressMap(ProcessKey(1, 1), parse_maps(layout.encode()))
    assert label(map_, 1).words == words
    assert (label(map_, 1).sure == "guess") == (words != "anonymous memory")
