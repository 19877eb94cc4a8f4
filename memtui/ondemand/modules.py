"""The ELF files of an address space, each opened once: which one an address is in, and where in it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO, Final

from memtui.kernel.files import Files, Gap
from memtui.kernel.maps import Mappings
from memtui.model.map.image import Image, Symbols, load_bias
from memtui.ondemand.elf import image_of, mapped_file, opened
from memtui.ondemand.memory import Memory

_VDSO: Final = "[vdso]"
_VDSO_AT_MOST: Final = 1 << 20
_DEBUG: Final = "usr/lib/debug/.build-id"


@dataclass(slots=True)
class Module:
    """One file and where the loader put it: its addresses plus `bias` are those in memory.

    `debug` is the file that has what was stripped from this one, if it is installed: its symbols are
    in `debug_symbols`.
    """

    path: str
    image: Image
    symbols: Symbols
    bias: int
    file: BinaryIO
    debug: BinaryIO | None = None
    debug_symbols: Symbols | None = None


class Modules:
    """Finds the file that an address is in. One that cannot be read has none."""

    def __init__(
        self, files: Files, pid: int, mappings: Mappings, memory: Memory, page_bytes: int
    ) -> None:
        self.mappings = mappings
        self._files = files
        self._pid = pid
        self._memory = memory
        self._page_bytes = page_bytes
        self._known: dict[tuple[str, str, int], Module | None] = {}

    def at(self, row: int) -> Module | None:
        """The file that a mapping is of."""
        mappings = self.mappings
        which = (mappings.paths[row], mappings.devs[row], mappings.inodes[row])
        if which not in self._known:
            self._known[which] = self._open(row)
        return self._known[which]

    def _open(self, row: int) -> Module | None:
        path = self.mappings.paths[row]
        if path == _VDSO:
            return self._vdso(row)
        if not path.startswith("/"):
            return None
        found = mapped_file(self._files, self._pid, self.mappings, row)
        if isinstance(found, Gap):
            return None
        read = image_of(path, file := opened(self._files, *found))
        if isinstance(read, Gap):
            return None
        bias = load_bias(read[0], self.mappings, row, self._page_bytes)
        if bias is None:
            return None
        module = Module(path, *read, bias, file)
        if read[1].table != ".symtab" and read[0].build_id:
            self._open_debug(module, read[0].build_id)
        return module

    def _open_debug(self, module: Module, build_id: str) -> None:
        name = f"{_DEBUG}/{build_id[:2]}/{build_id[2:]}.debug"
        found = self._files.stat(name)
        if isinstance(found, Gap) or found.kind != "file":
            return
        read = image_of(name, file := opened(self._files, name, found))
        if not isinstance(read, Gap) and read[0].build_id == build_id:
            module.debug, module.debug_symbols = file, read[1]

    def _vdso(self, row: int) -> Module | None:
        """The kernel's own library, which is in memory alone."""
        start, end = self.mappings.starts[row], self.mappings.ends[row]
        data = self._memory.read(start, min(end - start, _VDSO_AT_MOST))
        read = image_of(_VDSO, file := io.BytesIO(data))
        if isinstance(read, Gap) or not read[0].loads:
            return None
        return Module(_VDSO, *read, start - read[0].loads[0].vaddr, file)
