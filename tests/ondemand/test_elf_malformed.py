"""ELF files of other machines, without tables, with claims that do not hold, and of no sense."""

from __future__ import annotations

import mmap
import os
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Gap
from memtui.kernel.maps import parse_maps
from memtui.model.map.image import (
    Image,
    Symbols,
    explain_address,
    file_offset,
    load_bias,
    relro_range,
    symbol_at,
)
from tests.elf_files import (
    BASE,
    HandMade,
    check_against_readelf,
    compile_c,
    compile_program,
    found,
    gap,
    hand_made,
    image_of,
    running,
    sections_by_readelf,
    segments_by_readelf,
    symbols_by_readelf,
)

PAGE = mmap.PAGESIZE


@pytest.mark.parametrize("is_64", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_other_machines_files_are_what_readelf_says(
    tmp_path: Path, is_64: bool, order: str
) -> None:
    path = tmp_path / "made"
    path.write_bytes(hand_made(is_64, order).data)
    image, symbols = found(image_of(path))
    assert list(image.segments) == segments_by_readelf(path)
    assert list(image.sections) == sections_by_readelf(path)
    by_readelf = symbols_by_readelf(path)[".symtab"]
    assert list(symbols) == [symbol for symbol in by_readelf if symbol.name != "$d"]
    assert [symbol.name for symbol in symbols] == ["start", "label", "value"]
    assert (image.bits, image.machine) == (64 if is_64 else 32, "X86_64" if is_64 else "MIPS")
    assert (image.build_id, image.interpreter) == ("deadbeef", "/lib/loader")
    assert image.kind == "position-independent executable"
    assert image.entry == BASE + image.sections[1].offset


def test_a_32_bit_program_is_what_readelf_says(tmp_path: Path) -> None:
    text = "int data[] = {1}; int bss[999]; void _start(void) { bss[0] = data[0]; }"
    path = compile_c(text, tmp_path / "small", "-m32", "-nostdlib", "-static")
    image, symbols = found(image_of(path))
    check_against_readelf(str(path), image, symbols)
    assert image.bits == 32 and {"_start", "data", "bss"} <= {each.name for each in symbols}


def test_the_bit_of_thumb_code_is_no_part_of_an_address(tmp_path: Path) -> None:
    path = tmp_path / "thumb"
    path.write_bytes(hand_made(False, "<", machine=40).data)
    image, symbols = found(image_of(path))
    symbol = symbol_at(image, symbols, image.sections[1].address)
    assert image.machine == "ARM" and symbol and symbol.name == "start"


def test_a_file_without_section_headers_keeps_its_segments(tmp_path: Path) -> None:
    program = compile_program(tmp_path / "program")
    whole, _ = found(image_of(program))
    data = bytearray(program.read_bytes())
    struct.pack_into("<Q", data, 40, 0)  # e_shoff
    struct.pack_into("<HH", data, 60, 0, 0)  # e_shnum, e_shstrndx
    program.write_bytes(data)
    with running(program) as child:
        image, symbols = child.image()
        assert image.segments == whole.segments and image.sections == () and not len(symbols)
        (bias,) = child.biases[child.path]
        assert {load_bias(image, child.mappings, row, PAGE) for row in child.rows(child.path)} == {
            bias
        }
        assert symbol_at(image, symbols, child.places["data"] - bias) is None


def image_of_made(path: Path, made: HandMade) -> tuple[Image, Symbols]:
    path.write_bytes(made.data)
    return found(image_of(path))


SECTION = {name: at for at, name in enumerate(".. .text .note .interp .dynamic .data".split())}
SYMTAB, STRTAB = 7, 8


@pytest.mark.parametrize("size", [1 << 31, 1 << 40, 1 << 60, (1 << 64) - 1])
def test_claimed_sizes_cost_no_memory(tmp_path: Path, size: int) -> None:
    """What reads as much as it was told to allocates that before it finds the file's end."""
    made, path = hand_made(), tmp_path / "made"
    for index in range(1, 10):
        made = made.with_field("section", index, "size", size)
    for index in range(5):
        made = made.with_field("program", index, "filesz", size)
    image_of_made(path, made)  # what is imported now is not counted
    tracemalloc.start()
    image, symbols = image_of_made(path, made)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20
    assert {symbol.name for symbol in symbols} >= {"start", "label", "value"}
    assert image.sections[1].size == size
    # A name goes no further than to its end, whatever its table claims.
    assert image.sections[1].name == ".text"


def test_a_sparse_file_costs_no_memory(tmp_path: Path) -> None:
    length, path = 1 << 40, tmp_path / "sparse"
    made = hand_made().with_field("program", 3, "filesz", length)
    made = made.with_field("program", 2, "filesz", length)
    path.write_bytes(made.with_field("program", 4, "filesz", length).data)
    try:
        os.truncate(path, length)
    except OSError:
        pytest.skip("no sparse files here")
    found(image_of(path))
    tracemalloc.start()
    assert len(found(image_of(path))[1]) == 3
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize(
    ("table", "index", "field", "value"),
    [
        ("section", SYMTAB, "link", 10),
        ("section", SYMTAB, "link", 0xFFFF_FFFF),
        ("section", SYMTAB, "link", 1),
        ("section", SYMTAB, "offset", 1 << 63),
        ("section", SYMTAB, "type", 8),
        ("section", STRTAB, "type", 1),
        ("section", STRTAB, "offset", (1 << 64) - 1),
        ("section", STRTAB, "size", 1),
    ],
)
def test_symbols_that_cannot_be_read_cost_themselves_alone(
    tmp_path: Path, table: str, index: int, field: str, value: int
) -> None:
    made = hand_made()
    whole, _ = image_of_made(tmp_path / "made", made)
    image, symbols = image_of_made(tmp_path / "made", made.with_field(table, index, field, value))
    assert len(symbols) == 0 and image.segments == whole.segments
    assert [each.name for each in image.sections] == [each.name for each in whole.sections]


def test_names_that_cannot_be_read_are_empty(tmp_path: Path) -> None:
    made = hand_made().with_field("file", 0, "shstrndx", 0xFFFF)
    image, symbols = image_of_made(tmp_path / "made", made)
    assert {section.name for section in image.sections} == {""}
    assert [symbol.name for symbol in symbols] == ["start", "label", "value"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("shnum", 0xFFFE), ("phnum", 0xFFFF), ("shentsize", 8), ("phentsize", 0), ("shoff", 1 << 63)],
)
def test_headers_beyond_the_file_are_malformed(tmp_path: Path, field: str, value: int) -> None:
    path = tmp_path / "made"
    path.write_bytes(hand_made().with_field("file", 0, field, value).data)
    assert gap(image_of(path)).reason == "malformed"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "mutated"


MADE = [hand_made(True, "<"), hand_made(False, ">")]


@given(
    st.sampled_from(MADE),
    st.lists(st.tuples(st.integers(4, 1500), st.binary(min_size=1, max_size=8)), max_size=6),
    st.none() | st.integers(4, 1500),
    st.integers(0, 1 << 20),
)
def test_no_file_makes_it_raise(
    scratch: Path,
    made: HandMade,
    changes: list[tuple[int, bytes]],
    length: int | None,
    address: int,
) -> None:
    data = bytearray(made.data)
    for at, new in changes:
        data[at : at + len(new)] = new
    scratch.write_bytes(data[:length])
    answer = image_of(scratch)
    if isinstance(answer, Gap):
        assert answer.reason in ("malformed", "unsupported") and answer.detail
        return
    image, symbols = answer
    line = f"{BASE:x}-{2 * BASE:x} r-xp 00000000 00:00 1 {scratch}\n"
    bias = load_bias(image, parse_maps(line.encode()), 0, PAGE) or 0
    for symbol in symbols:
        assert symbol.size >= 0 and len(symbol.name) <= len(data)
    for own in (address, image.entry):
        symbol_at(image, symbols, own)
        offset = file_offset(image, own)
        assert offset is None or offset >= 0
        assert explain_address(image, bias, own + bias)
    relro = relro_range(image, bias, PAGE)
    assert relro is None or relro[0] < relro[1]
