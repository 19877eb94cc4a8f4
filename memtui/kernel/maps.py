"""The address space of a process: its mappings, and what of each is where.

Source: /proc/PID/{maps,smaps,smaps_rollup}. Document: Documentation/filesystems/proc.rst. Since:
smaps 2.6.14, smaps_rollup 4.14. Permission: ptrace read access, for all three alike.
Cost of 60,000 mappings: the kernel writes maps in 31 ms, smaps in 234 ms, smaps_rollup in 18 ms.

One grammar: maps has a line for each mapping; smaps has the same line and `Key: value` lines
after it, whose number, order and names differ between kernels.
"""

from __future__ import annotations

import operator
import re
import sys
from array import array
from collections.abc import Iterable
from itertools import islice, pairwise
from typing import Final, NamedTuple

from memtui.kernel.files import Files, Gap, Malformed
from memtui.kernel.threads import living
from memtui.kernel.values import Counters, number

# The name is everything after the blanks, its own trailing ones included: "rw-p … 0   name ".
_RANGE = re.compile(rb"([0-9a-f]{1,16})-([0-9a-f]{1,16})")
_REST = re.compile(
    rb"([r-][w-][x-][sp-]) ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+) (\d+)(?: +(.*))?", re.DOTALL
)
_HEAD = re.compile(_RANGE.pattern + rb" " + _REST.pattern, re.DOTALL)
_VALUE = re.compile(rb"([^\s:]+):\s*(\d+)(?: (kB))?\s*")
_SUMS = re.compile(rb"^([A-Za-z_]+): +(\d+) (kB)$", re.MULTILINE)
_KEY = re.compile(rb"[^\s:]+")

# Known to be sizes: one of them that is none is an error, not a text.
_SIZES: Final = frozenset(
    b"Size Rss Pss Shared_Clean Shared_Dirty Private_Clean Private_Dirty Referenced Anonymous "
    b"AnonHugePages Shared_Hugetlb Private_Hugetlb Swap SwapPss KernelPageSize MMUPageSize "
    b"Locked".split()
)

HUGETLB: Final = ("Shared_Hugetlb", "Private_Hugetlb")

UNKNOWN: Final = -1  # in a usage column: this mapping has no such line

_MEMO_LIMIT: Final = 20_000  # distinct lines of one key kept decoded, so that no file grows it


class Vma(NamedTuple):
    """A view of one row of `Mappings`: [start, end), sizes in bytes, None where not offered."""

    start: int
    end: int
    perms: str
    offset_bytes: int
    dev: str
    inode: int
    path: str
    usage: dict[str, int | None]
    vm_flags: tuple[str, ...] | None
    texts: dict[str, str]

    @property
    def size_bytes(self) -> int:
        return self.end - self.start


class Mappings:
    """All mappings of one reading, as columns in the order of addresses.

    `starts`, `ends`, `offsets`, `inodes` are unsigned 64-bit; `usage` has, for each key of smaps
    verbatim ("Rss", "Private_Dirty" …), a column of bytes (counts where the line has no kB), with
    `UNKNOWN` where a mapping lacks the line or its number cannot be; keys that no mapping has are not
    there, those without a kB are in `counts`. `texts` has the lines that are no numbers (VmFlags,
    Android's Name), None where a mapping lacks the line. `left_out`: so many mappings were not in
    order.
    """

    __slots__ = (
        "counts",
        "devs",
        "ends",
        "inodes",
        "left_out",
        "offsets",
        "paths",
        "perms",
        "starts",
        "texts",
        "usage",
    )

    def __init__(self) -> None:
        self.starts = array("Q")
        self.ends = array("Q")
        self.perms: list[str] = []
        self.offsets = array("Q")
        self.devs: list[str] = []
        self.inodes = array("Q")
        self.paths: list[str] = []
        self.usage: dict[str, array[int]] = {}
        self.counts: set[str] = set()
        self.texts: dict[str, list[str | None]] = {}
        self.left_out = 0

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def has_inodes(self) -> bool:
        """Whether it tells what device and inode a file is; a core dump does of none."""
        return any(self.inodes)

    @property
    def has_usage(self) -> bool:
        """Whether smaps was read, whichever of its lines there are."""
        return bool(self.usage)

    def get(self, row: int, key: str) -> int | None:
        """One usage figure of one mapping; None where the kernel does not offer it."""
        column = self.usage.get(key)
        if column is None or (value := column[row]) == UNKNOWN:
            return None
        return value

    def hugetlb(self, row: int) -> int | None:
        """What of a mapping is in memory in pages of the hugetlb pools, which are in no Rss.

        None where it has such pages and the kernel, before 4.4, does not say how many.
        """
        known = [value for key in HUGETLB if (value := self.get(row, key)) is not None]
        return sum(known) if known or "ht" not in (self.vm_flags(row) or ()) else None

    def in_memory(self, row: int) -> int | None:
        """All of a mapping that is in memory: what Rss says, and pages of the hugetlb pools."""
        rss, hugetlb = self.get(row, "Rss"), self.hugetlb(row)
        return None if rss is None or hugetlb is None else rss + hugetlb

    def vm_flags(self, row: int) -> tuple[str, ...] | None:
        column = self.texts.get("VmFlags")
        text = column[row] if column else None
        return None if text is None else tuple(text.split())

    def vma(self, row: int) -> Vma:
        return Vma(
            self.starts[row],
            self.ends[row],
            self.perms[row],
            self.offsets[row],
            self.devs[row],
            self.inodes[row],
            self.paths[row],
            {key: self.get(row, key) for key in self.usage},
            self.vm_flags(row),
            {key: text for key, column in self.texts.items() if (text := column[row]) is not None},
        )

    def total(self, key: str) -> int | None:
        """The sum of a usage column over the mappings that offer it; None where none does."""
        column = self.usage.get(key)
        if column is None:
            return None
        # Sums a column of 60,000 in a millisecond; the unknown are rare enough to look for.
        return sum(column) + column.count(UNKNOWN)

    def same_layout(self, other: Mappings) -> bool:
        """Whether both list the same mappings, whatever is resident in them."""
        return (
            self.starts == other.starts
            and self.ends == other.ends
            and self.perms == other.perms
            and self.paths == other.paths
            and self.inodes == other.inodes
            and self.offsets == other.offsets
        )

    def _keep(self, rows: list[int]) -> None:
        for name in ("starts", "ends", "offsets", "inodes"):
            column = getattr(self, name)
            setattr(self, name, array("Q", [column[row] for row in rows]))
        self.perms = [self.perms[row] for row in rows]
        self.devs = [self.devs[row] for row in rows]
        self.paths = [self.paths[row] for row in rows]
        self.usage = {
            key: array("q", [column[row] for row in rows]) for key, column in self.usage.items()
        }
        self.texts = {key: [column[row] for row in rows] for key, column in self.texts.items()}


def read_mappings(files: Files, pid: int, source: str = "smaps") -> Mappings | Gap:
    """`maps` or `smaps` of a process, parsed while it is read. Empty: no address space (any more).

    Opened anew each time: a kept descriptor shows the address space from before an exec.
    """
    name = f"{living(files, pid)}/{source}"
    reader = _Reader()
    for piece in files.pieces(name):
        if isinstance(piece, Gap):
            return piece
        try:
            reader.feed(piece)
        except ValueError as error:
            return Gap(name, "malformed", str(error))
    try:
        return reader.finish()
    except ValueError as error:
        return Gap(name, "malformed", str(error))


def parse_maps(data: bytes | Iterable[bytes]) -> Mappings:
    """maps or smaps, whole or in pieces that end at ends of lines. Raises Malformed."""
    reader = _Reader()
    for piece in (data,) if isinstance(data, bytes) else data:
        reader.feed(piece)
    return reader.finish()


def parse_smaps_rollup(data: bytes) -> Counters:
    """The sums of smaps over the whole address space, in bytes; keys verbatim.

    Empty: no address space. Raises Malformed.
    """
    lines = data.splitlines()
    if not lines:
        return Counters(())
    if not _HEAD.fullmatch(lines[0]):
        raise Malformed(_quote(lines[0]))
    found = _SUMS.findall(data)
    if len(found) != len(lines) - 1:
        # Some line is not as all kernels write it: cut one by one, in three times the time.
        matches = [_VALUE.fullmatch(line) for line in lines[1:]]
        if None in matches:
            raise Malformed(_quote(lines[1 + matches.index(None)]))
        found = [match.groups() for match in matches if match]
    values = {
        key.decode("utf-8", "surrogateescape"): number(digits, 1024 if kb else 1)
        for key, digits, kb in found
    }
    known = {key: value for key, value in values.items() if value is not None}
    return Counters(known, values.keys() - known.keys())


class _Irregular(Exception):
    """This piece is not records of one shape: cut it line by line."""


class _NewColumn(Exception):
    """A record has a key that none before it had."""


class _RestMemo(dict[bytes, tuple[str, int, str, int, str]]):
    """All of a head but its range, decoded once: a process repeats few, and equal names are one."""

    def __init__(self) -> None:
        self.names: dict[bytes, str] = {}

    def __missing__(self, rest: bytes) -> tuple[str, int, str, int, str]:
        match = _REST.fullmatch(rest)
        if not match:
            raise _Irregular
        perms, offset, dev, inode, path = match.groups()
        value = (
            self._name(perms),
            int(offset, 16),
            self._name(dev),
            int(inode),
            self._name(path or b""),
        )
        if value[1] >= 1 << 64 or value[3] >= 1 << 64:
            raise Malformed(_quote(rest))
        if len(self) < _MEMO_LIMIT:
            self[rest] = value
        return value

    def _name(self, data: bytes) -> str:
        name = self.names.get(data)
        if name is None:
            name = self.names[data] = data.decode("utf-8", "surrogateescape")
        return name


class _BodyMemo(dict[bytes, bytes]):
    """The lines after a head as one packed row of the columns, decoded once for equal bodies.

    Most mappings of a large process are alike to the byte (untouched, or one page touched), so
    this decodes a twentieth of the lines. Texts are packed as their index in `texts`.
    """

    def __init__(self) -> None:
        self.columns: dict[bytes, int] = {}  # key → position in a row
        self.text_keys: set[bytes] = set()
        self.count_keys: set[bytes] = set()
        self.texts: list[str] = []
        self._text_index: dict[bytes, int] = {}
        self._lines: dict[bytes, int] = {}

    def __missing__(self, body: bytes) -> bytes:
        row = array("q", [UNKNOWN]) * len(self.columns)
        for line in body.split(b"\n"):
            key = line.partition(b":")[0]
            value = self._lines.get(line)
            if value is None:
                value = self._value(line, key)
                if len(self._lines) < _MEMO_LIMIT:
                    self._lines[line] = value
            row[self.columns[key]] = value
        packed = row.tobytes()
        if len(self) < _MEMO_LIMIT:
            self[body] = packed
        return packed

    def _value(self, line: bytes, key: bytes) -> int:
        if not _KEY.fullmatch(key) or b":" not in line:
            raise _Irregular
        match = _VALUE.fullmatch(line)
        if not match and key in _SIZES:
            raise Malformed(_quote(line))
        if key not in self.columns:
            self.columns[key] = len(self.columns)
            if not match:
                self.text_keys.add(key)
            elif not match[3]:
                self.count_keys.add(key)
            self.clear()  # the rows packed so far are too short
            raise _NewColumn
        if key in self.text_keys:
            text = line.partition(b":")[2].strip()
            index = self._text_index.get(text)
            if index is None:
                index = self._text_index[text] = len(self.texts)
                self.texts.append(text.decode("utf-8", "surrogateescape"))
            return index
        if not match:
            raise Malformed(_quote(line))
        value = number(match[2], 1024 if match[3] else 1)
        return UNKNOWN if value is None else value


class _Reader:
    """Builds `Mappings` from pieces, a column at a time.

    A piece is cut at the first key of its records ("\\nSize:"), which leaves each head with the
    body before it; what is not so regular (Android's Name comes before Size) is cut line by line.
    """

    def __init__(self) -> None:
        self.mappings = Mappings()
        self.rest = b""
        self.heads = _RestMemo()
        self.bodies = _BodyMemo()

    def feed(self, piece: bytes) -> None:
        text = self.rest + piece if self.rest else piece
        if not text:
            return
        first_end = text.find(b"\n")
        second = text[first_end + 1 : text.find(b"\n", first_end + 1)]
        try:
            if first_end < 0 or not second or _HEAD.fullmatch(second):
                heads, bodies = text.removesuffix(b"\n").split(b"\n"), None
                if not _HEAD.fullmatch(heads[-1]):
                    raise _Irregular
                self.rest = heads.pop() + b"\n"  # its body may be in the next piece
            else:
                heads, bodies = self._cut(text, b"\n" + second.partition(b":")[0] + b":")
            self._append(heads, bodies)
        except _Irregular:
            self._slowly(text)

    def finish(self) -> Mappings:
        if self.rest:
            # A head of nothing closes the last record, and stays behind as the rest.
            self._slowly(self.rest.removesuffix(b"\n") + b"\n0-1 ---p 0 0:0 0\n")
        mappings = self.mappings
        starts, ends = mappings.starts, mappings.ends
        if any(map(operator.gt, ends, islice(starts, 1, None))):
            rows: list[int] = []
            for row, start in enumerate(starts):
                # One that grew while maps was read may be listed twice: the later one is true.
                while rows and ends[rows[-1]] > start and starts[rows[-1]] < ends[row]:
                    rows.pop()
                if rows and ends[rows[-1]] > start:
                    mappings.left_out += 1  # it belongs before one that it does not overlap
                else:
                    rows.append(row)
            mappings._keep(rows)
        return mappings

    def _cut(self, text: bytes, key: bytes) -> tuple[list[bytes], list[bytes]]:
        """Heads and bodies of all records but the last, which may go on in the next piece."""
        chunks = text.split(key)
        last = chunks[-2].rpartition(b"\n")[2] if len(chunks) > 1 else b""
        if not _HEAD.fullmatch(last):
            raise _Irregular
        head = chunks[0]
        heads, bodies = [], []
        name = key[1:]
        for chunk in chunks[1:-1]:
            heads.append(head)
            body, _, head = chunk.rpartition(b"\n")
            bodies.append(name + body)
        self.rest = head + key + chunks[-1]
        return heads, bodies

    def _slowly(self, text: bytes) -> None:
        """Records of any shapes, cut where a line is a head."""
        lines = text.removesuffix(b"\n").split(b"\n")
        rows = [row for row, line in enumerate(lines) if _HEAD.fullmatch(line)]
        if not rows or rows[0]:
            raise Malformed(_quote(lines[0]))
        for row, end in pairwise(rows):
            try:
                body = b"\n".join(lines[row + 1 : end])
                self._append([lines[row]], [body] if body else None)
            except _Irregular:
                raise Malformed(_quote(b"\n".join(lines[row:end]))) from None
        self.rest = b"\n".join(lines[rows[-1] :]) + b"\n"

    def _append(self, heads: list[bytes], bodies: list[bytes] | None) -> None:
        """Adds whole records. Raises _Irregular before anything is added."""
        if not heads:
            return
        # Slices, not partition(): 60,000 live tuples would have the garbage collector look at them.
        blanks = [head.find(b" ") for head in heads]
        starts, ends = _ranges([head[:at] for head, at in zip(heads, blanks, strict=True)])
        rests = [head[at + 1 :] for head, at in zip(heads, blanks, strict=True)]
        perms, offsets, devs, inodes, paths = zip(*map(self.heads.__getitem__, rests), strict=True)
        memo = self.bodies
        rows = array("q")
        while bodies:
            try:
                rows.frombytes(b"".join(map(memo.__getitem__, bodies)))
                break
            except _NewColumn:
                continue
        mappings = self.mappings
        before, added = len(mappings), len(heads)
        mappings.starts.extend(starts)
        mappings.ends.extend(ends)
        mappings.offsets.extend(offsets)
        mappings.inodes.extend(inodes)
        mappings.perms.extend(perms)
        mappings.devs.extend(devs)
        mappings.paths.extend(paths)
        mappings.counts.update(key.decode("utf-8", "surrogateescape") for key in memo.count_keys)
        stride = len(memo.columns)
        for key, position in memo.columns.items():
            values = rows[position::stride] if bodies else array("q", [UNKNOWN]) * added
            name = key.decode("utf-8", "surrogateescape")
            if key in memo.text_keys:
                column = mappings.texts.setdefault(name, [None] * before)
                column += [None if at == UNKNOWN else memo.texts[at] for at in values]
            else:
                if name not in mappings.usage:
                    mappings.usage[name] = array("q", [UNKNOWN]) * before
                mappings.usage[name].extend(values)


def _ranges(ranges: list[bytes]) -> tuple[array[int], array[int]]:
    """`start-end` in hex as two columns. Raises _Irregular, or Malformed where start ≥ end."""
    count = len(ranges)
    text = b",".join(ranges)
    # Twelve digits each, as all but the lowest addresses have: decoded together, in C.
    if (
        len(text) == 26 * count - 1
        and text[12::26] == b"-" * count
        and text[25::26] == b"," * (count - 1)
    ):
        padded = b"0000" + text.replace(b"-", b"0000").replace(b",", b"0000")
        try:
            both = array("Q", bytes.fromhex(padded.decode("ascii")))
        except ValueError:
            raise _Irregular from None
        if sys.byteorder == "little":
            both.byteswap()
        starts, ends = both[::2], both[1::2]
    else:
        starts, ends = array("Q"), array("Q")
        for item in ranges:
            match = _RANGE.fullmatch(item)
            if not match:
                raise _Irregular
            starts.append(int(match[1], 16))
            ends.append(int(match[2], 16))
    if any(map(operator.ge, starts, ends)):
        raise Malformed("a mapping that ends before it starts")
    return starts, ends


def _quote(line: bytes) -> str:
    return repr(line[:80])[1:]
