"""The tree of memory cgroups, its names and reports: captured, written and of this machine."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui import cli
from memtui.kernel.cgroups import Tree, memory_version, read_level, read_tree
from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.model.cgroups.names import readable_group, unescaped
from memtui.model.cgroups.tree import event_words, group_rows, parts
from tests.conftest import HOSTS_DIR

Host = Callable[[str], Files]
MIB = 1 << 20
ID = "1a2b3c4d5e6f" + "0123456789abcdef" * 3 + "0123"
ODD = r"system.slice/system-shop\x2dweb.slice/shop\x2dweb@a:b c.service"


@pytest.fixture
def written(tmp_path: Path) -> Files:
    """Cgroup v2 with containers and odd names; the outer limit of `docker` is the tighter one."""
    (tmp_path / "proc").mkdir()
    mount = tmp_path / "sys/fs/cgroup"
    mount.mkdir(parents=True)
    (mount / "cgroup.controllers").write_text("cpu memory\n")
    for path, current, most in (
        ("docker", 300, "320"),
        (f"docker/{ID}", 200, "512"),
        (f"docker/{ID}/in", 100, "max"),
        ("system.slice", 900, "max"),
        (ODD.rpartition("/")[0], 64, "max"),
        (ODD, 64, "64"),
    ):
        group = mount / path
        group.mkdir(parents=True)
        limit = most if most == "max" else str(int(most) * MIB)
        (group / "memory.current").write_text(f"{current * MIB}\n")
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.min").write_text(f"{MIB if path == 'docker' else 0}\n")
        (group / "memory.stat").write_text("anon 5\nfile 6\nslab 2\nkernel_stack 3\nsock 4\n")
        (group / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 1\noom_kill 2\n")
    return LiveFiles(str(tmp_path))


def tree_of(files: Files) -> Tree:
    tree = read_tree(files)
    assert isinstance(tree, Tree)
    return tree


def test_a_group_before_those_in_it(written: Files) -> None:
    tree = tree_of(written)
    assert (tree.version, tree.is_cut) == (2, False)
    assert [group.path for group in tree.groups] == [
        *("/", "/docker", f"/docker/{ID}", f"/docker/{ID}/in", "/system.slice"),
        *("/" + ODD.rpartition("/")[0], "/" + ODD),
    ]
    root, docker = tree.groups[:2]
    assert (root.current_bytes, root.max_bytes) == (None, None)
    assert (docker.current_bytes, docker.max_bytes, docker.min_bytes) == (300 * MIB, 320 * MIB, MIB)
    assert docker.low_bytes is None


def test_what_a_group_can_take_is_the_tightest_of_those_around_it(written: Files) -> None:
    rows = {row.group.path: row for row in group_rows(tree_of(written))}
    assert rows["/"].headroom_bytes is None
    inner = rows[f"/docker/{ID}/in"]
    assert (inner.headroom_bytes, inner.limited_by, inner.depth) == (20 * MIB, "/docker", 3)
    assert inner.name == "in"
    assert rows[f"/docker/{ID}"].name == "docker 1a2b3c4d5e6f"
    odd = rows["/" + ODD]
    assert (odd.headroom_bytes, odd.limited_by) == (0, "/" + ODD)
    assert odd.name == "shop-web@a:b c.service"


def test_parts_and_events(written: Files) -> None:
    group = tree_of(written).groups[1]
    # Before 5.18 the kernel's share is not there as a sum.
    assert parts(group) == {"anon": 5, "file": 6, "kernel": 5, "slab": 2, "sock": 4}
    assert event_words(group) == "killed 2, ran out 1, at its limit 12"


def test_links_are_not_followed_and_the_number_is_bounded(written: Files) -> None:
    mount = Path(written.root, "sys/fs/cgroup")
    (mount / "docker" / "again").symlink_to(mount)
    assert len(tree_of(written).groups) == 7
    cut = read_tree(written, at_most=3)
    assert isinstance(cut, Tree)
    assert len(cut.groups) == 3 and cut.is_cut


def test_a_group_that_went_away_is_left_out(written: Files) -> None:
    """Its directory was listed; its files are gone, or fail."""
    mount = Path(written.root, "sys/fs/cgroup")
    (mount / "docker" / "going").mkdir()
    assert "/docker/going" not in [group.path for group in tree_of(written).groups]
    assert isinstance(read_level(written, "/docker/going", 2), Gap)


def test_no_tree_at_all(tmp_path: Path) -> None:
    assert isinstance(read_tree(LiveFiles(str(tmp_path))), Gap)


def test_which_hierarchy(host: Host, written: Files) -> None:
    assert memory_version(written) == memory_version(host("pod")) == 2
    assert memory_version(host("debian-6.18")) == memory_version(host("container")) == 1
    # A group of v2 may have that name.
    Path(written.root, "sys/fs/cgroup/memory").mkdir()
    assert memory_version(written) == 2


def test_groups_of_a_hybrid_host_have_the_others_pressure(host: Host) -> None:
    groups = {group.path: group for group in tree_of(host("debian-6.18")).groups}
    assert not isinstance(groups["/system.slice/nightly.service"].pressure, Gap)


def test_a_captured_group_without_the_one_around_it(host: Host) -> None:
    rows = group_rows(tree_of(host("container")))
    assert [(row.name, row.depth) for row in rows] == [
        ("/", 0),
        ("lxc/114/ns/system.slice/shop:web@1.service", 1),
    ]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "/"),
        (f"/docker/{ID}", "docker 1a2b3c4d5e6f"),
        (f"/system.slice/docker-{ID}.scope", "docker 1a2b3c4d5e6f"),
        (f"/kubepods.slice/cri-containerd-{ID}.scope", "containerd 1a2b3c4d5e6f"),
        (f"/kubepods.slice/crio-{ID}.scope", "cri-o 1a2b3c4d5e6f"),
        (f"/machine.slice/libpod-{ID}.scope", "podman 1a2b3c4d5e6f"),
        (f"/x/{ID}", "container 1a2b3c4d5e6f"),
        ("/kubepods.slice", "pods"),
        ("/kubepods.slice/kubepods-besteffort.slice", "besteffort pods"),
        (
            "/k/kubepods-burstable-pod0b01a3de_1cf6_4a5c_9d7b_3b8f0e9d1c2a.slice",
            "pod 0b01a3de-1cf6-4a5c-9d7b-3b8f0e9d1c2a",
        ),
        (
            "/kubepods/burstable/pod0b01a3de-1cf6-4a5c-9d7b-3b8f0e9d1c2a",
            "pod 0b01a3de-1cf6-4a5c-9d7b-3b8f0e9d1c2a",
        ),
        ("/user.slice/user-1000.slice", "user 1000"),
        ("/user.slice/user-1000.slice/user@1000.service", "manager of user 1000"),
        ("/user.slice/user-1000.slice/session-c2.scope", "session c2"),
        (r"/machine.slice/machine-qemu\x2d3\x2ddebian\x2d12.scope", "virtual machine debian-12"),
        (r"/machine.slice/machine-web\x2done.scope", "machine web-one"),
        ("/system.slice/postgresql@15-main.service", "postgresql@15-main.service"),
        (r"/system.slice/dev-disk-by\x2dlabel-a\x20b.swap", "dev-disk-by-label-a b.swap"),
        (r"/system.slice/caf\xc3\xa9.service", "café.service"),
        (r"/system.slice/odd\xff.service", "odd\udcff.service"),
        ("/docker-short.scope", "docker-short.scope"),
    ],
)
def test_names(path: str, name: str) -> None:
    assert readable_group(path) == name


@given(st.text())
def test_any_path_has_a_name(path: str) -> None:
    readable_group(path)
    unescaped(path)


# Reports.


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = cli.main(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_cgroups_json_is_as_fixed(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "cgroups", "--json", "--root", str(HOSTS_DIR / "pod"))
    assert status == 0
    groups: list[dict[str, Any]] = json.loads(out)
    assert list(groups[0]) == [
        *("path", "version", "current_bytes", "peak_bytes", "max_bytes", "high_bytes"),
        *("swap_bytes", "swap_max_bytes", "stat", "events", "pressure"),
    ]
    assert groups[0]["stat"] is None and groups[0]["max_bytes"] is None
    pod = next(each for each in groups if each["path"].endswith("pod7f3a.slice"))
    assert (pod["max_bytes"], pod["events"]["oom_kill"]) == (1536 * MIB, 17)
    assert pod["pressure"]["some"]["avg10"] == 3.1


def test_cgroups_text_and_csv(written: Files, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "cgroups", "--root", written.root)
    lines = out.splitlines()
    assert lines[0].split()[:6] == ["GROUP", "NOW", "PEAK", "LIMIT", "MIN", "HEADROOM"]
    inner = next(line for line in lines if line.startswith("      in "))
    assert "20.0 MiB *" in inner and "none" in inner
    assert any("docker 1a2b3c4d5e6f" in line for line in lines)
    assert out.endswith("tighter than its own limit\n")
    _, out, _ = run(capsys, "cgroups", "--csv", "--root", written.root)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["path"] for row in rows][-1] == "/" + ODD
    assert rows[1]["events.oom_kill"] == "2" and rows[0]["events.oom_kill"] == ""


def test_no_cgroups_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "proc").mkdir()
    status, out, err = run(capsys, "cgroups", "--root", str(tmp_path))
    assert (status, out) == (1, "") and err.count("\n") == 1 and "no memory cgroups" in err


def test_oom_json_is_as_fixed(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "oom", "--json", "--root", str(HOSTS_DIR / "debian-6.18"))
    assert status == 0
    found = json.loads(out)
    assert list(found) == ["policy", "candidates", "kills", "hidden"]
    assert list(found["policy"]) == [
        *("panic_on_oom", "oom_kill_allocating_task", "overcommit_memory"),
        *("overcommit_ratio", "swappiness"),
    ]
    first = found["candidates"][0]
    assert list(first) == [
        *("pid", "name", "points", "rss_pages", "swap_pages", "page_table_pages"),
        *("oom_score_adj", "oom_score", "immune"),
    ]
    assert (first["name"], first["immune"]) == ("java", None)
    assert {each["immune"] for each in found["candidates"]} == {None, "init", "kernel thread"}


def test_oom_of_a_captured_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kmsg").write_bytes(
        b"3,712,1902055467,-;Memory cgroup out of memory: Killed process 19399 (py\\x1bthon) "
        b"total-vm:217520kB, anon-rss:46336kB, file-rss:6128kB, shmem-rss:0kB, UID:0 pgtables:156kB "
        b"oom_score_adj:1000\n"
    )
    for part in ("proc", "sys"):
        (tmp_path / part).symlink_to(HOSTS_DIR / "pod" / part)
    _, out, _ = run(capsys, "oom", "--root", str(tmp_path))
    assert "kills in the kernel's log: 1\n" in out
    assert (
        "  31 min 42 s after boot: py\\ethon (19399), 51.2 MiB, adj +1000: the memory cgroup was full\n"
        in out
    )
    _, out, _ = run(capsys, "oom", "--json", "--root", str(tmp_path))
    (kill,) = json.loads(out)["kills"]
    assert (kill["pid"], kill["name"], kill["oom_score_adj"]) == (19399, "py\x1bthon", 1000)


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
@pytest.mark.parametrize(
    "name", sorted(each.name for each in HOSTS_DIR.iterdir() if (each / "proc").is_dir())
)
def test_every_captured_host_answers(
    name: str, form: tuple[str, ...], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    for command in ("oom", "cgroups"):
        status = cli.main([command, *form, "--root", str(HOSTS_DIR / name)])
        out, err = capsysbinary.readouterr()
        assert status in (0, 1)
        assert bool(out) is (status == 0) and err.count(b"\n") == status


@pytest.mark.parametrize(
    ("group", "listed"),
    [
        ("/system.slice/nightly.service", True),
        ("/sys/fs/cgroup/memory/system.slice/nightly.service", True),
        ("925", True),
        ("/system.slice/no.service", False),
        ("no-such-program", False),
    ],
)
def test_oom_inside_a_group(group: str, listed: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Process 925 is the nightly job, in a group of 640 MiB."""
    status, out, err = run(
        capsys, "oom", "--cgroup", group, "--root", str(HOSTS_DIR / "debian-6.18")
    )
    if listed:
        assert out.startswith("python3 (925) would be killed in /system.slice/nightly.service\n")
        assert "of 4.6 GiB: the group's limit and swap\n" in out
    else:
        assert status in (1, 4) and err.count("\n") == 1


def test_this_machines_tree(capsys: pytest.CaptureFixture[str]) -> None:
    if isinstance(read_tree(LiveFiles()), Gap):
        pytest.skip("no memory cgroups here")
    status, out, _ = run(capsys, "cgroups", "--json")
    assert status == 0
    paths = [each["path"] for each in json.loads(out)]
    assert paths[0] == "/" and len(paths) == len(set(paths))
