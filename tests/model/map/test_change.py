"""What grew and what changed: hand-made maps, captured hosts, and a process at work."""

from __future__ import annotations

import weakref

import pytest

from memtui.kernel.maps import Mappings, parse_maps
from memtui.live.looker import read_map
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.change import (
    Change,
    Snapshot,
    Sums,
    Trail,
    What,
    difference,
    gain,
    gains,
    most_changed,
)
from tests.conftest import HOSTS, may_read, open_host
from tests.programs import key_of

KEY = ProcessKey(1, 1)
PAGE = 4096
MIRRORED: dict[What, What] = {
    "new": "gone",
    "gone": "new",
    "grown": "shrunk",
    "shrunk": "grown",
    "filled": "emptied",
    "emptied": "filled",
    "shifted": "shifted",
    "re-protected": "re-protected",
    "usage": "usage",
}


def map_of(text: str) -> AddressMap:
    """Lines of `start-end perms offset inode [name] | rss [pss swap]`, in pages, the first in hex.

    Without figures a mapping has no usage at all.
    """
    lines = []
    for line in text.strip().splitlines():
        head, _, usage = line.partition("|")
        range_, perms, offset, inode, *name = head.split(None, 4)
        start, end = (int(part, 16) * PAGE for part in range_.split("-"))
        dev = "08:01" if inode != "0" else "00:00"
        place = f"{int(offset, 16) * PAGE:08x} {dev} {inode} {''.join(name).strip()}"
        lines.append(f"{start:08x}-{end:08x} {perms} {place}\nSize: {(end - start) // 1024} kB\n")
        rss, pss, swap = [*usage.split(), "0", "0", "0"][:3] if usage.strip() else [None] * 3
        for key, value in (
            ("Rss", rss),
            ("Pss", pss if usage.split()[1:] else rss),
            ("Swap", swap),
        ):
            if value is not None:
                lines.append(f"{key}: {int(value) * PAGE // 1024} kB\n")
    return AddressMap(KEY, parse_maps("".join(lines).encode()))


def pages_gained(before: str, after: str) -> list[int | None]:
    """RSS that each mapping of `after` gained, in pages."""
    snapshot, mappings = Snapshot.of(map_of(before), 0.0), map_of(after).mappings
    found = [gain(snapshot, mappings, row, "Rss") for row in range(len(mappings))]
    assert gains(snapshot, mappings, "Rss") == found
    return [None if value is None else value // PAGE for value in found]


def changes(before: str, after: str) -> list[Change]:
    return difference(Snapshot.of(map_of(before), 0.0), Snapshot.of(map_of(after), 0.0)).changes


def one_change(before: str, after: str) -> Change:
    (change,) = changes(before, after)
    return change


# By how much a mapping gained --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("10-20 rw-p 0 0 [heap] | 5", "10-30 rw-p 0 0 [heap] | 9", [4]),
        ("70-80 rw-p 0 0 [stack] | 5", "60-80 rw-p 0 0 [stack] | 9", [4]),
        ("10-30 rw-p 0 0 [heap] | 9", "10-20 rw-p 0 0 [heap] | 5", [-4]),
        ("", "10-20 rw-p 0 0 | 7", [7]),
        ("30-40 rw-p 0 0 | 7", "10-20 rw-p 0 0 | 7", [7]),
        ("10-20 rw-p 0 0 | 3\n20-30 rw-p 0 0 | 4", "10-30 rw-p 0 0 | 9", [2]),
        ("10-20 rw-p 0 0 [heap] | 5", "10-20 rw-p 0 0 | 6", [1]),
    ],
    ids="up down trimmed new moved merged renamed".split(),
)
def test_a_mapping_keeps_its_identity_however_it_grows(
    before: str, after: str, expected: list[int]
) -> None:
    assert pages_gained(before, after) == expected


def test_a_split_mapping_counts_for_its_pieces_by_their_addresses() -> None:
    split = "10-18 rw-p 0 0 | 8\n18-1c r--p 0 0 | 4\n1c-20 rw-p 0 0 | 3"
    assert pages_gained("10-20 rw-p 0 0 | 16", split) == [0, 0, -1]
    # A hole counts for the piece below it: no usage is lost.
    assert pages_gained("10-20 rw-p 0 0 | 16", "11-14 rw-p 0 0 | 3\n18-20 rw-p 0 0 | 8") == [-5, 0]
    # A file in the middle is other memory, and all of it is new.
    between = "10-18 rw-p 0 0 | 8\n18-1c r--p 0 7 /a | 4\n1c-20 rw-p 0 0 | 4"
    assert pages_gained("10-20 rw-p 0 0 | 16", between) == [-4, 4, 0]


def test_an_arena_that_opens_more_of_its_reservation_gains_what_it_filled() -> None:
    before = "4000-4021 rw-p 0 0 | 20\n4021-8000 ---p 0 0 | 0"
    assert pages_gained(before, "4000-4042 rw-p 0 0 | 50\n4042-8000 ---p 0 0 | 0") == [30, 0]


@pytest.mark.parametrize(
    ("after", "is_same"),
    [
        ("10-20 r--p 5 7 /a | 4", True),
        ("12-20 r--p 7 7 /a | 4", True),
        ("10-20 rw-p 5 7 /a (deleted) | 4", True),
        ("10-20 r--p 6 7 /a | 4", False),
        ("10-20 r--p 5 8 /a | 4", False),
        ("10-20 r--p 0 0 | 4", False),
    ],
    ids="unchanged cut renamed offset inode anonymous".split(),
)
def test_a_file_is_the_same_at_the_same_distance(after: str, is_same: bool) -> None:
    assert pages_gained("10-20 r--p 5 7 /a | 4", after) == [0 if is_same else 4]


def test_a_file_is_another_on_another_device_and_a_segment_with_inode_0_is_no_anonymous_memory() -> (
    None
):
    def rows(tail: str) -> AddressMap:
        text = f"00010000-00020000 rw-s {tail}\nSize: 64 kB\nRss: 4 kB\n"
        return AddressMap(KEY, parse_maps(text.encode()))

    def gained(before: str, after: str) -> int | None:
        one = gain(Snapshot.of(rows(before), 0.0), rows(after).mappings, 0, "Rss")
        assert gains(Snapshot.of(rows(before), 0.0), rows(after).mappings, "Rss") == [one]
        return one

    assert gained("00000000 08:01 7 /a", "00000000 08:01 7 /a") == 0
    assert gained("00000000 08:01 7 /a", "00000000 08:02 7 /a") == 4096
    segment = "00000000 00:01 0 /SYSV00000000 (deleted)"
    assert gained(segment, segment) == 0
    assert gained(segment, segment.replace("0", "1", 1)) == 4096
    assert gained(segment, "00000000 00:00 0") == 4096
    assert gained("00000000 00:00 0", segment) == 4096


def test_unknown_usage_gives_an_unknown_gain() -> None:
    known, unknown = "10-20 rw-p 0 0 | 4", "10-20 rw-p 0 0"
    other = "\n30-40 rw-p 0 0 | 1"
    assert pages_gained(unknown, known) == [None]
    assert pages_gained(known, unknown) == [None]
    assert pages_gained(unknown + other, known + other) == [None, 0]
    assert pages_gained(known + other, unknown + other) == [None, 0]
    assert pages_gained(unknown, "50-60 rw-p 0 0 | 1") == [None]
    split = "10-18 rw-p 0 0 | 4\n18-20 r--p 0 0 | 4"
    assert pages_gained(unknown + other, split + other) == [None, None, 0]


# The trail ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "row"),
    [
        ("10-20 rw-p 0 0 | 4\n30-40 rw-p 0 0 | 16", None),
        ("10-20 rw-p 0 0 | 4\n30-40 rw-p 0 0 | 14", None),  # less than what is to tell
        ("10-20 rw-p 0 0 | 9\n30-40 rw-p 0 0 | 0", 1),  # what it lost counts as what it gained
        ("10-20 rw-p 0 0 | 16\n30-40 rw-p 0 0 | 8", 0),
        # Nothing of what is new is in memory; where something has changed, that is it.
        ("10-20 rw-p 0 0 | 4\n30-40 rw-p 0 0 | 16\n50-60 rw-p 0 0 | 0\n70-90 rw-p 0 0 | 0", 3),
        ("10-20 rw-p 0 0 | 8\n30-40 rw-p 0 0 | 16\n50-60 rw-p 0 0 | 0", 0),
    ],
)
def test_what_has_changed_most(after: str, row: int | None) -> None:
    before = Snapshot.of(map_of("10-20 rw-p 0 0 | 4\n30-40 rw-p 0 0 | 16"), 0.0)
    assert most_changed(before, map_of(after).mappings, 4 * PAGE) == row


def test_the_trail_keeps_a_minute_the_last_reading_and_the_mark() -> None:
    trail, map_ = Trail(), map_of("10-20 rw-p 0 0 | 4")
    assert (trail.last, trail.previous, trail.minute, trail.mark) == (None, None, None, None)
    trail.set_mark()
    assert not trail.is_marked
    ages = []
    for second in range(0, 400, 2):
        trail.add(map_, float(second))
        assert trail.last and trail.last.time_s == second
        assert second == 0 or (trail.previous and trail.previous.time_s == second - 2)
        if trail.minute:
            ages.append(trail.last.time_s - trail.minute.time_s)
        assert trail.mark and trail.mark.time_s == (0 if second <= 100 else 100)
        assert trail.is_marked == (second > 100)
        if second == 100:
            trail.set_mark()
    assert ages[:31] == [float(age) for age in range(2, 64, 2)]  # from the first reading on
    assert min(ages[31:]) >= 45 and max(ages) <= 65


def test_after_a_pause_there_is_no_earlier_reading_of_the_minute() -> None:
    trail, map_ = Trail(), map_of("10-20 rw-p 0 0 | 4")
    for second in (0.0, 20.0, 40.0, 300.0):
        trail.add(map_, second)
    assert trail.minute is None
    trail.add(map_, 302.0)
    assert trail.minute and trail.minute.time_s == 300


def test_an_exec_begins_a_new_trail() -> None:
    """Another address space has nothing of the one before to be compared with."""
    trail = Trail()
    trail.add(map_of("10-20 rw-p 0 0 | 4\n90-91 r-xp 0 0 [vdso] | 1"), 0.0)
    trail.set_mark()
    trail.add(map_of("10-20 rw-p 0 0 | 8\n90-91 r-xp 0 0 [vdso] | 1"), 2.0)
    assert trail.is_marked and trail.previous
    trail.add(map_of("10-20 rw-p 0 0 | 2\n80-81 r-xp 0 0 [vdso] | 1"), 4.0)
    assert trail.previous is None and trail.minute is None and not trail.is_marked
    assert trail.mark is trail.last


def test_few_readings_of_a_long_watch_are_kept() -> None:
    trail = Trail()
    columns = []
    for second in range(0, 300, 2):
        map_ = map_of("10-20 rw-p 0 0 | 4")
        trail.add(map_, float(second))
        columns.append(weakref.ref(map_.mappings.usage["Rss"]))
    del map_
    kept = [row for row, column in enumerate(columns) if column() is not None]
    # The first, for the mark; the last two; and one in fifteen seconds of a minute.
    assert kept[0] == 0 and kept[-2:] == [148, 149]
    assert len(kept) <= 8


def test_readings_share_their_columns() -> None:
    layout = "10-20 rw-p 0 0 | {}\n30-40 rw-p 0 0 | 1"
    maps = [map_of(layout.format(rss)) for rss in (1, 2)]
    other = map_of("10-20 rw-p 0 0 | 3")
    trail = Trail()
    kept = []
    for second, map_ in enumerate([*maps, other]):
        trail.add(map_, 20.0 * second)
        assert trail.last
        kept.append(trail.last)
        assert trail.last.mappings.usage["Rss"] is map_.mappings.usage["Rss"]
        assert set(trail.last.mappings.usage) == {"Rss", "Pss", "Swap"}
    for name in ("starts", "ends", "perms", "offsets", "devs", "inodes", "paths"):
        first, second_, third = (getattr(snapshot.mappings, name) for snapshot in kept)
        assert first is second_ is getattr(maps[0].mappings, name)
        assert third is getattr(other.mappings, name)
    assert kept[0].kinds is kept[1].kinds is maps[0].kinds
    assert kept[2].kinds is other.kinds


# What changed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("", "10-20 rw-p 0 0 | 7", "new"),
        ("10-20 rw-p 0 0 | 7", "", "gone"),
        ("10-20 rw-p 0 0 | 7", "10-30 rw-p 0 0 | 7", "grown"),
        ("10-20 rw-p 0 0 | 7", "10-18 rw-p 0 0 | 8", "shrunk"),
        ("10-20 rw-p 0 0 | 7", "18-28 rw-p 0 0 | 7", "shifted"),
        ("10-20 rw-p 0 0 | 7", "10-20 r--p 0 0 | 8", "re-protected"),
        ("10-20 rw-p 0 0 | 7", "10-20 rw-p 0 0 | 8", "filled"),
        ("10-20 rw-p 0 0 | 7", "10-20 rw-p 0 0 | 6 6 1", "emptied"),
        ("10-20 rw-p 0 0 | 7 7", "10-20 rw-p 0 0 | 7 6", "usage"),
        ("10-20 rw-p 0 0 | 7 7 0", "10-20 rw-p 0 0 | 7 7 1", "usage"),
    ],
)
def test_what_happened(before: str, after: str, what: What) -> None:
    assert one_change(before, after).what == what
    assert one_change(after, before).what == MIRRORED[what]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("10-20 rw-p 0 0 [heap] | 7", "10-20 rw-p 0 0 | 7"),
        ("10-20 rw-p 0 7 /a | 7", "10-20 rw-p 0 7 /a (deleted) | 7"),
        ("10-20 rw-p 0 0 | 7", "10-18 rw-p 0 0 | 3\n18-20 rw-p 0 0 | 4"),
        ("10-20 rw-p 0 0 | 7", "10-20 rw-p 0 0"),
        ("", ""),
    ],
    ids="name file cut unread nothing".split(),
)
def test_another_name_another_cut_or_nothing_known_is_no_change(before: str, after: str) -> None:
    assert changes(before, after) == []
    assert changes(after, before) == []


def test_protecting_the_middle_is_one_change_in_three_pieces() -> None:
    split = "10-18 rw-p 0 0 | 8\n18-1c r--p 0 0 | 4\n1c-20 rw-p 0 0 | 5"
    change = one_change("10-20 rw-p 0 0 [heap] | 16", split)
    assert change.before and change.after
    assert (change.what, change.reprotected_bytes) == ("re-protected", 4 * PAGE)
    assert (change.before.pieces, change.after.pieces) == (1, 3)
    assert (change.before.perms, change.after.perms) == ("rw-p", "r--p")
    assert (change.after.start, change.after.end) == (0x10 * PAGE, 0x20 * PAGE)
    assert (change.gain("size"), change.gain("rss")) == (0, PAGE)


def test_what_grows_and_is_protected_otherwise_says_both() -> None:
    change = one_change("10-20 rw-p 0 0 | 1", "8-20 r-xp 0 0 | 1")
    assert (change.what, change.gain("size")) == ("grown", 8 * PAGE)
    assert change.reprotected_bytes == 16 * PAGE
    assert change.before and change.after
    assert (change.before.perms, change.after.perms) == ("rw-p", "r-xp")
    assert (change.before.kind.name, change.after.kind.name) == ("anon", "jit")


def test_a_file_put_into_anonymous_memory_is_two_changes() -> None:
    between = "10-18 rw-p 0 0 | 8\n18-1c r--p 0 7 /a | 4\n1c-20 rw-p 0 0 | 4"
    shrunk, new = changes("10-20 rw-p 0 0 | 16", between)
    assert (shrunk.what, shrunk.gain("size"), shrunk.gain("rss")) == (
        "shrunk",
        -4 * PAGE,
        -4 * PAGE,
    )
    assert shrunk.after and shrunk.after.pieces == 2
    assert (new.what, new.side.path, new.before) == ("new", "/a", None)


def test_unknown_usage_stays_unknown_in_a_change_and_out_of_its_sums() -> None:
    before = "10-20 rw-p 0 0\n30-40 rw-p 0 0 | 1"
    found = difference(
        Snapshot.of(map_of(before), 0.0),
        Snapshot.of(map_of("10-30 rw-p 0 0 | 4\n30-40 rw-p 0 0 | 3"), 0.0),
    )
    grown, filled = found.changes
    assert (grown.gain("size"), grown.gain("rss"), filled.gain("rss")) == (
        16 * PAGE,
        None,
        2 * PAGE,
    )
    assert found.gain == Sums(2, 16 * PAGE, 2 * PAGE, 2 * PAGE, 0)
    assert found.by_what["grown"] == Sums(1, 16 * PAGE, None, None, None)
    unread = Snapshot.of(map_of("10-20 rw-p 0 0"), 0.0)
    assert difference(unread, Snapshot.of(map_of("10-30 rw-p 0 0"), 0.0)).gain.rss is None


# Captured processes ------------------------------------------------------------------------------


@pytest.mark.parametrize("host", HOSTS)
def test_captured_processes_differ_from_others_and_not_from_themselves(host: str) -> None:
    files = open_host(host)
    last = Snapshot.of(AddressMap(KEY, Mappings()), 0.0)
    for pid in sorted(files.pids()):
        key = key_of(pid, files)
        source = "smaps" if may_read(files, f"proc/{pid}/smaps") else "maps"
        found = read_map(files, key, source).map
        if not isinstance(found, AddressMap):
            continue
        here = Snapshot.of(found, 0.0)
        assert difference(here, here).changes == []
        assert not any(gains(here, found.mappings, "Rss"))
        changed = difference(last, here)
        assert changed.gain.size == changed.after.size - changed.before.size
        last = here
