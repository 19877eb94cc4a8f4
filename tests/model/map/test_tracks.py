"""Mappings over many readings: what grows, splits and merges stays one, and its size is its own."""

from __future__ import annotations

from memtui.kernel.maps import parse_maps
from memtui.model.map.tracks import Tracks
from memtui.model.processes.leaks import Series

KIB = 1024
OF = ("boot", "key")


def read(*rows: tuple[int, int, str, int]) -> bytes:
    """smaps of mappings: start and end in KiB, path, and what of it is in memory, in KiB."""
    return b"".join(
        b"%x-%x rw-p 00000000 00:00 %d %s\nSize: %d kB\nRss: %d kB\nSwap: 1 kB\n"
        % (start * KIB, end * KIB, 9 * bool(path), path.encode(), end - start, rss)
        for start, end, path, rss in rows
    )


def series(*readings: bytes) -> dict[str, list[Series]]:
    tracks = Tracks()
    for at, data in enumerate(readings):
        tracks.add(parse_maps(data), float(at))
    found: dict[str, list[Series]] = {}
    for each in tracks.series("x", 1, OF, False):
        found.setdefault(each.mapping, []).append(each)
    return found


def test_one_that_grows_is_one() -> None:
    found = series(
        read((400, 800, "[heap]", 100), (9000, 9100, "/lib", 50)),
        read((400, 900, "[heap]", 200), (9000, 9100, "/lib", 50)),
        read((400, 1200, "[heap]", 400), (9000, 9100, "/lib", 50)),
    )
    (heap,) = found["[heap]"]
    assert heap.times == [0, 1, 2]
    assert heap.values == [101 * KIB, 201 * KIB, 401 * KIB]
    assert heap.span == (400 * KIB, 1200 * KIB)
    assert heap.kind == "heap"
    assert heap.of[:2] == OF
    assert not heap.has_ended


def test_one_that_is_split_goes_on_as_its_larger_part() -> None:
    found = series(read((400, 800, "", 300)), read((400, 500, "", 90), (600, 800, "", 200)), read())
    together = found.pop("anonymous, 2 mappings")
    assert together[0].values == [301 * KIB, 292 * KIB]
    first, second = sorted(found["anonymous"], key=lambda each: each.times[0])
    assert first.values == [301 * KIB, 201 * KIB]
    assert second.values == [91 * KIB]
    assert first.has_ended and second.has_ended


def test_two_that_merge_go_on_as_the_larger() -> None:
    found = series(read((400, 500, "", 10), (600, 800, "", 200)), read((400, 800, "", 250)))
    long = [each for each in found["anonymous"] if len(each.times) == 2]
    assert [each.values for each in long] == [[201 * KIB, 251 * KIB]]
    assert [each.has_ended for each in found["anonymous"]].count(True) == 1


def test_many_of_a_name_are_told_together() -> None:
    """What leaks by ever new mappings, none of which grows."""
    readings = [
        read(*((1000 * row, 1000 * row + 100, "/dev/zero", 100) for row in range(1, at + 2)))
        for at in range(8)
    ]
    found = series(*readings)
    (together,) = found["/dev/zero, 8 mappings"]
    assert together.values == [(at + 1) * 101 * KIB for at in range(8)]
    assert together.wholes == ()
    assert all(each.wholes == (together.of,) for each in found["/dev/zero"])
