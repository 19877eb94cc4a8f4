"""GPU memory of one client of the kernel's graphics: what an open file of /dev/dri holds.

Source: /proc/PID/fdinfo/FD. Document: Documentation/gpu/drm-usage-stats.rst. Since: Linux 5.19, by
driver. Permission: ptrace read access to the process. Cost: 20 µs a file.
"""

from __future__ import annotations

from typing import Final, NamedTuple

_UNITS: Final = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
# What of a region is in memory, by the key that says so best.
_KEYS: Final = ("drm-resident-", "drm-memory-", "drm-total-")
# Memory of the graphics card's own.
_CARD: Final = ("vram", "local", "stolen", "visible")
# Their buffers are not pages of a tmpfs (TTM).
_NOT_SHMEM: Final = frozenset({"amdgpu", "radeon", "nouveau", "xe", "vmwgfx", "qxl"})


class Client(NamedTuple):
    """One client: the same in all files, of all processes, that have its `number` and `device`.

    `resident_bytes` is by region what of its buffers is in memory; `shared_bytes` what of all its
    buffers others have too, and count as well; None: not told.
    """

    driver: str
    device: str
    number: int | None
    resident_bytes: dict[str, int]
    shared_bytes: int | None

    @property
    def system_bytes(self) -> int:
        """What it holds of the machine's own memory, not of a graphics card's."""
        regions = self.resident_bytes.items()
        return sum(value for region, value in regions if not region.startswith(_CARD))

    @property
    def is_shmem(self) -> bool:
        """Whether the kernel counts that as shared memory."""
        return self.driver not in _NOT_SHMEM


def parse_drm_fdinfo(data: bytes) -> Client | None:
    """A client's memory; None where the file is none of a driver that tells."""
    texts: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        key, colon, text = line.partition(":")
        if colon and key.startswith("drm-"):
            texts[key] = text.strip()
    if "drm-driver" not in texts:
        return None
    sizes = {key: size for key, text in texts.items() if (size := _size(text)) is not None}
    resident: dict[str, int] = {}
    for begin in _KEYS:
        for key, size in sizes.items():
            if key.startswith(begin):
                resident.setdefault(key.removeprefix(begin), size)
    shared = [size for key, size in sizes.items() if key.startswith("drm-shared-")]
    return Client(
        texts["drm-driver"],
        texts.get("drm-pdev", ""),
        sizes.get("drm-client-id"),
        resident,
        sum(shared) if shared else None,
    )


def _size(text: str) -> int | None:
    number, _, unit = text.partition(" ")
    if not (number.isascii() and number.isdecimal()) or len(number) > 18 or unit not in _UNITS:
        return None
    return int(number) * _UNITS[unit]
