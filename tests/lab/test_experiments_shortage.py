"""Swap and running out: run to their end, with nothing left of them afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from memtui.kernel.deaths import OomKill, deaths
from memtui.kernel.files import Gap
from memtui.kernel.ground import MARK, place
from memtui.kernel.kmsg import KernelLog
from memtui.kernel.livefiles import LiveFiles
from memtui.lab.needs import group_parent
from tests.lab.running import User, run_lab

pytestmark = pytest.mark.xdist_group("machine")

USERS: tuple[User, ...] = ("me", "nobody")


def left_behind() -> list[str]:
    """Groups, directories, swap and processes of the lab."""
    parent = group_parent(LiveFiles())
    groups = Path(parent[1]).glob(f"{MARK}-*") if parent else ()
    swaps = [line for line in Path("/proc/swaps").read_text().splitlines() if MARK in line]
    return [
        *map(str, groups),
        *map(str, Path(place()).glob(f"{MARK}-*")),
        *swaps,
        *(name for name in names() if name.startswith("lab-")),
    ]


def names() -> list[str]:
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            found.append((directory / "comm").read_text().strip())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("user", USERS)
def test_what_does_not_fit_goes_out_and_comes_in_again(user: User) -> None:
    before = left_behind()
    done = run_lab("swap", user)
    assert done.disagreeing == []
    assert done.measured("and back")["faults"] > 0
    if "thrashing" in done.titles:
        thrashing = done.measured("thrashing")
        assert (
            thrashing["major in pass 2"]
            > 10 * done.measured("the same with what fits")["major then"]
        )
    assert set(left_behind()) <= set(before)


@pytest.mark.parametrize("user", USERS)
def test_who_runs_out_is_refused_or_killed(user: User) -> None:
    before, kills = left_behind(), killed()
    done = run_lab("out", user)
    assert done.disagreeing == []
    assert done.measured("refused") == {"refusal": 12, "lives": 1}
    assert "panic_on_oom" in done.measured("what panic_on_oom would have done")
    assert set(left_behind()) <= set(before)
    left_out = [each["title"] for each in done.document["left_out"]]
    assert ("more than there is" in left_out) == ("more than there is" not in done.titles)
    if left_out:
        assert killed() == kills, "nobody is killed where there is no group for it"
    elif kills is not None:
        assert killed() == [*kills, "lab-out-big"]


def killed() -> list[str] | None:
    """The names of those of the lab that the kernel's log has as killed; None: it cannot be read."""
    log = KernelLog(LiveFiles())
    part = log.read()
    log.close()
    if isinstance(part, Gap):
        return None
    found = [each.name for each in deaths(part.records) if isinstance(each, OomKill)]
    return [name for name in found if name.startswith("lab-")]
