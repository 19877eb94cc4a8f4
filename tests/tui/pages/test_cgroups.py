"""All control groups in the physical view: the tree, its order, one group in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from memtui.kernel.cgroups import read_tree
from memtui.kernel.files import Files, Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.model.cgroups.tree import group_rows
from memtui.model.sample import Sample
from memtui.session.history import History
from memtui.tui.app import MemtuiApp
from memtui.tui.pages.base import Arrangement, Facts
from memtui.tui.pages.cgroups import CGROUPS, arranged, kills
from memtui.tui.widgets.page import text_of, wrapped
from tests.conftest import open_host
from tests.interface import (
    answer,
    app_of,
    captured,
    is_whole,
    press,
    running,
    screen,
    script_of,
    settle,
)
from tests.samples import sample

MIB = 1 << 20
TREE = Arrangement("tree", False)


@pytest.fixture
def odd(tmp_path: Path) -> Files:
    """Cgroup v2 with a container in a tighter slice, and a name that is not text."""
    mount = tmp_path / "sys/fs/cgroup"
    for path, current, most, killed in (
        ("", 900, "max", 3),
        ("docker", 300, "320", 3),
        (f"docker/{'1a' * 32}", 200, "512", 2),
        ("system.slice", 400, "max", 0),
        ("system.slice/\x1b[31m web.service", 64, "64", 0),
    ):
        group = mount / path
        group.mkdir(parents=True, exist_ok=True)
        (group / "memory.current").write_text(f"{current * MIB}\n")
        (group / "memory.max").write_text(f"{most if most == 'max' else int(most) * MIB}\n")
        (group / "memory.stat").write_text(f"anon {current // 2 * MIB}\nfile 6\nslab 2\nsock 4\n")
        (group / "memory.events").write_text(f"low 0\nhigh 0\nmax 12\noom 1\noom_kill {killed}\n")
        (group / "memory.pressure").write_text(
            "some avg10=3.50 avg60=2.00 avg300=1.00 total=9\n"
            "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
        )
    (mount / "cgroup.controllers").write_text("memory\n")
    return LiveFiles(str(tmp_path))


def facts_of(files: Files) -> Facts:
    made: Sample = sample(1.0)
    system = made.system._replace(cgroups=read_tree(files))
    return Facts(made._replace(system=system), None, History(), 4096)


def rows(facts: Facts, width: int, how: Arrangement = TREE) -> list[str]:
    page = CGROUPS.page(facts, width, how)
    return [str(row["name"][0]) for row in page.rows]


def test_the_tree_is_indented_and_names_are_readable(odd: Files) -> None:
    assert rows(facts_of(odd), 120) == [
        "/",
        "  docker",
        "    docker 1a1a1a1a1a1a",
        "  system.slice",
        "    \\e[31m web.service",
    ]


def test_headroom_is_to_the_tightest_above_and_is_marked(odd: Files) -> None:
    page = CGROUPS.page(facts_of(odd), 120, TREE)
    room = {row["name"][0].strip(): row["headroom"][0] for row in page.rows}
    assert room["docker"] == "20.0 MiB "
    assert room["docker 1a1a1a1a1a1a"] == "20.0 MiB^"
    assert room["system.slice"] == "– "
    words = "\n".join(text_of(line) for line in wrapped(page.about(2), 200))
    assert "39 % of its limit of 512 MiB is used." in words
    assert "^ /docker above it gives less room: 20.0 MiB." in words
    assert "killed 2" in words and "some waited 3.5 % of 10 s" in words


def test_sorted_it_is_flat_and_the_unknown_comes_last(odd: Files) -> None:
    facts = facts_of(odd)
    assert rows(facts, 120, Arrangement("current", True))[:2] == ["/", "system.slice"]
    by_room = rows(facts, 120, Arrangement("headroom", False))
    assert by_room[0] == "\\e[31m web.service" and set(by_room[-2:]) == {"/", "system.slice"}
    assert rows(facts, 120, Arrangement("tree", False, "docker")) == [
        "docker",
        "docker 1a1a1a1a1a1a",
    ]
    tree = facts.system.cgroups
    assert tree is not None and not isinstance(tree, Gap)
    everyone = group_rows(tree)
    for name in CGROUPS.sorts:
        assert len(arranged(everyone, Arrangement(name, True))) == len(everyone)
    assert [kills(row) for row in arranged(everyone, Arrangement("kills", True))][:3] == [3, 3, 2]


def test_columns_that_nobody_fills_are_not_there() -> None:
    heads = [column.name for column in CGROUPS.page(facts_of(open_host("pod")), 200, TREE).columns]
    assert {"kernel", "slab", "sock", "stalled", "bar"} <= set(heads)
    v1 = [
        column.name
        for column in CGROUPS.page(facts_of(open_host("debian-6.18")), 200, TREE).columns
    ]
    assert not {"kernel", "slab", "sock"} & set(v1)


def test_without_any_it_says_why(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    facts = facts_of(LiveFiles(str(tmp_path)))
    page = CGROUPS.page(facts, 80, TREE)
    assert not page.columns and "none" in str(page.head[0])
    assert CGROUPS.summary(facts).short[0] == "none"
    never = facts._replace(sample=sample(1.0))
    assert "not read yet" in str(CGROUPS.page(never, 80, TREE).head[0])


def physical(host: str) -> MemtuiApp:
    now, maps = captured(host)
    return app_of([now], maps, files=open_host(host))


@pytest.mark.parametrize(
    ("host", "size"),
    [("pod", (80, 24)), ("debian-6.18", (120, 40)), ("hostile", (200, 60))],
)
async def test_it_is_whole_and_read_only_while_it_is_open(host: str, size: tuple[int, int]) -> None:
    app = physical(host)
    async with running(app, size) as pilot:
        await press(pilot, "5")
        assert "cgroups" not in script_of(app).plan.fields
        await press(pilot, "end", "up")
        await settle(pilot)
        assert "cgroups" in script_of(app).plan.fields
        assert "All groups" in screen(app)
        await press(pilot, "enter", "down", "down")
        is_whole(app)
        await press(pilot, "1")
        assert "cgroups" not in script_of(app).plan.fields


async def test_keys_sort_and_filter_it() -> None:
    app = physical("pod")
    async with running(app) as pilot:
        await press(pilot, "5", "end", "up", "enter")
        assert "  burstable pods" in screen(app)
        await press(pilot, "s")
        assert "▼CURRENT" in screen(app) and "sorted by current" in screen(app)
        await press(pilot, "I")
        assert "▲CURRENT" in screen(app)
        await press(pilot, "slash")
        assert "group: " in screen(app)
        await answer(pilot, "7f3a")
        assert "filter 7f3a" in screen(app) and "burstable pods" not in screen(app)
        await press(pilot, "escape")
        assert "burstable pods" in screen(app)
