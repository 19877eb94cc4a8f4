"""Programs to be looked into, an ELF file made by hand, and what readelf says of a file."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import Mappings, parse_maps, read_mappings
from memtui.model.keys import ProcessKey
from memtui.model.map.image import Image, Section, Segment, Symbol, Symbols
from memtui.ondemand.elf import read_image
from tests.programs import key_of
from tests.terminal import state, wait_until

FILES = LiveFiles()
FUNCTIONS = 500

# Says where its things are and what was added to the addresses in each file it is made of. The
# library of the first argument is loaded, and loaded once more beside that.
_PROGRAM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <unistd.h>

extern int (*const functions[])(void);
const char constant[64] = "constant";
char data[64] = "data";
char bss[100000];

static int tell(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size, (void)unused;
    printf("load %lx %s\n", (unsigned long)info->dlpi_addr, info->dlpi_name);
    return 0;
}

int main(int count, char **words)
{
#ifdef WITH_LIBRARY
    if (count > 1 && dlopen(words[1], RTLD_NOW)) {
        struct link_map *again;
        void *handle = dlmopen(LM_ID_NEWLM, words[1], RTLD_NOW);
        if (!handle || dlinfo(handle, RTLD_DI_LINKMAP, &again)) return 1;
        printf("load %lx %s\n", (unsigned long)again->l_addr, again->l_name);
    }
#else
    (void)count, (void)words;
#endif
    dl_iterate_phdr(tell, 0);
    printf("at %p constant\nat %p data\nat %p bss\n", constant, data, bss);
    for (int i = 0; functions[i]; i++) printf("at %p function_%d\n", functions[i], i);
    puts("ready");
    fflush(stdout);
    return getchar() < 0;
}
"""
_LIBRARY = """
static int counted[3000];
char *filled[] = {"relocated"};
int inside(int i) { return counted[i] + *filled[0]; }
"""


class Running(NamedTuple):
    """A program that waits: the addresses it told, and the load biases of a file (by real path)."""

    path: str
    key: ProcessKey
    mappings: Mappings
    places: dict[str, int]
    biases: dict[str, list[int]]

    def rows(self, path: str) -> list[int]:
        return [row for row, other in enumerate(self.mappings.paths) if other == path]

    def image(self, row: int | None = None) -> tuple[Image, Symbols]:
        """The file of a mapping; of the program itself without a row."""
        row = self.rows(self.path)[0] if row is None else row
        return found(read_image(FILES, self.key, self.mappings, row))

    def memory(self, address: int, length: int) -> bytes:
        data = FILES.read_at(f"proc/{self.key.pid}/mem", address, length)
        assert isinstance(data, bytes), data
        return data


def found(answer: tuple[Image, Symbols] | Gap) -> tuple[Image, Symbols]:
    assert not isinstance(answer, Gap), answer
    return answer


def gap(answer: tuple[Image, Symbols] | Gap) -> Gap:
    assert isinstance(answer, Gap), answer
    return answer


def compile_c(text: str, path: Path, *options: str) -> Path:
    """Skips the test where gcc is missing, or cannot do what the options ask for."""
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    command = ["gcc", "-x", "c", "-", "-O0", "-o", str(path), *options]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"gcc cannot do {' '.join(options)}: {done.stderr[-100:]}")
    return path


def compile_program(path: Path, *options: str) -> Path:
    names = [f"function_{number}" for number in range(FUNCTIONS)]
    functions = [f"int {name}(void) {{ return {at}; }}" for at, name in enumerate(names)]
    table = f"int (*const functions[])(void) = {{{', '.join(names)}, 0}};"
    # The library is for programs that can load one.
    static = any("static" in option for option in options)
    shared = [] if static else ["-DWITH_LIBRARY", "-ldl"]
    return compile_c("\n".join([_PROGRAM, *functions, table]), path, *options, *shared)


def compile_library(path: Path, *options: str) -> Path:
    return compile_c(_LIBRARY, path, "-shared", "-fPIC", *options)


@contextmanager
def running(program: Path, *words: str | Path) -> Iterator[Running]:
    with subprocess.Popen(
        [program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        places, biases = {}, dict[str, list[int]]()
        for line in child.stdout:
            if line == "ready\n":
                break
            what, number, name = line.rstrip("\n").split(" ", 2)
            if what == "at":
                places[name] = int(number, 16)
            elif name != "linux-vdso.so.1":
                # The program itself is told of without a name.
                path = os.path.realpath(name or program)
                biases.setdefault(path, []).append(int(number, 16))
        try:
            # What it waits by is on its heap.
            wait_until(lambda: state(child.pid) == "S", "asleep")
            mappings = read_mappings(FILES, child.pid, "maps")
            assert isinstance(mappings, Mappings), mappings
            yield Running(os.path.realpath(program), key_of(child.pid), mappings, places, biases)
        finally:
            child.kill()


def image_of(path: Path | str) -> tuple[Image, Symbols] | Gap:
    """A file as if it was mapped by this process."""
    inode = os.stat(path).st_ino
    line = f"1000-2000 r--p 00000000 00:00 {inode} {path}\n"
    return read_image(FILES, key_of(os.getpid()), parse_maps(os.fsencode(line)), 0)


# What readelf says.

_SEGMENT = re.compile(r"^  (\w+) +0x(\w+) 0x(\w+) 0x\w+ 0x(\w+) 0x(\w+) (...) (\w+)$", re.M)
_SECTION = re.compile(
    r"^ +\[ *(\d+)\] (\S*) +(\w+) +(\w{8,}) (\w+) (\w+) \w\w +([A-Zl]*) +\d+ +\d+ +\d+$", re.M
)
_TABLE = re.compile(r"^Symbol table '(\S+)' contains.*$", re.M)
_SYMBOL = re.compile(
    r"^ *\d+: (\w+) +(\w+) (?:NOTYPE|OBJECT|FUNC|IFUNC) +\w+ +\w+ +(?:\[.*\] +)?\d+ (\S+)", re.M
)


def readelf(option: str, path: Path | str) -> str:
    if not shutil.which("readelf"):
        pytest.skip("binutils is not installed")
    command = ["readelf", option, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def segments_by_readelf(path: Path | str) -> list[Segment]:
    return [
        Segment(
            type_,
            int(offset, 16),
            int(vaddr, 16),
            int(file_size, 16),
            int(mem_size, 16),
            flags,
            int(align, 0),
        )
        for type_, offset, vaddr, file_size, mem_size, flags, align in _SEGMENT.findall(
            readelf("-lW", path)
        )
    ]


def sections_by_readelf(path: Path | str) -> list[Section]:
    return [
        Section(
            int(number),
            name,
            type_,
            int(address, 16),
            int(offset, 16),
            int(size, 16),
            flags,
            "A" in flags,
        )
        for number, name, type_, address, offset, size, flags in _SECTION.findall(
            readelf("-SW", path)
        )
    ]


def symbols_by_readelf(path: Path | str) -> dict[str, list[Symbol]]:
    """The defined ones of each table, in the order of addresses, sizes and names."""
    _, *parts = _TABLE.split(readelf("-sW", path))
    tables = {}
    for table, text in zip(parts[::2], parts[1::2], strict=True):
        tables[table] = sorted(
            (
                # The version of a dynamic symbol is from another section.
                Symbol(
                    name.partition("@")[0] if table == ".dynsym" else name,
                    int(address, 16),
                    int(size, 0),
                )
                for address, size, name in _SYMBOL.findall(text)
            ),
            key=by_place,
        )
    return tables


def check_against_readelf(path: str, image: Image, symbols: Symbols) -> None:
    assert list(image.segments) == segments_by_readelf(path)
    assert list(image.sections) == sections_by_readelf(path)
    build_id = re.search(r"Build ID: (\w+)", readelf("-nW", path))
    assert image.build_id == (build_id and build_id[1])
    interpreter = re.search(r"program interpreter: (.*)]", readelf("-lW", path))
    assert image.interpreter == (interpreter and interpreter[1])
    is_pie = "Position-Independent" in readelf("-hW", path)
    assert (image.kind == "position-independent executable") == is_pie
    tables = symbols_by_readelf(path)
    # The full table where it has not been stripped.
    assert symbols.table == (".symtab" if ".symtab" in tables else ".dynsym")
    assert sorted(symbols, key=by_place) == tables[symbols.table]
    places = [(symbol.address, symbol.size) for symbol in symbols]
    assert places == sorted(places) and len(symbols) == len(places)


def by_place(symbol: Symbol) -> tuple[int, int, str]:
    return symbol.address, symbol.size, symbol.name


# A file made by hand.


class HandMade(NamedTuple):
    """An ELF file with symbols `start` (a function), `label` (no size) and `value` (an object)."""

    data: bytes
    is_64: bool
    order: str

    def header(self, table: str, index: int, field: str) -> tuple[int, str]:
        """Offset and format of a field of a header: of `section` or `program`, or of the `file`."""
        start, names, formats = _layout(table, self.is_64)
        if table != "file":
            at, _ = self.header("file", 0, "shoff" if table == "section" else "phoff")
            (base,) = struct.unpack_from(self.order + ("Q" if self.is_64 else "I"), self.data, at)
            start = base + index * struct.calcsize(self.order + formats)
        place = names.index(field)
        return start + struct.calcsize(self.order + formats[:place]), formats[place]

    def with_field(self, table: str, index: int, field: str, value: int) -> HandMade:
        at, format_ = self.header(table, index, field)
        data = bytearray(self.data)
        struct.pack_into(self.order + format_, data, at, value)
        return self._replace(data=bytes(data))


def _layout(table: str, is_64: bool) -> tuple[int, list[str], str]:
    """Where such a header begins, if that is known, its fields and their formats."""
    if table == "file":
        names = "type machine version entry phoff shoff flags ehsize phentsize phnum shentsize "
        return 16, (names + "shnum shstrndx").split(), "HHIQQQIHHHHHH" if is_64 else "HHIIIIIHHHHHH"
    if table == "section":
        names = "name type flags addr offset size link info addralign entsize"
        return 0, names.split(), "IIQQQQIIQQ" if is_64 else "IIIIIIIIII"
    if is_64:
        return 0, "type flags offset vaddr paddr filesz memsz align".split(), "IIQQQQQQ"
    return 0, "type offset vaddr paddr filesz memsz flags align".split(), "IIIIIIII"


BASE = 0x10000
SECTIONS = ("", ".text", ".note", ".interp", ".dynamic", ".data", ".bss", ".symtab", ".strtab")


def hand_made(is_64: bool = True, order: str = "<", machine: int = 0) -> HandMade:
    """One LOAD of everything at BASE, a second for .data and .bss, and all that is pointed to."""

    def pack(table: str, **fields: int) -> bytes:
        _, names, formats = _layout(table, is_64)
        return struct.pack(order + formats, *(fields.get(name, 0) for name in names))

    sizes = {table: len(pack(table)) for table in ("file", "program", "section")}
    program_at = 16 + sizes["file"]
    at = program_at + 5 * sizes["program"]
    at += -at % 16
    word = "Q" if is_64 else "I"
    strings = b"\0start\0label\0value\0$d\0"
    names = b"\0".join(name.encode() for name in (*SECTIONS, ".shstrtab")) + b"\0"
    bodies = {
        ".text": b"\x90" * 64,
        ".note": struct.pack(order + "III8s4s", 5, 3, 3, b"abcd", b"xyz")
        + struct.pack(order + "III4s4s", 4, 4, 3, b"GNU\0", b"\xde\xad\xbe\xef"),
        ".interp": b"/lib/loader\0",
        ".dynamic": struct.pack(order + 4 * word, 0x6FFF_FFFB, 0x0800_0000, 0, 0),
        ".data": b"d" * 32,
        ".bss": b"",
        ".symtab": b"",
        ".strtab": strings,
        ".shstrtab": names,
    }
    offsets = {}
    for name in bodies:
        offsets[name] = at
        if name == ".symtab":
            text, data = BASE + offsets[".text"], BASE + offsets[".data"]
            bodies[name] = b"".join(
                struct.pack(
                    order + ("IBBHQQ" if is_64 else "IIIBBH"),
                    *(
                        (at, info, 0, section, address, size)
                        if is_64
                        else (at, address, size, info, 0, section)
                    ),
                )
                for at, info, section, address, size in (
                    (0, 0, 0, 0, 0),
                    (1, 0x12, 1, text + 1 if machine == 40 else text, 16),
                    (7, 0x10, 1, text + 32, 0),
                    (13, 0x11, 5, data, 8),
                    (19, 0x00, 1, text + 40, 0),  # "$d"
                    (1, 0x12, 0, text, 16),  # undefined
                    (1, 0x10, 0xFFF1, 99, 0),  # absolute
                )
            )
        at += len(bodies[name]) + -len(bodies[name]) % 16
    types = {".note": 7, ".dynamic": 6, ".bss": 8, ".symtab": 2, ".strtab": 3, ".shstrtab": 3}
    flags = {".text": 6, ".data": 3, ".bss": 3, ".dynamic": 3, ".note": 2, ".interp": 2}
    rows = [pack("section")]
    for name, body in bodies.items():
        rows.append(
            pack(
                "section",
                name=names.index(name.encode() + b"\0"),
                type=types.get(name, 1),
                flags=flags.get(name, 0),
                addr=BASE + offsets[name] if name in flags else 0,
                offset=offsets[name],
                size=4096 if name == ".bss" else len(body),
                link=8 if name == ".symtab" else 0,
                entsize=(24 if is_64 else 16) if name == ".symtab" else 0,
            )
        )
    ends = {name: offsets[name] + len(body) for name, body in bodies.items()}
    programs = [
        pack(
            "program", type=1, flags=5, vaddr=BASE, filesz=offsets[".data"], memsz=offsets[".data"]
        ),
        pack(
            "program",
            type=1,
            flags=6,
            offset=offsets[".data"],
            vaddr=BASE + offsets[".data"],
            filesz=32,
            memsz=32 + 4096,
        ),
    ]
    for type_, name in ((4, ".note"), (3, ".interp"), (2, ".dynamic")):
        size = ends[name] - offsets[name]
        place = {"offset": offsets[name], "vaddr": BASE + offsets[name]}
        programs.append(
            pack("program", type=type_, flags=4, filesz=size, memsz=size, align=4, **place)
        )
    ident = bytes([*b"\x7fELF", 2 if is_64 else 1, 1 if order == "<" else 2, 1, *bytes(9)])
    header = ident + pack(
        "file",
        type=3,
        machine=machine or (62 if is_64 else 8),
        version=1,
        entry=BASE + offsets[".text"],
        phoff=program_at,
        shoff=at,
        ehsize=program_at,
        phentsize=sizes["program"],
        phnum=len(programs),
        shentsize=sizes["section"],
        shnum=len(rows),
        shstrndx=len(rows) - 1,
    )
    whole = bytearray(at)
    before = header + b"".join(programs)
    whole[: len(before)] = before
    for name, body in bodies.items():
        whole[offsets[name] : offsets[name] + len(body)] = body
    return HandMade(bytes(whole) + b"".join(rows), is_64, order)
