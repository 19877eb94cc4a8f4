"""What opens with Enter in the map view: what a mapping is, and what the linker put there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from memtui import units
from memtui.kernel.files import Gap
from memtui.kernel.maps import Mappings
from memtui.tui.widgets.page import text_of
from tests.child import child
from tests.conftest import open_host
from tests.elf_files import (
    FILES,
    Running,
    compile_program,
    hand_made,
    readelf,
    sections_by_readelf,
)
from tests.elf_files import running as running_program
from tests.inside import (
    PAGE,
    app_on,
    bias_by_readelf,
    code_row,
    column,
    look_inside,
    on_map,
    sizes,
    spoken,
)
from tests.interface import (
    cursor,
    detail,
    is_whole,
    java,
    map_in,
    press,
    screen,
    screen_text,
)

UNSAFE = "a\x1b]0;X\x07z"


# Programs.


@sizes
async def test_code_has_the_sections_that_readelf_says(
    program: Running, size: tuple[int, int]
) -> None:
    row, bias = code_row(program), bias_by_readelf(program)
    start, end = program.mappings.starts[row], program.mappings.ends[row]
    assert bias == program.biases[program.path][0]
    app = app_on(program.key)
    async with on_map(app, size) as pilot:
        sheet = await look_inside(pilot, program.places["function_7"])
        within = [
            section
            for section in sections_by_readelf(program.path)
            if section.is_loaded and start <= bias + section.address < end
        ]
        kinds, names, places = (column(sheet, name) for name in ("what", "name", "range"))
        first = kinds.index("section")
        assert names[first:] == [section.name for section in within]
        assert ".text" in names
        assert places[first:] == [
            f"{units.address(bias + section.address)}"
            f"–{units.address(bias + section.address + section.size)}"
            for section in within
        ]
        assert f"load bias {bias:#x}" in screen(app)
        entry = re.search(r"Entry point address: +(0x\w+)", readelf("-hW", program.path))
        assert entry and f"entry {entry[1]}" in spoken(app)
        assert f"{start:012x}–{end:012x}" in screen_text(app)[0]


@sizes
async def test_the_cursors_section_and_symbol_are_marked(
    program: Running, size: tuple[int, int]
) -> None:
    address = program.places["function_7"]
    app = app_on(program.key)
    async with on_map(app, size) as pilot:
        sheet = await look_inside(pilot, address + 2)
        assert column(sheet, "name")[sheet.table.cursor] == ".text"
        marked = [at for at, note in enumerate(column(sheet, "note")) if "cursor" in note]
        assert marked == [sheet.table.cursor]
        assert any(line.startswith("▌") and ".text" in line for line in screen_text(app))
        assert f"{address + 2:012x} is in .text · function_7 + 0x2" in screen(app)
        # Of another row, where that begins; and of this one the cursor's address again.
        await press(pilot, "up")
        assert "function_7" not in screen(app)
        await press(pilot, "down")
        assert "function_7 + 0x2" in screen(app)
        await press(pilot, "y")
        assert "function_7 + 0x2" in app.clipboard and ".text" in app.clipboard


@sizes
async def test_places_in_data_and_bss_are_in_their_sections(
    program: Running, size: tuple[int, int]
) -> None:
    """The last pages of .bss are an anonymous mapping of their own."""
    app = app_on(program.key)
    async with on_map(app, size) as pilot:
        for name, section, address in (
            ("constant", ".rodata", program.places["constant"]),
            ("data", ".data", program.places["data"]),
            ("bss", ".bss", program.places["bss"] + 90_000),
        ):
            sheet = await look_inside(pilot, address)
            assert column(sheet, "name")[sheet.table.cursor] == section
            assert f"is in {section} · {name}" in screen(app)
            await press(pilot, "escape")
            assert app.session.chosen.address == address
        assert not map_in(app).mappings.paths[cursor(app)]  # the tail of .bss


@sizes
async def test_enter_goes_to_a_section_in_the_map(program: Running, size: tuple[int, int]) -> None:
    bias = bias_by_readelf(program)
    text = next(each for each in sections_by_readelf(program.path) if each.name == ".text")
    app = app_on(program.key)
    async with on_map(app, size) as pilot:
        sheet = await look_inside(pilot, program.places["function_499"])
        assert column(sheet, "name")[sheet.table.cursor] == ".text"
        await press(pilot, "enter")
        assert len(app.screen_stack) == 1
        assert app.session.chosen.address == bias + text.address
        assert map_in(app).mappings.paths[cursor(app)] == program.path
        is_whole(app)


@sizes
async def test_enter_never_leaves_the_mapping(program: Running, size: tuple[int, int]) -> None:
    """A segment may begin in the page before: relro parts the data segment in two mappings."""
    app = app_on(program.key)
    async with on_map(app, size) as pilot:
        row = next(row for row in range(9) if "w" in map_in(app).mappings.perms[row])
        start, end = map_in(app).mappings.starts[row], map_in(app).mappings.ends[row]
        sheet = await look_inside(pilot, start)
        for at in range(len(sheet.table.page.rows)):
            await press(pilot, "home", *["down"] * at, "enter")
            assert app.session.chosen.address is not None
            assert start <= app.session.chosen.address < end
            assert cursor(app) == row
            sheet = await look_inside(pilot, start)


@sizes
async def test_names_in_a_program_that_a_terminal_would_obey(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """Its own name, and those of a section and of a symbol in it."""
    static = compile_program(tmp_path / UNSAFE, "-static", "-no-pie")
    data = static.read_bytes()
    for name, other in (
        (b"\0.rodata\0", b"\0\x1b]0;Y\x07z\0"),
        (b"\0function_7\0", b"\0\x1b]0;Z\x07name\0"),
    ):
        assert len(name) == len(other) and data.count(name) == 1
        data = data.replace(name, other)
    static.write_bytes(data)
    with running_program(static) as started:
        app = app_on(started.key)
        async with on_map(app, size) as pilot:
            is_whole(app)
            sheet = await look_inside(pilot, started.places["function_7"] + 1)
            title = text_of(sheet._page.title)
            assert "a\\e]0;X\\x07z" in title and "\x1b" not in title
            assert "load bias 0: addresses in the file are those in memory" in spoken(app)
            assert "is in .text · \\e]0;Z\\x07name + 0x1" in screen(app)
            await press(pilot, "y")
            assert not {"\x1b", "\x07"} & {*app.clipboard}
            await press(pilot, "escape")
            await look_inside(pilot, started.places["constant"])
            assert "\\e]0;Y\\x07z" in screen(app)
            await press(pilot, "y")
            assert not {"\x1b", "\x07"} & {*app.clipboard}
            is_whole(app)


@sizes
async def test_the_file_of_a_program_was_deleted(tmp_path: Path, size: tuple[int, int]) -> None:
    file = compile_program(tmp_path / "program")
    with running_program(file) as started:
        file.unlink()
        row, mappings = code_row(started), started.mappings
        mapped = f"{mappings.starts[row]:x}-{mappings.ends[row]:x}"
        app = app_on(started.key)
        async with on_map(app, size) as pilot:
            sheet = await look_inside(pilot, started.places["function_7"])
            assert text_of(sheet._page.title).endswith("/program (deleted)")
            opened = FILES.stat(f"proc/{started.key.pid}/map_files/{mapped}")
            if isinstance(opened, Gap):
                assert "was deleted or replaced while it is mapped" in spoken(app)
                assert "rss" in column(sheet, "name")
            else:
                assert "is in .text · function_7" in screen(app)


# What is no program.


def figures_of(pid: int, start: int) -> dict[str, int]:
    """Figures of a mapping in bytes, as smaps has them."""
    text = Path(f"/proc/{pid}/smaps").read_text()
    part = re.split(r"^(?=[0-9a-f]+-)", text, flags=re.M)
    own = next(each for each in part if each.startswith(f"{start:x}-"))
    return {key: int(kib) << 10 for key, kib in re.findall(r"^(\w+): +(\d+) kB$", own, re.M)}


@sizes
async def test_a_heap_shows_the_figures_of_smaps(program: Running, size: tuple[int, int]) -> None:
    app = app_on(program.key)
    async with on_map(app, size) as pilot:
        mappings = map_in(app).mappings
        start = mappings.starts[list(mappings.paths).index("[heap]")]
        sheet = await look_inside(pilot, start)
        assert "[heap]" in screen_text(app)[0]
        shown = dict(zip(column(sheet, "name"), column(sheet, "value"), strict=True))
        real = figures_of(program.key.pid, start)
        assert real["Private_Dirty"]
        for name, key in (
            ("size", "Size"),
            ("rss", "Rss"),
            ("pss", "Pss"),
            ("private dirty", "Private_Dirty"),
            ("anonymous", "Anonymous"),
            ("swap", "Swap"),
            ("kernel page size", "KernelPageSize"),
        ):
            assert shown[name] == units.size(real[key]), name
        assert "The kernel's flags:" in screen(app)
        # Figures are no places.
        await press(pilot, "down", "enter")
        assert app.screen is sheet
        await press(pilot, "y", "escape")
        assert "private dirty" in app.clipboard
        assert app.session.chosen.address == start


@sizes
async def test_nothing_is_inside_a_hole(program: Running, size: tuple[int, int]) -> None:
    mappings = program.mappings
    hole = next(end for end, after in holes(mappings) if after - end > PAGE)
    app = app_on(program.key)
    async with on_map(app, size) as pilot:
        await look_inside(pilot, hole)
        assert "Nothing is mapped here" in screen(app)
        await press(pilot, "down", "enter", "y", "escape")
        assert len(app.screen_stack) == 1
        assert app.session.chosen.address == hole
        assert "is not mapped" in detail(app)[0]


def holes(mappings: Mappings) -> list[tuple[int, int]]:
    return list(zip(mappings.ends, mappings.starts[1:], strict=False))


@sizes
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"words\n" * 2000, "is not known: not an ELF file."),
        (b"\x7fELF" + b"\xff" * 9000, "What the file says is not known:"),
        (hand_made().data[:100], "What the file says is not known:"),
    ],
    ids=["text", "no header", "cut off"],
)
async def test_a_file_that_is_no_elf_file(
    tmp_path: Path, data: bytes, words: str, size: tuple[int, int]
) -> None:
    file = tmp_path / UNSAFE
    file.write_bytes(data)
    with child() as started:
        started.run(
            f"import mmap; m = mmap.mmap(os.open({str(file)!r}, os.O_RDONLY), 0, access=1); m[:]"
        )
        app = started.watched()
        async with on_map(app, size) as pilot:
            mappings = map_in(app).mappings
            start = mappings.starts[list(mappings.paths).index(str(file))]
            sheet = await look_inside(pilot, start)
            assert words in spoken(app)
            shown = dict(zip(column(sheet, "name"), column(sheet, "value"), strict=True))
            assert shown["rss"] == units.size(figures_of(started.key.pid, start)["Rss"])
            await press(pilot, "enter", "y")
            assert app.screen is sheet
            assert not {"\x1b", "\x07"} & {*app.clipboard}


@sizes
async def test_an_elf_file_that_was_mapped_whole(
    path: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    """Read like any file, none of it where its program headers want it."""
    with child() as started:
        started.run(f"import mmap; m = mmap.mmap(os.open({str(path)!r}, os.O_RDONLY), 0, access=1)")
        app = started.watched()
        async with on_map(app, size) as pilot:
            mappings = map_in(app).mappings
            sheet = await look_inside(
                pilot, mappings.starts[list(mappings.paths).index(str(path))] + PAGE
            )
            assert "position-independent executable" in screen(app)
            names = column(sheet, "name")
            assert "rss" in names or ".text" in names
            await press(pilot, *["down"] * 3, "enter")
            # A figure is no place to go to; a section is.
            assert (app.screen is sheet) == ("rss" in names)


@sizes
async def test_a_captured_machine_has_figures_and_no_files(size: tuple[int, int]) -> None:
    app = java(open_host("debian-6.18"))
    async with on_map(app, size) as pilot:
        map_ = map_in(app)
        row = next(at for at, name in enumerate(map_.mappings.paths) if "libjvm" in name)
        sheet = await look_inside(pilot, map_.mappings.starts[row])
        assert re.search(r"What the file says is not known: \w+", spoken(app))
        shown = dict(zip(column(sheet, "name"), column(sheet, "value"), strict=True))
        assert shown["rss"] == units.size(map_.mappings.usage["Rss"][row])
        await press(pilot, "enter", "y")
        assert app.screen is sheet
        await press(pilot, "escape")
        assert cursor(app) == row
