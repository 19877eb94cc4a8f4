"""Successive versions of a machine's files ↔ few bytes. Exactly reversible, whatever the bytes.

A file is lines, and a line is parts: text and the decimal numbers in it, in turn. From one version to
the next most of it is the same, and what is kept is by how much which numbers grew; in a block of many
versions those of a number stand side by side, as a column, which compresses best. Another part that
changed is kept as a patch, a line with other parts too; a version with more or fewer lines is kept
whole. A block is written against a *base*, the contents at an earlier moment: what is as it was there
costs nothing, and to read a block nothing else need be read.

Measured over ten minutes of a machine with 370 processes, bytes a tick: 617, of which the machine's own
files 185; the same bytes by file with "same as before" under LZMA 1,066 and 530, under zlib 4,153 and 946.

    block     "x" and raw LZMA2 (`_FILTERS`), or "z" and a zlib stream, of:
              ticks, files, length of structure, length of numbers; structure, numbers, text
    structure for each file that differs from the base at any tick, sorted by the last part of its name:
              its place among the base's names, sorted so, from 1, less that of the one before; or 0 and
              the length of its name, which stands in the text; how many runs; each run
    run       its kind, how many versions, the tick of each less that of the one before, and
              whole:   the length of each, whose bytes stand in the text
              changed: of each version how many patches, and of each its place, less that of the one
                       before, and its length, its bytes in the text; then of how many places there
                       are numbers, and each less the one before; in the numbers, place by place, by how
                       much each version is more than the one before
              gone:    nothing more

The place of a line is 4096 times its number, from 0; of a part of it so much more, from 1.
Whole numbers are little-endian base 128 (LEB128), in `numbers` after zigzag.
"""

from __future__ import annotations

import lzma
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, chain, groupby
from typing import Final, NamedTuple

Contents = Mapping[str, bytes]
Changes = Mapping[str, bytes | None]  # None: it is there no more

_WHOLE, _CHANGED, _GONE = range(3)
# Padding belongs to the number, so that its text stays when a digit comes to it. No number has zeros
# before it, or more digits than are worth it, and so each is written in one way.
_NUMBER: Final = re.compile(rb"((?: {2,})?(?:0|[1-9][0-9]{0,17}))")
_SPACE: Final = 0x20
_PARTS: Final = 4096  # of a line: with more it is patched as one
# A dictionary of 1 MiB: the preset's own would take 94 MB to compress.
_FILTERS: Final = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 20, "lc": 1, "pb": 0}]
_BLOCK_AT_MOST: Final = 1 << 28  # bytes: what a damaged one may make of memory


class Damaged(ValueError):
    """Bytes that are no block, or not one of this base."""


class _Changed(NamedTuple):
    """What became of the parts of a file, by their places: by how much which numbers grew, and what
    stands instead of other parts."""

    numbers: dict[int, int]
    patches: dict[int, bytes]


Version = bytes | _Changed | None
Versions = Mapping[str, Sequence[tuple[int, Version]]]


def _version(before: bytes | None, now: bytes | None) -> Version:
    """What to keep of a file's bytes, beside those before."""
    if before is None or now is None:
        return now
    old, new = before.split(b"\n"), now.split(b"\n")
    if len(old) != len(new):
        return now
    changed = _Changed({}, {})
    for number, (was, line) in enumerate(zip(old, new, strict=True)):
        if was != line:
            _compare(was, line, number * _PARTS, changed)
    if sum(map(len, changed.patches.values())) * 2 > len(now):
        return now
    return changed


def _compare(was: bytes, line: bytes, place: int, changed: _Changed) -> None:
    """Notes what became of a line, whose own place that is."""
    old, new = _NUMBER.split(was), _NUMBER.split(line)
    if len(old) != len(new) or len(old) >= _PARTS:
        changed.patches[place] = line
        return
    for at, (a, b) in enumerate(zip(old, new, strict=True)):
        if a == b:
            continue
        if at & 1 and _is_aligned(a, b):
            changed.numbers[place + at + 1] = int(b) - int(a)
        else:
            changed.patches[place + at + 1] = b


def _is_aligned(was: bytes, now: bytes) -> bool:
    """Whether a number with its padding follows from the one before and by how much it grew."""
    if was[0] != _SPACE and now[0] != _SPACE:
        return True
    return len(was) == len(now) and was[0] == now[0]


def versions_of(before: Contents, changes: Changes) -> dict[str, Version]:
    """Of each file that changed what to keep of it, beside the contents before."""
    return {name: _version(before.get(name), now) for name, now in changes.items()}


class Block:
    """A block that is written: what changes, tick after tick."""

    def __init__(self) -> None:
        self.ticks = 0
        self._versions: dict[str, list[tuple[int, Version]]] = {}

    def add(self, versions: Mapping[str, Version]) -> None:
        """One more tick, by what `versions_of` made of its changes; at the first those of the base."""
        for name, version in versions.items():
            self._versions.setdefault(name, []).append((self.ticks, version))
        self.ticks += 1

    @property
    def versions(self) -> Versions:
        """Those of each file by their ticks, also for another thread, as of now."""
        return {name: list(each) for name, each in list(self._versions.items())}

    def packed(self, base: Iterable[str] = (), *, zlib_level: int = 0) -> bytes:
        """The block as bytes. `base`: the names in the base, else names stand in it in full. With a
        `zlib_level` quicker and larger: LZMA alone takes 10 MB meanwhile.
        """
        structure, numbers, text = bytearray(), bytearray(), []
        places = {name: at for at, name in enumerate(sorted(base, key=_by_leaf), 1)}
        last = 0
        for name in sorted(self._versions, key=_by_leaf):
            place = places.get(name)
            if place is None:
                text.append(name.encode("utf-8", "surrogateescape"))
                _put(structure, (0, len(text[-1])))
            else:
                _put(structure, (place - last,))
                last = place
            runs = list(_runs(self._versions[name]))
            _put(structure, (len(runs),))
            for kind, run in runs:
                _put(structure, (kind, len(run), *_gaps(tick for tick, _ in run)))
                _put_run(run, structure, numbers, text)
        head = bytearray()
        _put(head, (self.ticks, len(self._versions), len(structure), len(numbers)))
        whole = b"".join((head, structure, numbers, *text))
        if zlib_level:
            return b"z" + zlib.compress(whole, zlib_level)
        return b"x" + lzma.compress(whole, lzma.FORMAT_RAW, filters=_FILTERS)


def packed_contents(contents: Contents, *, zlib_level: int = 0) -> bytes:
    """Contents as a block of one tick and no base."""
    block = Block()
    block.add(contents)
    return block.packed(zlib_level=zlib_level)


def _by_leaf(name: str) -> tuple[str, str]:
    """Files that are alike stand side by side: all the stat, all the status."""
    return name.rpartition("/")[2], name


def _kind(version: Version) -> int:
    return _GONE if version is None else _WHOLE if isinstance(version, bytes) else _CHANGED


def _runs(
    versions: list[tuple[int, Version]],
) -> Iterator[tuple[int, list[tuple[int, Version]]]]:
    """Successive versions of one kind."""
    for kind, run in groupby(versions, lambda each: _kind(each[1])):
        yield kind, list(run)


def _put_run(
    run: list[tuple[int, Version]], structure: bytearray, numbers: bytearray, text: list[bytes]
) -> None:
    changed: list[_Changed] = []
    for _, version in run:
        if isinstance(version, bytes):
            _put(structure, (len(version),))
            text.append(version)
        elif version is not None:
            changed.append(version)
            lengths = map(len, version.patches.values())
            pairs = zip(_gaps(version.patches), lengths, strict=True)
            _put(structure, (len(version.patches), *chain.from_iterable(pairs)))
            text += version.patches.values()
    if not changed:
        return
    places = sorted({place for version in changed for place in version.numbers})
    _put(structure, (len(places), *_gaps(places)))
    for place in places:
        _put(numbers, [_zigzag(version.numbers.get(place, 0)) for version in changed])


def _gaps(numbers: Iterable[int]) -> Iterator[int]:
    last = 0
    for each in numbers:
        yield each - last
        last = each


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _put(out: bytearray, numbers: Iterable[int]) -> None:
    for number in numbers:
        while number > 0x7F:
            out.append(number & 0x7F | 0x80)
            number >>= 7
        out.append(number)


class _Run(NamedTuple):
    """Successive versions of a file: whole ones, or of changed ones the patches of each, and place by
    place the growths, which begin at `first` among the block's numbers, as they are written there.
    """

    kind: int
    ticks: list[int]
    whole: list[bytes]
    patches: list[dict[int, bytes]]
    places: list[int]
    numbers: list[int]
    first: int


def _run(kind: int, versions: list[tuple[int, Version]]) -> _Run:
    run = _Run(kind, [tick for tick, _ in versions], [], [], [], [], 0)
    changed = [version for _, version in versions if isinstance(version, _Changed)]
    run.whole.extend(version for _, version in versions if isinstance(version, bytes))
    run.patches.extend(version.patches for version in changed)
    run.places.extend(sorted({place for version in changed for place in version.numbers}))
    for place in run.places:
        run.numbers.extend(_zigzag(version.numbers.get(place, 0)) for version in changed)
    return run


class OpenBlock:
    """A block that is read, beside the contents of its base. A file is put together when it is asked
    for.

    Raises Damaged where it is no block; a block is only as good as its base.
    """

    def __init__(self, data: bytes, base: Contents) -> None:
        self._base = base
        try:
            self.ticks, self._runs = _opened(_unpacked(data), base)
        except (IndexError, ValueError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise Damaged(f"a damaged block: {error}") from None
        self._names: dict[int, frozenset[str]] = {}

    @classmethod
    def of(cls, ticks: int, versions: Versions, base: Contents) -> OpenBlock:
        """One whose ticks have not been packed: of each file its versions, by their ticks."""
        block = cls.__new__(cls)
        block._base, block.ticks, block._names = base, ticks, {}
        block._runs = {
            name: [_run(kind, run) for kind, run in _runs(found)]
            for name, each in versions.items()
            if (found := [version for version in each if version[0] < ticks])
        }
        return block

    @property
    def changed(self) -> Iterable[str]:
        """The files that are not all the time as in the base."""
        return self._runs.keys()

    def names(self, tick: int) -> frozenset[str]:
        """All files that were there at a tick: the same object as long as they are the same."""
        at = bisect_right(self._comings, tick)
        found = self._names.get(at)
        if found is None:
            found = self._names[at] = frozenset(self._named(tick))
        return found

    @cached_property
    def _comings(self) -> list[int]:
        """The ticks at which files came or went."""
        ticks = set()
        for name, runs in self._runs.items():
            is_there = name in self._base
            for run in runs:
                if is_there != (run.kind != _GONE):
                    ticks.add(run.ticks[0])
                    is_there = not is_there
        return sorted(ticks)

    def _named(self, tick: int) -> set[str]:
        names = set(self._base)
        for name, runs in self._runs.items():
            kinds = [run.kind for run in runs if run.ticks[0] <= tick]
            if kinds and kinds[-1] == _GONE:
                names.discard(name)
            elif kinds:
                names.add(name)
        return names

    def contents(self, tick: int) -> dict[str, bytes]:
        """All files at a tick."""
        found = dict(self._base)
        for name in self._runs:
            data = self.get(name, tick)
            if data is None:
                found.pop(name, None)
            else:
                found[name] = data
        return found

    def get(self, name: str, tick: int) -> bytes | None:
        """A file at a tick; None where it was not there. Raises Damaged where that is not to be had."""
        data = self._base.get(name)
        for run in self._runs.get(name, ()):
            count = bisect_right(run.ticks, tick)
            if not count:
                break
            if run.kind == _CHANGED:
                try:
                    data = _changed(data, run, count)
                except (IndexError, ValueError) as error:
                    raise Damaged(f"a damaged block: {name}: {error}") from None
            else:
                data = run.whole[count - 1] if run.kind == _WHOLE else None
        return data

    def changes(self, name: str) -> list[int]:
        """The ticks at which a file became another, or none."""
        return [tick for run in self._runs.get(name, ()) for tick in run.ticks]


def _changed(data: bytes | None, run: _Run, count: int) -> bytes:
    """A file after the first `count` versions of a run of changed ones."""
    if data is None:
        raise ValueError("changed, and not there")
    lines = data.split(b"\n")
    taken: dict[int, list[bytes]] = {}  # apart
    since: dict[int, int] = {}  # by place: the version after that in which it was patched

    def parts(line: int) -> list[bytes]:
        if line not in taken:
            taken[line] = _NUMBER.split(lines[line])
        return taken[line]

    for version, patches in enumerate(run.patches[:count], 1):
        for place, patch in patches.items():
            line, at = divmod(place, _PARTS)
            since[place] = version
            if at:
                parts(line)[at - 1] = patch
            else:
                lines[line] = patch
                taken.pop(line, None)
    versions = len(run.ticks)
    for row, place in enumerate(run.places):
        line, at = divmod(place, _PARTS)
        first = max(since.get(place, 0), since.get(place - at, 0))
        begin = run.first + row * versions
        written = run.numbers[begin + first : begin + count]
        growth = sum([(each >> 1) ^ -(each & 1) for each in written])
        if growth:
            was = parts(line)[at - 1]
            now = b"%d" % (int(was) + growth)
            parts(line)[at - 1] = now.rjust(len(was)) if was[0] == _SPACE else now
    for line, own in taken.items():
        lines[line] = b"".join(own)
    return b"\n".join(lines)


def _unpacked(data: bytes) -> bytes:
    if data[:1] == b"z":
        whole = zlib.decompressobj().decompress(data[1:], _BLOCK_AT_MOST)
    elif data[:1] == b"x":
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS)
        whole = decompressor.decompress(data[1:], _BLOCK_AT_MOST)
    else:
        raise ValueError("of no known kind")
    return whole


def _opened(whole: bytes, base: Contents) -> tuple[int, dict[str, list[_Run]]]:
    """How many ticks a block has, and the runs of each file."""
    (ticks, files, structure_bytes, numbers_bytes), at = _taken(whole, 0, 4)
    structure = _numbers(whole[at : at + structure_bytes])
    numbers = _numbers(whole[at + structure_bytes : at + structure_bytes + numbers_bytes])
    text_at = at + structure_bytes + numbers_bytes
    names: list[str] = []
    found: dict[str, list[_Run]] = {}
    at = number_at = place = 0
    for _ in range(files):
        step = structure[at]
        at += 1
        if step:
            names = names or sorted(base, key=_by_leaf)
            place += step
            name = names[place - 1]
        else:
            length = structure[at]
            at += 1
            name = whole[text_at : text_at + length].decode("utf-8", "surrogateescape")
            text_at += length
        runs = found[name] = []
        count = structure[at]
        at += 1
        for _ in range(count):
            kind, versions = structure[at : at + 2]
            at += 2
            run = _Run(
                kind,
                list(accumulate(structure[at : at + versions])),
                [],
                [],
                [],
                numbers,
                number_at,
            )
            at += versions
            if kind == _WHOLE:
                for length in structure[at : at + versions]:
                    run.whole.append(whole[text_at : text_at + length])
                    text_at += length
                at += versions
            elif kind == _CHANGED:
                for _ in range(versions):
                    patches: dict[int, bytes] = {}
                    run.patches.append(patches)
                    if not structure[at]:
                        at += 1
                        continue
                    ends = at + 1 + 2 * structure[at]
                    for part, length in zip(
                        accumulate(structure[at + 1 : ends : 2]),
                        structure[at + 2 : ends : 2],
                        strict=True,
                    ):
                        patches[part] = whole[text_at : text_at + length]
                        text_at += length
                    at = ends
                places = structure[at]
                run.places.extend(accumulate(structure[at + 1 : at + 1 + places]))
                at += 1 + places
                number_at += places * versions
            runs.append(run)
    if text_at != len(whole):
        raise ValueError("its end is missing")
    return ticks, found


def _taken(data: bytes, at: int, count: int) -> tuple[list[int], int]:
    """So many whole numbers, and where they end."""
    found = []
    for _ in range(count):
        number = shift = 0
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        found.append(number)
    return found, at


def _numbers(data: bytes) -> list[int]:
    """Whole numbers to the end."""
    if data.isascii():
        return list(data)  # each is a byte
    found = []
    number = shift = 0
    for byte in data:
        if byte < 0x80:
            found.append(number | byte << shift)
            number = shift = 0
        else:
            number |= (byte & 0x7F) << shift
            shift += 7
    return found
