"""ELF files behind mappings: readelf, the dynamic loader and the kernel must say the same."""

from __future__ import annotations

import gc
import mmap
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import Mappings, parse_maps, read_mappings
from memtui.kernel.process import parse_identity
from memtui.model.keys import ProcessKey
from memtui.model.map.image import (
    explain_address,
    file_offset,
    load_bias,
    relro_range,
    section_at,
    sections_over,
    segments_over,
    symbol_at,
)
from memtui.ondemand.elf import read_image
from tests.elf_files import (
    FILES,
    FUNCTIONS,
    Running,
    check_against_readelf,
    compile_library,
    compile_program,
    found,
    gap,
    hand_made,
    image_of,
    running,
)
from tests.programs import key_of
from tests.terminal import PROJECT

PAGE = mmap.PAGESIZE
# How a program is linked, and its library.
VARIANTS = {
    "position-independent": (["-fPIE", "-pie"], []),
    "fixed": (["-no-pie"], []),
    "static": (["-static"], []),
    "static and position-independent": (["-static-pie", "-fPIE"], []),
    "no relro": (["-fPIE", "-pie", "-Wl,-z,norelro"], ["-Wl,-z,norelro"]),
    "full relro": (["-fPIE", "-pie", "-Wl,-z,relro,-z,now"], ["-Wl,-z,relro,-z,now"]),
    "code and headers in one segment": (
        ["-fPIE", "-pie", "-Wl,-z,noseparate-code"],
        ["-Wl,-z,noseparate-code"],
    ),
    "fixed, code and headers in one segment": (["-no-pie", "-Wl,-z,noseparate-code"], []),
    "segments far apart": (
        ["-fPIE", "-pie", "-Wl,-z,max-page-size=0x200000,-z,noseparate-code"],
        ["-Wl,-z,max-page-size=0x200000,-z,noseparate-code"],
    ),
    "stripped": (["-fPIE", "-pie", "-rdynamic", "-s"], ["-s"]),
    "linked by gold": (["-fPIE", "-pie", "-fuse-ld=gold"], ["-fuse-ld=gold"]),
}


@pytest.fixture(scope="module", params=VARIANTS)
def program(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("elf")
    own, librarys = VARIANTS[request.param]
    library = compile_library(directory / "library.so", *librarys)
    with running(compile_program(directory / "program", *own), library) as child:
        assert ("-static" in " ".join(own)) == (len(child.biases) == 1)
        yield child


def test_a_program_is_what_readelf_says(program: Running) -> None:
    image, symbols = program.image()
    check_against_readelf(program.path, image, symbols)
    assert len(image.loads) >= 2 and len(image.sections) > 20 and len(symbols) > FUNCTIONS


@pytest.mark.parametrize(
    "path", ["/bin/bash", sys.executable, "libc", "ld-linux-x86-64", "libpython"]
)
def test_real_files_are_what_readelf_says(path: str) -> None:
    mappings = read_mappings(FILES, os.getpid(), "maps")
    assert isinstance(mappings, Mappings)
    if not path.startswith("/"):
        names = [name for name in mappings.paths if re.search(rf"/{path}[-\d.]*so[.\d]*$", name)]
        if not names:
            pytest.skip(f"{path} is not in this process")
        path = names[0]
    check_against_readelf(path, *found(image_of(path)))


def test_its_own_things_are_where_it_says(program: Running) -> None:
    image, symbols = program.image()
    bias = load_bias(image, program.mappings, program.rows(program.path)[0], PAGE)
    assert bias == program.biases[program.path][0]
    sections = {"constant": ".rodata", "data": ".data", "bss": ".bss"}
    assert len(program.places) == FUNCTIONS + 3
    for name, address in program.places.items():
        for inside in (0, 5):
            section = section_at(image, address + inside - bias)
            assert section and section.name == sections.get(name, ".text")
            symbol = symbol_at(image, symbols, address + inside - bias)
            assert symbol and (symbol.name, symbol.address) == (name, address - bias)
            assert section in sections_over(image, bias, address + inside, address + inside + 1)


def test_the_load_bias_of_every_row_is_what_the_loader_says(program: Running) -> None:
    """The library is loaded twice, and between segments far apart are rows of no access."""
    compared = 0
    for path, biases in program.biases.items():
        for row in program.rows(path):
            start = program.mappings.starts[row]
            image, _ = program.image(row)
            expected = max(bias for bias in biases if bias <= start)
            assert load_bias(image, program.mappings, row, PAGE) == expected
            compared += 1
    assert compared >= (5 if len(program.biases) > 1 else 4)


def test_a_library_with_segments_far_apart_has_rows_between_them(tmp_path: Path) -> None:
    """Else the test above would not have seen any."""
    far = "-Wl,-z,max-page-size=0x200000,-z,noseparate-code"
    library = compile_library(tmp_path / "far.so", far)
    with running(compile_program(tmp_path / "program"), library) as child:
        rows = child.rows(str(library))
        between = [row for row in rows if child.mappings.perms[row] == "---p"]
        if not between:
            pytest.skip("this loader keeps nothing between segments")
        image, _ = child.image(between[0])
        start, end = child.mappings.starts[between[0]], child.mappings.ends[between[0]]
        bias = load_bias(image, child.mappings, between[0], PAGE)
        assert bias in child.biases[str(library)]
        assert segments_over(image, bias, start, end) == []
        assert sections_over(image, bias, start, end) == []
        assert "between" in explain_address(image, bias, start)[1]


def test_relro_is_what_the_kernel_protects(program: Running) -> None:
    compared = 0
    for path, biases in program.biases.items():
        rows = program.rows(path)
        image, _ = program.image(rows[0])
        for bias in biases:
            relro = relro_range(image, bias, PAGE) or (0, 0)
            (segment,) = (each for each in image.loads if "W" in each.flags)
            low = bias + segment.vaddr
            for address in range(low - low % PAGE, low + segment.file_size, PAGE):
                (perms,) = {
                    program.mappings.perms[row]
                    for row in rows
                    if program.mappings.starts[row] <= address < program.mappings.ends[row]
                }
                assert perms == ("r--p" if relro[0] <= address < relro[1] else "rw-p")
                compared += relro[0] <= address < relro[1]
    # glibc's own files have one even where the program has none.
    assert compared or len(program.biases) == 1


def test_a_byte_of_the_file_is_the_byte_in_memory(program: Running) -> None:
    image, _ = program.image()
    (bias,) = program.biases[program.path]
    data = Path(program.path).read_bytes()
    for name, address in program.places.items():
        offset = file_offset(image, address - bias)
        assert (offset is None) == (name == "bss")
        if offset is not None:
            assert data[offset : offset + 5] == program.memory(address, 5)
    for section in image.sections:
        if section.name in (".text", ".rodata", ".eh_frame"):
            first = file_offset(image, section.address)
            last = file_offset(image, section.address + section.size - 1)
            assert (first, last) == (section.offset, section.offset + section.size - 1)
            whole = program.memory(bias + section.address, section.size)
            assert whole == data[section.offset : section.offset + section.size]


def test_explanations_add_up(program: Running) -> None:
    image, _ = program.image()
    (bias,) = program.biases[program.path]
    for name in ("function_7", "constant", "data", "bss"):
        address = program.places[name]
        first, second = explain_address(image, bias, address)
        numbers = [int(number, 16) for number in re.findall(r"0x[0-9a-f]+", first)]
        if bias:
            assert numbers == [address - bias, bias, address - bias, bias, address]
        else:
            assert numbers == [address]
        if name == "bss":
            assert "no byte in the file" in second
        else:
            assert f"offset {file_offset(image, address - bias):#x}." in second


def test_sections_and_segments_of_a_row_are_those_that_have_bytes_in_it(program: Running) -> None:
    image, _ = program.image()
    (bias,) = program.biases[program.path]
    seen = set()
    rows = program.rows(program.path)
    # Zeros at the end of the last segment are a mapping without a file.
    for row in (*rows, rows[-1] + 1):
        start, end = program.mappings.starts[row], program.mappings.ends[row]
        sections = sections_over(image, bias, start, end)
        assert [section.address for section in sections] == sorted(
            section.address for section in sections
        )
        for section in sections:
            assert section_at(image, max(section.address, start - bias)) == section
            over = segments_over(image, bias, start, end)
            assert any(
                segment.vaddr <= section.address
                and section.address + section.size <= segment.vaddr + segment.mem_size
                for segment in over
            )
        seen |= {section.number for section in sections}
    assert seen == {
        section.number
        for section in image.sections
        if section.is_loaded and section.size and section.name != ".tbss"
    }


# What there is to be said where something is missing.


@contextmanager
def mapped(path: Path) -> Iterator[tuple[ProcessKey, Mappings, int]]:
    """A file mapped by this process as a whole: its row."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ):
        mappings = read_mappings(FILES, os.getpid(), "maps")
        assert isinstance(mappings, Mappings)
        inode = os.fstat(file.fileno()).st_ino
        rows = [
            row
            for row, its in enumerate(mappings.paths)
            if mappings.inodes[row] == inode and its.rpartition("/")[2].startswith(path.name[:3])
        ]
        yield key_of(os.getpid()), mappings, rows[0]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "an ELF file"
    path.write_bytes(hand_made().data)
    return path


def needs_map_files() -> None:
    files = f"/proc/{os.getpid()}/map_files"
    try:
        os.stat(f"{files}/{os.listdir(files)[0]}")
    except PermissionError:
        pytest.skip("map_files needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN")


def test_a_deleted_or_replaced_file_is_read_through_map_files(file: Path) -> None:
    needs_map_files()
    with mapped(file) as (key, mappings, row):
        file.unlink()
        assert found(read_image(FILES, key, mappings, row))[0].build_id == "deadbeef"
        file.write_bytes(b"something else")
        assert found(read_image(FILES, key, mappings, row))[0].build_id == "deadbeef"
    with mapped(file) as (key, mappings, row):
        assert gap(read_image(FILES, key, mappings, row)).detail == "not an ELF file"


def test_a_mapping_of_a_whole_file_is_no_loaders(tmp_path: Path) -> None:
    program = compile_program(tmp_path / "program")
    with mapped(program) as (key, mappings, row):
        image, _ = found(read_image(FILES, key, mappings, row))
        assert load_bias(image, mappings, row, PAGE) is None


@pytest.mark.parametrize("kept", [0, 3, 10, 63, 200, -1, -700])
def test_a_file_cut_short_costs_the_image_alone(file: Path, kept: int) -> None:
    with mapped(file) as (key, mappings, row):
        os.truncate(file, kept if kept >= 0 else file.stat().st_size + kept)
        answer = gap(read_image(FILES, key, mappings, row))
    assert answer.source == str(file)
    assert answer.reason == ("unsupported" if 0 <= kept < 4 else "malformed")
    assert answer.detail


def test_names_with_blanks_and_newlines(tmp_path: Path) -> None:
    for name in ("two words ", "two\nlines", "no \\012 newline", "was (deleted)", "\udcff\udcfe"):
        path = tmp_path / name
        path.write_bytes(hand_made().data)
        with mapped(path) as (key, mappings, row):
            assert found(read_image(FILES, key, mappings, row))[0].path == mappings.paths[row]
            # As without map_files: no such range.
            mappings.ends[row] += PAGE
            image, _ = found(read_image(FILES, key, mappings, row))
            assert image.path == mappings.paths[row]


def test_without_map_files_another_file_of_the_name_is_not_taken_for_it(file: Path) -> None:
    with mapped(file) as (key, mappings, row):
        mappings.ends[row] += PAGE
        kept = file.rename(file.with_name("kept"))
        replaced = read_image(FILES, key, mappings, row)
        assert gap(replaced).reason == "absent"
        file.write_bytes(hand_made().data)
        replaced = gap(read_image(FILES, key, mappings, row))
        assert replaced.reason == "gone" and "another file has this name" in replaced.detail
        kept.unlink()
        mappings.paths[row] += " (deleted)"
        deleted = gap(read_image(FILES, key, mappings, row))
        assert deleted.reason == "gone" and "was deleted" in deleted.detail


def test_memory_without_a_file_has_no_image() -> None:
    mappings = read_mappings(FILES, os.getpid(), "maps")
    assert isinstance(mappings, Mappings)
    for name in ("", "[stack]", "[vdso]"):
        row = mappings.paths.index(name)
        answer = gap(read_image(FILES, key_of(os.getpid()), mappings, row))
        assert (answer.reason, answer.detail) == ("unsupported", "no file is behind this mapping")


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        assert gap(image_of(path)).detail == "not a regular file"


def test_another_process_of_the_pid_or_none_is_gone(file: Path) -> None:
    with mapped(file) as (key, mappings, row):
        gc.collect()  # what other tests have left closes now, and not meanwhile
        before = len(os.listdir("/proc/self/fd"))
        other = ProcessKey(key.pid, key.start_time_ticks + 1)
        assert gap(read_image(FILES, other, mappings, row)).reason == "gone"
        with subprocess.Popen(["sleep", "60"]) as child:
            dead = key_of(child.pid)
            child.kill()
        assert gap(read_image(FILES, dead, mappings, row)).reason == "gone"
        assert len(os.listdir("/proc/self/fd")) == before


_AS_NOBODY = """
import mmap, os, sys
import elftools.elf.elffile
from memtui.ondemand.elf import read_image
from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import read_mappings
from memtui.kernel.process import parse_identity
from memtui.model.keys import (ProcessKey)
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
files, path = LiveFiles(), sys.argv[1]
def say():
    mappings = read_mappings(files, os.getpid(), "maps")
    row = [row for row, name in enumerate(mappings.paths) if name.startswith(path)][0]
    start = files.parsed(f"proc/{os.getpid()}/stat", parse_identity).starttime
    answer = read_image(files, ProcessKey(os.getpid(), start), mappings, row)
    print(answer.detail or answer.reason if isinstance(answer, Gap) else answer[0].build_id)
with open(path, "rb") as file:
    kept = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
say()
os.chmod(path, 0)
say()
os.rename(path, path + " away")
os.rename(path + " away", path)
os.chmod(path, 0o600)
say()
os.unlink(path)
say()
with open(path, "w") as file:
    file.write("another")
say()
"""


def test_nobody_reads_by_name_and_is_told_why_not() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to become nobody")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        path = Path(directory, "program")
        path.write_bytes(hand_made().data)
        os.chown(path, 65534, 65534)
        done = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, str(path)],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            capture_output=True,
            text=True,
            check=True,
        )
    deleted = "the file was deleted or replaced while it is mapped; root can still read it"
    assert done.stdout.splitlines() == ["deadbeef", "denied", "deadbeef", deleted, deleted]


def copied(root: Path, dev: str, inode: int) -> tuple[Files, ProcessKey, Mappings]:
    """A copied tree with one process, whose only mapping is of /prog."""
    own = root / "proc/42"
    (own / "map_files").mkdir(parents=True)
    (own / "stat").write_bytes(Path("/proc/self/stat").read_bytes())
    files = LiveFiles(str(root))
    stat = files.parsed("proc/42/stat", parse_identity)
    assert not isinstance(stat, Gap)
    mappings = parse_maps(f"400000-401000 r-xp 0 {dev} {inode} /prog\n".encode())
    return files, ProcessKey(42, stat.starttime), mappings


def test_links_of_a_copied_tree_may_lead_to_other_files(tmp_path: Path) -> None:
    files, key, mappings = copied(tmp_path, "08:01", 12345678901)
    (tmp_path / "proc/42/map_files/400000-401000").symlink_to(os.path.realpath("/bin/sh"))
    found = read_image(files, key, mappings, 0)
    assert isinstance(found, Gap), found


def test_the_root_of_a_copied_process_may_lead_out_of_the_tree(tmp_path: Path) -> None:
    program = os.path.realpath("/bin/sh")
    own = os.stat(program)
    tree = tmp_path / "tree"
    files, key, mappings = copied(tree, "00:01", own.st_ino)
    mappings.paths[0] = program
    (tree / "proc/42/root").symlink_to("/")
    assert isinstance(read_image(files, key, mappings, 0), Gap)
    (tree / program.lstrip("/")).parent.mkdir(parents=True)
    (tree / program.lstrip("/")).symlink_to(program)
    assert isinstance(read_image(files, key, mappings, 0), Gap)


def test_the_same_inode_on_another_disk_is_another_file(tmp_path: Path) -> None:
    program = tmp_path / "prog"
    shutil.copyfile(os.path.realpath("/bin/sh"), program)
    own = program.stat()
    major, minor = os.major(own.st_dev), os.minor(own.st_dev)
    if not major:
        pytest.skip("the file is on a device without a number of its own")
    files, key, mappings = copied(tmp_path, f"{major:02x}:{minor:02x}", own.st_ino)
    assert not isinstance(read_image(files, key, mappings, 0), Gap)
    shutil.rmtree(tmp_path / "proc")
    files, key, mappings = copied(tmp_path, f"{major + 1:02x}:{minor:02x}", own.st_ino)
    assert isinstance(read_image(files, key, mappings, 0), Gap)
