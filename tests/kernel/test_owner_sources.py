"""What tells of shared memory: mountinfo, System V segments, a GPU's clients."""

from __future__ import annotations

import pytest

from memtui.kernel.drm import parse_drm_fdinfo
from memtui.kernel.files import Malformed
from memtui.kernel.mounts import parse_mountinfo
from memtui.kernel.sysvshm import parse_sysvipc_shm

SHM_HEAD = (
    b"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid"
    b"      atime      dtime      ctime                   rss                  swap\n"
)


def test_a_mount_is_known_by_its_number_and_its_device() -> None:
    (mount,) = parse_mountinfo(
        b"25 24 0:23 / /mnt/with\\040blank rw,relatime shared:3 - tmpfs none rw,size=64k\n26 x\n\n"
    )
    assert (mount.number, mount.device, mount.point) == (25, (0, 23), "/mnt/with blank")
    assert (mount.type, mount.root) == ("tmpfs", "/")


def test_segments_by_the_names_of_their_columns() -> None:
    line = (
        b"-559038737 98352  1600 20971520   699   699      1     0  1000     0     0 "
        b"1700000000 0 1700000001 20975616 4096\n"
    )
    (segment,) = parse_sysvipc_shm(SHM_HEAD + line + b"cut off\n")
    assert (segment.shmid, segment.size_bytes, segment.attached) == (98352, 20971520, 1)
    assert (segment.rss_bytes, segment.swap_bytes, segment.creator_pid) == (20975616, 4096, 699)
    assert segment.key & 0xFFFFFFFF == 0xDEADBEEF
    # Before 2.6.32 nothing tells what of it is in memory.
    (old,) = parse_sysvipc_shm(b"key shmid perms size cpid\n0 7 600 4096 12\n")
    assert (old.size_bytes, old.rss_bytes, old.swap_bytes) == (4096, None, None)
    with pytest.raises(Malformed):
        parse_sysvipc_shm(b"what is this\n")


def test_a_client_of_the_graphics_holds_what_is_resident() -> None:
    client = parse_drm_fdinfo(
        b"pos:\t0\nmnt_id:\t26\ndrm-driver:\ti915\ndrm-pdev:\t0000:00:02.0\ndrm-client-id:\t7\n"
        b"drm-total-system0:\t98304 KiB\ndrm-shared-system0:\t16 MiB\n"
        b"drm-resident-system0:\t65536 KiB\ndrm-total-stolen-system0:\t4096 KiB\n"
        b"drm-engine-render:\t12345 ns\n"
    )
    assert client is not None
    assert (client.driver, client.device, client.number) == ("i915", "0000:00:02.0", 7)
    assert client.resident_bytes["system0"] == 64 << 20
    assert (client.system_bytes, client.shared_bytes) == (64 << 20, 16 << 20)
    assert client.is_shmem


def test_memory_of_the_card_is_not_the_machines() -> None:
    client = parse_drm_fdinfo(
        b"drm-driver:\tamdgpu\ndrm-client-id:\t3\ndrm-memory-vram:\t900 MiB\n"
        b"drm-memory-gtt:\t20 MiB\ndrm-memory-cpu:\t0 KiB\n"
    )
    assert client is not None
    assert client.system_bytes == 20 << 20
    assert not client.is_shmem  # pages of TTM


@pytest.mark.parametrize("data", [b"", b"pos:\t0\n", b"drm-client-id: 7\n", b"\xff\x00"])
def test_other_files_are_of_no_client(data: bytes) -> None:
    assert parse_drm_fdinfo(data) is None
