"""Who holds shared memory: this kernel's, as root and as somebody else, and a captured tree's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memtui.kernel.livefiles import LiveFiles
from memtui.live.machine import machine_of
from memtui.model.system.owners import Owner, Owners
from memtui.ondemand.owners import find_owners
from tests.oracles import until_alike

MIB = 1 << 20
NOBODY = 65534
FILES = LiveFiles()

# A segment, a memfd, a memfd whose descriptor is closed, shared memory without a name, and a file of
# a tmpfs that was deleted.
HOLDS = """
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
libc.shmget.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_int]
shmid = libc.shmget(0, 5 << 20, 0o1600)
ctypes.memset(ctypes.c_void_p(libc.shmat(shmid, None, 0)), 1, 5 << 20)
libc.shmctl(shmid, 0, None)  # to be removed with the last that has it
pool = os.memfd_create("memtui-pool")
os.write(pool, b"x" * (6 << 20))
shared = mmap.mmap(-1, 7 << 20)
shared.write(b"x" * (7 << 20))
closed = os.memfd_create("memtui-closed")
os.ftruncate(closed, 8 << 20)
kept = mmap.mmap(closed, 8 << 20)
kept.write(b"x" * (4 << 20))
os.close(closed)
path = f"/dev/shm/memtui-test-{os.getpid()}"
deleted = open(path, "wb")
deleted.write(b"x" * (3 << 20))
deleted.flush()
os.unlink(path)
print(shmid, flush=True)
sys.stdin.read()
"""

needs_shm = pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="needs /dev/shm")


@pytest.fixture(scope="module")
def holder() -> Iterator[tuple[int, int]]:
    """The pid of a process that holds all that, and the number of its segment."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


def found() -> Owners:
    return find_owners(FILES, machine_of(FILES))


def held_by(owners: Owners, pid: int) -> dict[str, Owner]:
    return {
        each.name: each
        for each in owners.owners
        if any(holder.key.pid == pid for holder in each.holders)
    }


@needs_shm
def test_each_is_named_with_its_size(holder: tuple[int, int]) -> None:
    pid, shmid = holder
    owners = found()
    own = held_by(owners, pid)
    sizes = {name: (each.kind, each.held_bytes) for name, each in own.items()}
    assert sizes[f"shmid {shmid}"] == ("System V", 5 * MIB)
    assert sizes["memtui-pool"] == ("memfd", 6 * MIB)
    assert sizes["shared anonymous memory"] == ("shared", 7 * MIB)
    assert sizes["memtui-closed"] == ("memfd", 4 * MIB)
    deleted = own[f"/dev/shm/memtui-test-{pid}"]
    assert (deleted.kind, deleted.held_bytes, deleted.is_counted) == ("deleted", 3 * MIB, False)
    mounts = [each for each in owners.owners if each.kind == "tmpfs" and each.name == "/dev/shm"]
    assert max(each.held_bytes or 0 for each in mounts) >= 3 * MIB
    assert f"made by process {pid}" in " ".join(own[f"shmid {shmid}"].words)


@needs_shm
def test_what_counts_is_no_more_than_there_is(holder: tuple[int, int]) -> None:
    """Nothing counts twice: what has an owner is within Shmem and what of it is swapped out."""
    until_alike(it_is_within_shmem)


def it_is_within_shmem() -> None:
    owners = found()
    assert owners.shmem_bytes is not None
    assert owners.named_bytes >= 22 * MIB
    slack = 16 * MIB  # what came and went meanwhile
    assert owners.named_bytes <= owners.shmem_bytes + (owners.swap_used_bytes or 0) + slack


def as_nobody(look: Callable[[], object]) -> Any:
    """What somebody without rights finds, in a process of his own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.write(writing, json.dumps(look()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return json.loads(said)


@needs_shm
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_what_may_not_be_seen_is_said(holder: tuple[int, int]) -> None:
    pid, shmid = holder

    def look() -> object:
        owners = found()
        names = [each.name for each in owners.owners]
        return [names, list(held_by(owners, pid)), owners.denied, owners.words]

    names, own, denied, words = as_nobody(look)
    assert f"shmid {shmid}" in names  # anybody may read /proc/sysvipc/shm
    assert "memtui-pool" not in names
    assert own == []
    assert denied > 0
    assert any("may not be read" in each for each in words)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
def test_a_mount_is_one_however_often_it_is_mounted(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", first]).returncode:
        pytest.skip("no mounts here")
    try:
        (first / "file").write_bytes(b"x" * (9 * MIB))
        subprocess.run(["mount", "--bind", first, second], check=True)
        try:
            mine = [each for each in found().owners if each.name in (str(first), str(second))]
        finally:
            # Lazily: somebody who looks at all mounts may be in it.
            subprocess.run(["umount", "--lazy", second], check=True)
    finally:
        subprocess.run(["umount", "--lazy", first], check=True)
    (mount,) = mine
    assert (mount.held_bytes, mount.limit_bytes) == (9 * MIB, 64 * MIB)
    assert "mounted at 2 places" in mount.words


def test_it_stops_where_it_is_told() -> None:
    owners = find_owners(FILES, machine_of(FILES), lambda done, total: done < 1)
    assert not owners.is_complete
    assert "stopped before all processes were looked at" in owners.words


# Of a captured tree.

GPU = (
    "drm-driver:\ti915\ndrm-pdev:\t0000:00:02.0\ndrm-client-id:\t7\n"
    "drm-resident-system0:\t2048 KiB\n"
)
MAPS = (
    "7f0000000000-7f0000400000 rw-s 00000000 00:01 11 /dev/zero (deleted)\n"
    "7f0000400000-7f0000800000 rw-s 00000000 00:01 12 /SYSV00000000 (deleted)\n"
    "7f0000800000-7f0000900000 r--p 00000000 08:01 13 /usr/lib/old.so (deleted)\n"
)


def captured(root: Path) -> LiveFiles:
    """Two processes with one client of the graphics, and one segment."""
    (root / "proc/sysvipc").mkdir(parents=True)
    (root / "proc/meminfo").write_text("MemTotal: 9000 kB\nShmem: 8192 kB\n")
    (root / "proc/sysvipc/shm").write_text(
        "key shmid perms size cpid lpid nattch uid rss swap\n0 12 600 4194304 99 99 2 0 4096 0\n"
    )
    for pid in (7, 8):
        own = root / f"proc/{pid}"
        (own / "fd").mkdir(parents=True)
        (own / "fdinfo").mkdir()
        for number in (3, 4):  # dup(2)
            (own / f"fd/{number}").symlink_to("/dev/dri/renderD128")
            (own / f"fdinfo/{number}").write_text(GPU)
        stat = f"{pid} (draws) S 1 {pid} {pid} 0 -1 4194304 1 0 1 0 0 0 0 0 20 0 1 0 5 4096 1"
        (own / "stat").write_text(stat + " 0" * 27 + "\n")
        (own / "status").write_text("Name:\tdraws\nUid:\t0\t1000\t0\t0\n")
        (own / "maps").write_text(MAPS)
        usage = "Size: 4096 kB\nRss: 3072 kB\nPss: 1536 kB\nSwap: 512 kB\n"
        (own / "smaps").write_text("".join(f"{line}\n{usage}" for line in MAPS.splitlines()))
    return LiveFiles(str(root))


def test_a_captured_machine_tells_what_its_files_do(tmp_path: Path) -> None:
    files = captured(tmp_path)
    owners = find_owners(files, machine_of(files))
    by_kind = {each.kind: each for each in owners.owners}
    assert by_kind.keys() == {"GPU", "shared", "System V"}
    # A client is one, in whatever files of whatever processes.
    assert by_kind["GPU"].held_bytes == 2 * MIB
    assert [each.key.pid for each in by_kind["GPU"].holders] == [7, 8]
    assert by_kind["GPU"].holders[0].uid == 1000
    # Without map_files only the mappings tell, and that is the least.
    assert (by_kind["shared"].held_bytes, by_kind["shared"].is_least) == (3584 << 10, True)
    # The segment by its own list, not again by the mappings.
    assert by_kind["System V"].held_bytes == 4096
    assert len(by_kind["System V"].holders) == 2
    assert owners.named_bytes == 2 * MIB + (3584 << 10) + 4096


def test_a_link_of_a_captured_tree_leads_nowhere(tmp_path: Path) -> None:
    """Its roots and files are another machine's: nothing here is measured for them."""
    files = captured(tmp_path)
    (tmp_path / "proc/7/root").symlink_to("/")
    (tmp_path / "proc/7/mountinfo").write_text("25 1 0:23 / /dev/shm rw - tmpfs none rw\n")
    (tmp_path / "proc/7/fd/5").symlink_to("/memfd:x (deleted)")
    owners = find_owners(files, machine_of(files))
    (mount,) = [each for each in owners.owners if each.kind == "tmpfs"]
    assert (mount.name, mount.held_bytes) == ("/dev/shm", None)
    assert "memfd" not in {each.kind for each in owners.owners}
