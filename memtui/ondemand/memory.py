"""Memory of a process that stands still, a page at a time: of one held, or of a core dump.

Source: /proc/PID/mem. Permission: ptrace attach access. Cost: 15 µs a page.
"""

from __future__ import annotations

from memtui.kernel.files import Files, Gap
from memtui.kernel.threads import living


class Memory:
    """Reads what is asked for, and no page twice."""

    def __init__(self, files: Files, pid: int, page_bytes: int) -> None:
        self._files = files
        self._name = f"{living(files, pid)}/mem"
        self._page_bytes = page_bytes
        self._pages: dict[int, bytes] = {}

    def read(self, address: int, length: int) -> bytes:
        """What is there: shorter where memory ends, or cannot be read."""
        parts = []
        while length > 0:
            start = address - address % self._page_bytes
            part = self._page(start)[address - start :][:length]
            parts.append(part)
            address += len(part)
            length -= len(part)
            if not part or address < start + self._page_bytes:
                break
        return b"".join(parts)

    def number(self, address: int, size_bytes: int = 8) -> int | None:
        """A little-endian number; None where it cannot be read."""
        data = self.read(address, size_bytes)
        return int.from_bytes(data, "little") if len(data) == size_bytes else None

    def _page(self, start: int) -> bytes:
        known = self._pages.get(start)
        if known is None:
            # The kernel takes an offset as a signed number: no program has memory in that half.
            is_offset = 0 <= start < 1 << 63
            data = self._files.read_at(self._name, start, self._page_bytes) if is_offset else b""
            known = self._pages[start] = b"" if isinstance(data, Gap) else data
        return known
