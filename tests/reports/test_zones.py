"""`memtui zones` and `memtui slabs`: what they print of captured hosts and of this one."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memtui import units
from memtui.kernel.files import Files
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.vmstat import parse_vmstat
from memtui.reports.output import Failure
from memtui.reports.slabs import slabs
from memtui.reports.zones import zones
from tests.conftest import HOSTS, HOSTS_DIR, open_host

LIVE = LiveFiles()
ZONE = [
    *("node", "zone", "free_pages", "min_pages", "low_pages", "high_pages", "managed_pages"),
    *("orders", "unusable_free_pct"),
]
SLAB = [
    *("name", "active_objects", "objects", "object_bytes", "objects_per_slab", "pages_per_slab"),
    *("active_slabs", "slabs", "size_bytes"),
]
WITH_ZONES = [name for name in HOSTS if name != "container"]
SLABBED = ["debian-6.18", "debian-6.18-later", "numa"]


def document(pieces: Iterator[str]) -> list[dict[str, Any]]:
    found = json.loads("".join(pieces))
    assert isinstance(found, list)
    return found


def text(pieces: Iterator[str]) -> str:
    return "".join(pieces)


# zones ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_ZONES)
def test_zones_of_every_host(name: str) -> None:
    rows = document(zones(open_host(name), "json"))
    assert rows
    for row in rows:
        assert list(row) == ZONE
        assert len(row["orders"]) == len(row["unusable_free_pct"])
        known = [pct for pct in row["unusable_free_pct"] if pct is not None]
        assert all(0 <= pct <= 100 for pct in known)
        assert known == sorted(known)
    lines = text(zones(open_host(name), "text")).splitlines()
    assert lines[0].split()[:4] == ["NODE", "ZONE", "SIZE", "FREE"]
    assert any("can" in line and "handed out" in line for line in lines)
    populated = [row for row in rows if row["managed_pages"] or row["orders"]]
    for row in populated:
        assert any(line.split()[:2] == [str(row["node"]), row["zone"]] for line in lines)


def test_zones_agree_with_meminfo_and_vmstat() -> None:
    rows = document(zones(open_host("numa"), "json"))
    meminfo = open_host("numa").parsed("proc/meminfo", parse_meminfo)
    vmstat = open_host("numa").parsed("proc/vmstat", parse_vmstat)
    assert isinstance(meminfo, dict) and isinstance(vmstat, dict)
    free = sum(row["free_pages"] for row in rows)
    assert free * 4096 == meminfo["MemFree"] and free == vmstat["nr_free_pages"]
    assert sum(row["managed_pages"] for row in rows) * 4096 == meminfo["MemTotal"]
    for row in rows:
        blocks = sum(count << order for order, count in enumerate(row["orders"]))
        assert blocks == row["free_pages"]


def test_the_words_of_a_host_with_several_nodes() -> None:
    shown = text(zones(open_host("numa"), "text"))
    assert "Tightest is Normal of node 2: 3.2 MiB above its low watermark, 0.2 %" in shown
    assert "2.0 MiB can be handed out now: 13 free blocks" in shown
    assert re.search(r"^ +2  Normal .* below high$", shown, re.MULTILINE)
    assert "without memory: Movable of node 0, Device of node 0, DMA of node 2" in shown
    assert re.search(r"^      all +128 030 ", shown, re.MULTILINE)


def test_the_huge_page_is_the_kernels_own() -> None:
    shown = text(zones(open_host("arm64-64k"), "text"))
    assert "512 MiB can be handed out now" in shown
    assert "64K  128K  256K" in shown


def test_a_zone_that_was_not_counted_is_null_not_zero() -> None:
    device = document(zones(open_host("hostile"), "json"))[-1]
    assert device["zone"] == "Device"
    assert device["orders"] == [None, 0, 1]
    assert device["unusable_free_pct"] == [None, None, None]
    assert ">100 000" in text(zones(open_host("hostile"), "text"))
    last = text(zones(open_host("hostile"), "csv")).splitlines()[-1]
    assert last == "0,Device,0,0,0,0,0,null 0 1,null null null"


def without(source: Path, out: Path, *names: str) -> Files:
    """A host's zones in which some of zoneinfo's fields are not told."""
    (out / "proc").mkdir()
    lines = (source / "proc/zoneinfo").read_text().splitlines(keepends=True)
    kept = [line for line in lines if line.split()[0] not in names]
    assert len(kept) < len(lines)
    (out / "proc/zoneinfo").write_text("".join(kept))
    shutil.copy(source / "proc/buddyinfo", out / "proc")
    return LiveFiles(str(out))


def test_zones_without_watermarks(tmp_path: Path) -> None:
    files = without(HOSTS_DIR / "debian-6.18", tmp_path, "min", "low", "high", "managed")
    for row in document(zones(files, "json")):
        assert row["min_pages"] is row["low_pages"] is row["high_pages"] is None
        assert row["managed_pages"] is None
        assert row["free_pages"] is not None
    shown = text(zones(files, "text"))
    assert "Tightest" not in shown
    assert shown.splitlines()[1].split()[-6:] == ["n/a", "n/a", "n/a", "45.3", "MiB", "n/a"]
    assert "can be handed out now" in shown  # by the blocks alone


def test_one_of_the_two_files_is_enough(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    shutil.copy(HOSTS_DIR / "numa/proc/buddyinfo", tmp_path / "proc")
    files = LiveFiles(str(tmp_path))
    rows = document(zones(files, "json"))
    assert len(rows) == 5
    assert {row["free_pages"] for row in rows} == {None}
    assert "not read: proc/zoneinfo: absent" in text(zones(files, "text"))
    (tmp_path / "proc/buddyinfo").write_text("odd\n")
    shutil.copy(HOSTS_DIR / "numa/proc/zoneinfo", tmp_path / "proc")
    rows = document(zones(files, "json"))
    assert len(rows) == 15
    assert {row["orders"] for row in rows} == {None}
    assert "not read: proc/buddyinfo: malformed" in text(zones(files, "text"))


def test_no_zones_at_all_fail() -> None:
    with pytest.raises(Failure, match="proc/zoneinfo: absent") as failure:
        text(zones(open_host("container"), "text"))
    assert failure.value.status == 1


def test_zones_here() -> None:
    rows = document(zones(LIVE, "json"))
    assert sum(row["free_pages"] for row in rows) > 0
    assert text(zones(LIVE, "text")).count("\n\n") >= 3


# slabs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SLABBED)
def test_slabs_in_the_files_order_and_by_size(name: str) -> None:
    rows = document(slabs(open_host(name), "json"))
    assert all(list(row) == SLAB for row in rows)
    names = [
        line.split()[0]
        for line in (HOSTS_DIR / name / "proc/slabinfo").read_text().splitlines()[2:]
    ]
    assert [row["name"] for row in rows] == names
    for row in rows:
        assert row["size_bytes"] == row["slabs"] * row["pages_per_slab"] * 4096
    lines = text(slabs(open_host(name), "text")).splitlines()
    total = units.size(sum(row["size_bytes"] for row in rows))
    assert lines[0].startswith(f"{len(rows)} caches, {total}, ")
    assert lines[2].split()[:4] == ["SIZE", "OBJECTS", "ACTIVE", "USED"]
    largest = max(rows, key=lambda row: row["size_bytes"])
    assert lines[3].split()[-1] == largest["name"]
    assert len(lines) == 3 + len(rows)
    shown = text(slabs(open_host(name), "csv")).splitlines()
    assert shown[0].split(",") == SLAB
    assert shown[1].split(",") == [str(value) for value in rows[0].values()]


def test_names_that_would_steer_a_terminal_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/slabinfo").write_bytes(
        b"slabinfo - version: 2.1\n"
        b"dentry(1:\x1b[31m) 1 1 192 21 1 : tunables 0 0 0 : slabdata 1 1 0\n"
    )
    files = LiveFiles(str(tmp_path))
    assert "dentry(1:\\e[31m)" in text(slabs(files, "text"))
    assert document(slabs(files, "json"))[0]["name"] == "dentry(1:\x1b[31m)"


def test_no_slabinfo_fails() -> None:
    with pytest.raises(Failure, match="proc/slabinfo: absent") as failure:
        text(slabs(open_host("container"), "text"))
    assert failure.value.status == 1


def test_slabinfo_is_for_root_alone() -> None:
    """As another user: one line that says so, and exit status 3."""
    pid = os.fork()
    if not pid:
        status = 99
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            text(slabs(LIVE, "text"))
        except Failure as failure:
            status = failure.status if "is for root alone" in str(failure) else 98
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
