"""A memory cgroup with a limit and a swap file of its own, and programs that live in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

MIB: Final = 1 << 20
_HIERARCHY: Final = Path("/sys/fs/cgroup/memory")  # version 1's

# Takes so many MiB, then changes pages of them, here and there, without an end.
_HOG: Final = """
import mmap, random, sys
size = int(sys.argv[1]) << 20
memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, size, 4096):
    memory[at : at + 8] = b"x" * 8
print("taken", flush=True)
while True:
    memory[random.randrange(size)] = 1
"""


class Squeeze:
    """A cgroup. What `argv` gives back starts in it; `kills` counts the kernel's in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def argv(self, *words: str) -> list[str]:
        """The words of a program that moves into the cgroup before it begins."""
        return ["sh", "-c", f'echo $$ > "{self.path}/cgroup.procs" && exec "$@"', "sh", *words]

    @property
    def kills(self) -> int:
        fields = (self.path / "memory.oom_control").read_text().split()
        return int(fields[fields.index("oom_kill") + 1])

    @property
    def limit_hits(self) -> int:
        """How often somebody in it had to reclaim first, or failed."""
        return int((self.path / "memory.failcnt").read_text())

    @contextmanager
    def hog(self, mib: int) -> Iterator[subprocess.Popen[bytes]]:
        """A program in it that takes so much, and is the one to be killed where that is too much."""
        with subprocess.Popen(
            self.argv("choom", "-n", "1000", "--", sys.executable, "-c", _HOG, str(mib)),
            stdout=subprocess.PIPE,
        ) as child:
            try:
                yield child
            finally:
                child.kill()


@contextmanager
def squeeze(limit_mib: int, swap_mib: int, directory: Path) -> Iterator[Squeeze]:
    """A cgroup with so much memory and, with a swap file in `directory`, so much swap.

    Skips the test where that cannot be had. Leaves nothing behind.
    """
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a memory cgroup and a swap file")
    if not (_HIERARCHY / "memory.limit_in_bytes").exists():
        pytest.skip("needs the memory hierarchy of cgroup version 1")
    for tool in ("mkswap", "swapon", "choom"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    path = _HIERARCHY / f"memtui-test-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        if swap_mib:
            stack.enter_context(_swap_file(directory / "swap", swap_mib))
        path.mkdir()
        stack.callback(_remove, path)
        (path / "memory.limit_in_bytes").write_text(str(limit_mib * MIB))
        # 0 is none at all, whatever other swap the machine has.
        (path / "memory.swappiness").write_text("60" if swap_mib else "0")
        yield Squeeze(path)


@contextmanager
def _swap_file(path: Path, mib: int) -> Iterator[None]:
    with path.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        for _ in range(mib):
            file.write(bytes(MIB))
    try:
        if not _runs(["mkswap", str(path)]) or not _runs(["swapon", str(path)]):
            pytest.skip("this machine takes no swap file")
        try:
            yield
        finally:
            _runs(["swapoff", str(path)])
    finally:
        path.unlink()


def _runs(argv: Sequence[str]) -> bool:
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def _remove(path: Path) -> None:
    """Kills what is left in the cgroup, and takes it away."""
    deadline = time.monotonic() + 10
    while True:
        for pid in (path / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), 9)
        try:
            path.rmdir()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
