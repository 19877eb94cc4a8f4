"""Images made by hand: what is where, which bias is right, and which symbol an address is in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.maps import parse_maps
from memtui.model.map.image import (
    Image,
    Section,
    Segment,
    Symbol,
    Symbols,
    explain_address,
    file_offset,
    load_bias,
    relro_range,
    section_at,
    sections_over,
    segments_over,
    symbol_at,
    text_at,
)

PAGE = 0x1000


def load(offset: int, vaddr: int, file_size: int, mem_size: int, flags: str = "R  ") -> Segment:
    return Segment("LOAD", offset, vaddr, file_size, mem_size, flags, PAGE)


def image(*segments: Segment, sections: tuple[Section, ...] = ()) -> Image:
    return Image("/bin/it", "", "X86_64", 64, 0, None, None, segments, sections)


def biases(of: Image, *rows: str) -> list[int | None]:
    """Of maps rows written as `start-end offset [perms]`, in hex pages."""
    lines = []
    for row in rows:
        range_, offset, *perms = row.split()
        start, end = (int(part, 16) * PAGE for part in range_.split("-"))
        at = int(offset, 16) * PAGE
        lines.append(f"{start:08x}-{end:08x} {(perms or ['r--p'])[0]} {at:x} 8:1 9 /bin/it\n")
    mappings = parse_maps("".join(lines).encode())
    return [load_bias(of, mappings, row, PAGE) for row in range(len(mappings))]


def test_a_page_in_two_segments_is_decided_by_the_other_rows() -> None:
    small = image(load(0, 0, 0x800, 0x800, "R E"), load(0x800, 0x1800, 0x200, 0x300, "RW "))
    assert biases(small, "50-51 0", "51-52 0") == [0x50000, 0x50000]
    # Loaded once more, where the first could have had its second segment.
    assert (
        biases(small, "50-51 0", "51-52 0", "53-54 0", "54-55 0") == [0x50000] * 2 + [0x53000] * 2
    )


def test_a_file_at_fixed_addresses_has_bias_0() -> None:
    fixed = image(
        load(0, 0x400000, 0x800, 0x800, "R E"), load(0x800, 0x401800, 0x200, 0x300, "RW ")
    )
    assert biases(fixed, "400-401 0", "401-402 0") == [0, 0]


def test_a_library_below_the_addresses_it_was_made_for_has_a_negative_bias() -> None:
    prelinked = image(load(0, 0x400000, 0x1000, 0x1000))
    assert biases(prelinked, "300-301 0") == [-0x100000]
    assert "0x400010 + -0x100000 = 0x300010" in explain_address(prelinked, -0x100000, 0x300010)[0]


def test_rows_that_a_segment_was_split_into_have_one_bias() -> None:
    whole = image(load(0, 0, 0x5000, 0x5000, "R E"), load(0x5DB8, 0x6DB8, 0x1248, 0x2000, "RW "))
    rows = ("70-72 0", "72-73 2", "73-75 3", "76-77 5", "77-78 6")
    assert biases(whole, *rows) == [0x70000] * 5


def test_one_row_of_two_segments_that_touch_has_their_bias() -> None:
    """A kernel merges what is alike: read-only data, and what was made read-only after it."""
    touching = image(load(0, 0, 0x3000, 0x3000), load(0x3000, 0x3000, 0x1000, 0x1000, "RW "))
    assert biases(touching, "20-24 0") == [0x20000]


def test_what_no_loader_mapped_has_no_bias() -> None:
    whole = image(load(0, 0, 0x1800, 0x1800, "R E"), load(0x1800, 0x2800, 0x200, 0x300, "RW "))
    assert biases(whole, "20-25 0") == [None]
    assert biases(whole, "20-21 9") == [None]
    # Beside a loaded one it is still none; between the segments of that it is the loader's.
    assert biases(whole, "20-22 0", "22-23 1", "90-95 0") == [0x20000, 0x20000, None]
    apart = image(load(0, 0, 0x1000, 0x1000, "R E"), load(0x1000, 0x9000, 0x200, 0x300, "RW "))
    rows = ("20-21 0", "21-29 1 ---p", "29-2a 1")
    assert biases(apart, *rows) == [0x20000] * 3
    assert biases(image(), "20-21 0") == [None]


def test_relro_is_whole_pages_only() -> None:
    def relro(vaddr: int, size: int) -> tuple[int, int] | None:
        return relro_range(
            image(Segment("GNU_RELRO", 0, vaddr, size, size, "R  ", 1)), 0x10000, PAGE
        )

    assert relro(0x1DB8, 0x248) == (0x11000, 0x12000)
    assert relro(0x1DB8, 0x300) == (0x11000, 0x12000)
    assert relro(0x1DB8, 0x100) is None
    assert relro_range(image(load(0, 0, 1, 1)), 0, PAGE) is None


def section(number: int, name: str, address: int, size: int, flags: str = "A") -> Section:
    type_ = "NOBITS" if "bss" in name else "PROGBITS"
    return Section(number, name, type_, address, 0, size, flags, "A" in flags)


SECTIONS = (
    section(0, ".data", 0x300, 0x100, "WA"),
    section(1, ".text", 0x100, 0x100, "AX"),
    section(2, ".tbss", 0x400, 0x80, "WAT"),
    section(3, ".bss", 0x400, 0x100, "WA"),
    section(4, ".empty", 0x180, 0),
    section(5, ".comment", 0, 0x1000, "MS"),
)


def test_sections_over_a_range() -> None:
    own = image(load(0, 0x100, 0x300, 0x400), sections=SECTIONS)

    def names(start: int, end: int) -> list[str]:
        return [each.name for each in sections_over(own, 0x1000, 0x1000 + start, 0x1000 + end)]

    assert names(0, 0x1000) == [".text", ".data", ".bss"]
    assert names(0x1FF, 0x301) == [".text", ".data"]
    assert names(0x200, 0x300) == names(0x500, 0x900) == names(0, 0x100) == []
    assert segments_over(own, 0x1000, 0x14FF, 0x1500) == list(own.segments)
    assert segments_over(own, 0x1000, 0x1500, 0x1600) == []
    at = {address: section_at(own, address) for address in (0xFF, 0x100, 0x180, 0x1FF, 0x200)}
    assert [each and each.name for each in at.values()] == [None, ".text", ".text", ".text", None]


def test_bytes_beyond_the_files_are_zeros_or_nobodys() -> None:
    own = image(load(0x40, 0x140, 0x100, 0x400))
    assert [file_offset(own, at) for at in (0x13F, 0x140, 0x23F, 0x240)] == [
        None,
        0x40,
        0x13F,
        None,
    ]
    assert "at offset 0x40" in explain_address(own, 0x5000, 0x5140)[1]
    assert "zeros (.bss)" in explain_address(own, 0x5000, 0x5240)[1]
    assert "No segment asks" in explain_address(own, 0x5000, 0x5540)[1]
    assert "fixed addresses" in explain_address(own, 0, 0x140)[0]


def symbols(*entries: tuple[int, int, str]) -> Symbols:
    names, packed = b"\0", []
    for address, size, name in entries:
        packed.append((address, size, len(names)))
        names += name.encode() + b"\0"
    return Symbols(".symtab", packed, names)


def test_a_symbol_with_a_size_goes_before_a_label_inside_it() -> None:
    table = symbols((0x100, 0x50, "function"), (0x120, 0, "label"), (0x180, 0, "asm"))
    found = {at: table.at(at) for at in (0xFF, 0x100, 0x14F, 0x150, 0x17F, 0x180, 0x999)}
    assert [each and each.name for each in found.values()] == [
        None, "function", "function", "label", "label", "asm", "asm",
    ]  # fmt: skip


def test_a_symbol_with_hundreds_inside_it_is_found() -> None:
    inside = [(0x1000 + at * 16, 8, f"inside_{at}") for at in range(500)]
    table = symbols((0x1000, 0x10000, "outside"), *inside)
    assert table.at(0x1000 + 499 * 16 + 7) == Symbol("inside_499", 0x1000 + 499 * 16, 8)
    assert table.at(0x1000 + 499 * 16 + 8) == Symbol("outside", 0x1000, 0x10000)


def test_a_label_ends_with_its_section() -> None:
    own = image(load(0, 0x100, 0x400, 0x400), sections=SECTIONS)
    table = symbols((0x180, 0, "label"), (0x200, 0, "__etext"))
    assert [symbol_at(own, table, at) for at in (0x17F, 0x200, 0x280, 0x300)] == [None] * 4
    assert symbol_at(own, table, 0x1FF) == Symbol("label", 0x180, 0)
    assert symbol_at(image(load(0, 0, 1, 1)), table, 0x300) == Symbol("__etext", 0x200, 0)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60)), max_size=40),
    st.integers(0, 400),
    st.sampled_from([0, (1 << 16) - 150, (1 << 64) - 401]),
)
def test_symbols_are_those_that_a_search_of_all_finds(
    places: list[tuple[int, int]], address: int, base: int
) -> None:
    entries = [(base + at, size, f"s{row}") for row, (at, size) in enumerate(places)]
    table = symbols(*entries)
    assert sorted(table) == sorted(Symbol(name, at, size) for at, size, name in entries)
    wanted = base + address
    inside = [(at, size) for at, size, _ in entries if at <= wanted < at + size]
    below = [(at, size) for at, size, _ in entries if at <= wanted]
    nearest = max((at for at, _ in below), default=0)
    symbol = table.at(wanted)
    if inside:
        assert symbol and (symbol.address, symbol.size) == max(inside)
    elif (nearest, 0) in below:
        assert symbol and (symbol.address, symbol.size) == (nearest, 0)
    else:
        assert symbol is None


def test_a_text_goes_to_its_end_or_as_far_as_is_sensible() -> None:
    assert text_at(b"\0one\0two", 1) == "one"
    assert text_at(b"\0one\0two", 5) == "two"
    assert text_at(b"\0", 99) == ""
    assert text_at(b"\xff\0", 0) == "\udcff"
    assert len(text_at(b"x" * 1_000_000, 0)) == 4096
