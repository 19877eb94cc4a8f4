"""A machine as bytes by name: what a recording of its files would be, and easy to fake.

Every reading is counted, and may be made to cost time on a `FakeClock`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from memtui.kernel.files import Files, FileStat, Gap, Kept, Records


class FakeClock:
    """Stands still until it is told, or a reading takes its time."""

    def __init__(self, now_s: float = 1000.0, cpu_share: float = 1.0) -> None:
        """`cpu_share`: how much of what passes is processor time of the thread that reads."""
        self.now_s = now_s
        self.cpu_share = cpu_share

    def monotonic_s(self) -> float:
        return self.now_s

    def boot_s(self) -> float:
        return self.now_s

    def cpu_s(self) -> float:
        return self.now_s * self.cpu_share


class Recorded(Files):
    """`files` is what there is now: change it, and the next reading tells.

    A Gap stands for what cannot be read. A kept file is that of the process that had the pid then:
    `replace` and `end` make it "gone". `costs_s`: by the last part of a name, what reading it takes.
    """

    def __init__(
        self, files: dict[str, bytes | Gap] | None = None, clock: FakeClock | None = None
    ) -> None:
        self.root = "a recording"
        self.is_live = False
        self.files = dict(files or {})
        self.clock = clock or FakeClock()
        self.costs_s: dict[str, float] = {}
        self.reads: Counter[str] = Counter()
        self.kept: set[KeptBytes] = set()
        self.keeps_at_most = 1 << 30
        self.on_read: Callable[[str], None] = lambda name: None

    def read(self, name: str) -> bytes | Gap:
        self.reads[name] += 1
        self.clock.now_s += self.costs_s.get(name.rpartition("/")[2], 0.0)
        self.on_read(name)
        found = self.files.get(name)
        return self._missing(name) if found is None else found

    def read_at(
        self, name: str, offset: int, length: int, of: FileStat | None = None
    ) -> bytes | Gap:
        if of is not None and self.stat(name) != of:
            return Gap(name, "gone")
        data = self.read(name)
        return data if isinstance(data, Gap) else data[offset : offset + length]

    def pieces(self, name: str) -> Iterator[bytes | Gap]:
        data = self.read(name)
        if isinstance(data, Gap):
            yield data
            return
        lines = data.splitlines(keepends=True)
        yield from (b"".join(lines[at : at + 1000]) for at in range(0, len(lines), 1000))

    def stat(self, name: str) -> FileStat | Gap:
        found = self.files.get(name)
        if isinstance(found, Gap):
            return found
        if found is None and not self.names(name):
            return self._missing(name)
        kind = "directory" if found is None else "file"
        return FileStat(kind, (0, 1), hash(name) & 0xFFFF, len(found or b""), 0)  # type: ignore[arg-type]

    def pids(self) -> list[int]:
        return [int(name) for name in self.names("proc") if name.isdecimal()]

    def names(self, directory: str) -> list[str]:
        begin = directory.rstrip("/") + "/"
        below = (name.removeprefix(begin) for name in self.files if name.startswith(begin))
        return sorted({name.split("/")[0] for name in below})

    def directories(self, directory: str) -> list[str]:
        names = self.names(directory)
        return [name for name in names if f"{directory.rstrip('/')}/{name}" not in self.files]

    def keep(self, name: str) -> Kept | Gap:
        if len(self.kept) >= self.keeps_at_most:
            return Gap(name, "failed", "as many as may be")
        return KeptBytes(self, name) if name in self.files else self._missing(name)

    def records(self, name: str, *, only_new: bool = False) -> Records | Gap:
        if name not in self.files:
            return self._missing(name)
        return SavedRecords(self, name, only_new)

    # What happens to processes.

    def start(self, pid: int, start_ticks: int = 1, comm: str = "x", pages: int = 10) -> None:
        """A process with its files, all of it anonymous memory."""
        own = f"proc/{pid}/"
        self.files[own + "stat"] = (
            f"{pid} ({comm}) S 1 {pid} {pid} 0 -1 4194304 1 0 1 0 0 0 0 0 20 0 1 0 "
            f"{start_ticks} {pages * 4096} {pages}".encode()
            + b" 0" * 27
            + b"\n"
        )
        self.files[own + "status"] = f"Name:\t{comm}\nUid:\t0\t0\t0\t0\nVmSwap:\t0 kB\n".encode()
        self.files[own + "oom_score"] = b"7\n"
        self.resize(pid, pages)

    def resize(self, pid: int, pages: int) -> None:
        own = f"proc/{pid}/"
        head = f"400000-{0x400000 + pages * 4096:x} rw-p 00000000 00:00 0 \n"
        size = f"Size: {pages * 4} kB\nRss: {pages * 4} kB\nPss: {pages * 4} kB\n"
        rollup = head.replace(" \n", " [rollup]\n") + size.partition("\n")[2]
        rollup += f"Private_Clean: 0 kB\nPrivate_Dirty: {pages * 4} kB\n"
        self.files[own + "statm"] = f"{pages} {pages} 0 1 0 {pages} 0\n".encode()
        self.files[own + "maps"] = head.encode()
        self.files[own + "smaps"] = (head + size).encode()
        self.files[own + "smaps_rollup"] = rollup.encode()

    def end(self, pid: int) -> None:
        for name in [name for name in self.files if name.startswith(f"proc/{pid}/")]:
            del self.files[name]
        for kept in self.kept:
            if kept.name.startswith(f"proc/{pid}/"):
                kept.is_gone = True

    def _missing(self, name: str) -> Gap:
        parts = name.split("/")
        is_process = len(parts) > 2 and parts[0] == "proc" and parts[1].isdecimal()
        return Gap(name, "gone" if is_process and not self.names("/".join(parts[:2])) else "absent")


class KeptBytes:
    def __init__(self, files: Recorded, name: str) -> None:
        self.name = name
        self.is_gone = False
        self._files = files
        files.kept.add(self)

    def read(self) -> bytes | Gap:
        return Gap(self.name, "gone") if self.is_gone else self._files.read(self.name)

    def read_record(self) -> bytes | Gap:
        return self.read()

    def close(self) -> None:
        self._files.kept.discard(self)


class SavedRecords:
    def __init__(self, files: Recorded, name: str, only_new: bool) -> None:
        self._files = files
        self._name = name
        self._at = len(self._whole()) if only_new else 0

    def _whole(self) -> bytes:
        data = self._files.read(self._name)
        return b"" if isinstance(data, Gap) else data

    def read(self, at_most: int) -> tuple[list[bytes], bool] | Gap:
        news = self._whole()[self._at :]
        self._at += len(news)
        return ([news] if news else []), False

    def close(self) -> None:
        """Nothing is open."""


def recorded(root: str) -> Recorded:
    """All the files of a captured tree, as bytes."""
    found: dict[str, bytes | Gap] = {}
    for directory, _, names in os.walk(root, followlinks=True):
        for name in names:
            path = Path(directory, name)
            if path.is_file():
                found[str(path.relative_to(root))] = path.read_bytes()
    return Recorded(found)
