"""What holds for a whole machine is not guessed from one of its processes."""

from __future__ import annotations

import os
import struct

import pytest

from memtui.kernel.livefiles import LiveFiles
from memtui.live.machine import page_bytes_of
from tests.conftest import HOSTS, open_host
from tests.recorded import Recorded

HERE = os.sysconf("SC_PAGE_SIZE")


def sizes(size_kib: int, pages: int) -> dict[str, bytes]:
    return {
        "status": f"Name:\tx\nVmSize:\t{size_kib:8} kB\n".encode(),
        "statm": f"{pages} 5 1 1 0 1 0\n".encode(),
    }


def machine(*processes: dict[str, bytes]) -> Recorded:
    return Recorded(
        {
            f"proc/{pid}/{name}": data
            for pid, files in enumerate(processes, start=1)
            for name, data in files.items()
        }
    )


def smaps(kib: int) -> dict[str, bytes]:
    return {"smaps": b"1000-2000 r--p 0 0:0 0\nSize: 4 kB\nKernelPageSize: %d kB\n" % kib}


def auxv(page: int) -> dict[str, bytes]:
    return {"auxv": struct.pack("=6Q", 33, 7 << 44, 6, page, 0, 0) + b"odd"}


@pytest.mark.parametrize(
    ("processes", "expected"),
    [
        ([sizes(640, 10)], 64 << 10),
        ([sizes(0, 10)], HERE),  # WSL1
        ([sizes(0, 10), sizes(160, 10)], 16 << 10),
        # One that was looked at while it grew, or mended by hand, is outvoted.
        ([sizes(9000, 10), sizes(640, 10), sizes(640, 10)], 64 << 10),
        ([sizes(320, 10), sizes(160, 10), sizes(160, 10)], 16 << 10),
        ([sizes(0, 10) | smaps(64)], 64 << 10),
        ([smaps(2048)], HERE),  # a huge page is no page size
        ([auxv(16 << 10) | sizes(0, 3)], 16 << 10),
        ([{"status": b"Name:\tkthreadd\n", "statm": b"0 0 0 0 0 0 0\n"}], HERE),
        ([{"status": b"VmSize:\t18446744073709551615 kB\n", "statm": b"1 1 1 1 0 1 0\n"}], HERE),
        ([], HERE),
    ],
)
def test_processes_agree_on_the_size_of_a_page(
    processes: list[dict[str, bytes]], expected: int
) -> None:
    assert page_bytes_of(machine(*processes)) == expected


def test_of_this_machine_the_kernel_tells() -> None:
    assert page_bytes_of(LiveFiles()) == HERE


@pytest.mark.parametrize("host", HOSTS)
def test_captured_machines(host: str) -> None:
    assert page_bytes_of(open_host(host)) == (64 << 10 if "64k" in host else 4 << 10)
