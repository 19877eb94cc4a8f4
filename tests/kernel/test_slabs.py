"""The kernel's caches, and slabtop on the same moment."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Gap, Malformed
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.slabs import Slab, parse_slabinfo
from tests.conftest import open_host
from tests.oracles import until_alike

HEAD = b"slabinfo - version: 2.1\n# name <active_objs> ...\n"
LINE = b"dentry  90 100  192  21  1 : tunables  0 0 0 : slabdata  5 5 0\n"


def slabs(name: str) -> list[Slab]:
    found = open_host(name).parsed("proc/slabinfo", parse_slabinfo)
    assert not isinstance(found, Gap)
    return found


def test_a_line() -> None:
    assert parse_slabinfo(HEAD + LINE) == [Slab("dentry", 90, 100, 192, 21, 1, 5, 5)]
    assert parse_slabinfo(HEAD + LINE)[0].size_bytes(65536) == 5 * 65536
    assert parse_slabinfo(HEAD) == []


@pytest.mark.parametrize(
    ("head", "line", "slab"),
    [
        # SLAB: tunables and slabdata that are not 0.
        (
            b"slabinfo - version: 2.0\n",
            b"size-64  300 354 64 59 1 : tunables 120 60 8 : slabdata 6 6 3\n",
            Slab("size-64", 300, 354, 64, 59, 1, 6, 6),
        ),
        # SLAB with its statistics.
        (
            b"slabinfo - version: 2.1 (statistics)\n",
            b"uid_cache 1 59 64 59 1 : tunables 120 60 8 : slabdata 1 1 0 : globalstat 9 1 1 0 0 0 "
            b"0 0 0 : cpustat 8 1 0 0\n",
            Slab("uid_cache", 1, 59, 64, 59, 1, 1, 1),
        ),
        # A cache of a control group carries its name.
        (
            HEAD,
            b"dentry(212:a : b.scope) 1 21 192 21 1 : tunables 0 0 0 : slabdata 1 1 0\n",
            Slab("dentry(212:a : b.scope)", 1, 21, 192, 21, 1, 1, 1),
        ),
        (
            HEAD,
            b":0000\xff 1 21 192 21 1 : tunables 0 0 0 : slabdata 1 1 0\n",
            Slab(":0000\udcff", 1, 21, 192, 21, 1, 1, 1),
        ),
    ],
)
def test_what_kernels_write(head: bytes, line: bytes, slab: Slab) -> None:
    assert parse_slabinfo(head + line) == [slab]


def test_repeated_names_are_kept_in_order() -> None:
    names = [slab.name for slab in slabs("numa")]
    assert names.count("TCP") == 2
    assert parse_slabinfo(HEAD + LINE + LINE)[0] == parse_slabinfo(HEAD + LINE + LINE)[1]


@pytest.mark.parametrize("name", ["numa", "debian-6.18", "debian-6.18-later"])
def test_slabs_are_no_more_than_meminfos_slab(name: str) -> None:
    meminfo = open_host(name).parsed("proc/meminfo", parse_meminfo)
    assert not isinstance(meminfo, Gap)
    found = slabs(name)
    taken = sum(slab.size_bytes(4096) or 0 for slab in found)
    assert 0.8 * meminfo["Slab"] < taken <= meminfo["Slab"]
    for slab in found:
        assert slab.objects is not None and slab.slabs is not None
        assert slab.active_objects is not None and slab.active_objects <= slab.objects
        assert slab.active_slabs is not None and slab.active_slabs <= slab.slabs


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"slabinfo - version: 1.1\n",
        LINE,
        HEAD + b"dentry 1 2 3 4 : tunables 0 0 0 : slabdata 1 1 0\n",
        HEAD + b"dentry 1 2 3 4 5 : tunables 0 0 0\n",
        HEAD + LINE.replace(b"192", b"many"),
        HEAD + LINE.replace(b"192", b"-192"),
        HEAD + LINE.replace(b"192", b"9" * 5000),
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_slabinfo(data)


@given(st.binary(), st.sampled_from((b"", HEAD, HEAD + LINE, HEAD + LINE.rstrip())))
def test_any_bytes_give_a_value_or_malformed(data: bytes, prefix: bytes) -> None:
    try:
        assert isinstance(parse_slabinfo(prefix + data), list)
    except Malformed as error:
        assert str(error)


def test_slabtop_agrees() -> None:
    """Its numbers of objects and slabs, and its size, of every cache that held still."""
    if os.geteuid():
        pytest.skip("slabinfo is for root alone")
    if not shutil.which("slabtop"):
        pytest.skip("no slabtop here")
    until_alike(slabtop_agrees)


def slabtop_agrees() -> None:
    before = LiveFiles().parsed("proc/slabinfo", parse_slabinfo)
    done = subprocess.run(["slabtop", "-o", "-s", "c"], capture_output=True, text=True, check=True)
    after = LiveFiles().parsed("proc/slabinfo", parse_slabinfo)
    assert isinstance(before, list) and isinstance(after, list)
    page = os.sysconf("SC_PAGE_SIZE")
    # Equal before and after may still have moved and come back.
    still = {slab.name: slab for slab in before if slab in after}
    compared = 0
    for line in done.stdout.splitlines()[7:]:
        objects, active, _, _, count, each, size, name = line.split()
        if name in still:
            slab = still[name]
            assert [int(objects), int(active), int(count), int(each)] == [
                *(slab.objects, slab.active_objects, slab.slabs, slab.objects_per_slab)
            ]
            assert int(size.removesuffix("K")) == (slab.size_bytes(page) or 0) // 1024
            compared += bool(slab.objects)
    assert compared > 20
