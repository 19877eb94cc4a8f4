"""What came and went between two readings of maps."""

from __future__ import annotations

import pytest

from memtui.kernel.livefiles import LiveFiles
from memtui.watch.changes import Change, changes, count
from tests.child import AREA, child

PROGRAM = b"1000-3000 r-xp 00000000 08:01 7                 /bin/program\n"
HEAP = b"5000-7000 rw-p 00000000 00:00 0                    [heap]\n"
LIBRARY = (
    b"20000-22000 r--p 00000000 08:01 9                  /lib/libfoo.so\n"
    b"22000-23000 r-xp 00002000 08:01 9                  /lib/libfoo.so\n"
)
AREAS = b"40000-50000 rw-p 00000000 00:00 0 \n"
STACK = b"7f000-80000 rw-p 00000000 00:00 0                [stack]\n"


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (PROGRAM, PROGRAM, []),
        (PROGRAM, PROGRAM + LIBRARY, [Change("mapped", "libfoo.so", 0x3000, 2)]),
        (PROGRAM + LIBRARY, PROGRAM, [Change("unmapped", "libfoo.so", 0x3000, 2)]),
        (PROGRAM, PROGRAM + HEAP, [Change("grew", "[heap]", 0x2000, 1)]),
        (HEAP, HEAP.replace(b"7000", b"9000"), [Change("grew", "[heap]", 0x2000, 1)]),
        (HEAP, HEAP.replace(b"7000", b"6000"), [Change("shrank", "[heap]", 0x1000, 1)]),
        (STACK, STACK.replace(b"7f000", b"7c000"), [Change("grew", "the stack", 0x3000, 1)]),
        (b"", AREAS, [Change("mapped", "anonymous memory", 0x10000, 1)]),
        # mprotect, and what it cuts in pieces.
        (AREAS, AREAS.replace(b"rw-p", b"r--p"), []),
        (
            AREAS,
            b"40000-44000 r--p 00000000 00:00 0 \n44000-50000 rw-p 00000000 00:00 0 \n",
            [],
        ),
        # A hole in the middle.
        (
            AREAS,
            b"40000-44000 rw-p 00000000 00:00 0 \n45000-50000 rw-p 00000000 00:00 0 \n",
            [Change("shrank", "anonymous memory", 0x1000, 1)],
        ),
        # Another file at the same place.
        (
            LIBRARY,
            LIBRARY.replace(b"08:01 9", b"08:01 8").replace(b"foo", b"bar"),
            [
                Change("mapped", "libbar.so", 0x3000, 2),
                Change("unmapped", "libfoo.so", 0x3000, 2),
            ],
        ),
        # Read while it changed: the same memory twice.
        (
            b"40000-50000 rw-p 00000000 00:00 0 \n48000-58000 rw-p 00000000 00:00 0 \n",
            b"40000-60000 rw-p 00000000 00:00 0 \n",
            [Change("grew", "anonymous memory", 0x8000, 1)],
        ),
        (b"no map\n", b"zz-yy rw-p 0 0 0\n1-\n\n", []),
    ],
)
def test_what_came_and_went(before: bytes, after: bytes, found: list[Change]) -> None:
    assert changes(before, after) == found


def test_many_names_are_a_few_and_the_sum_of_the_others() -> None:
    lines = [
        b"%x-%x r--p 00000000 08:01 %d   /lib/lib%d.so\n"
        % (at << 20, (at << 20) + (at << 12), at, at)
        for at in range(1, 51)
    ]
    found = changes(b"", b"".join(lines))
    assert len(found) == 7
    assert found[-1] == Change("mapped", "44 others", sum(range(1, 45)) << 12, 44)
    assert sum(each.size_bytes for each in found) == sum(range(1, 51)) << 12
    assert count(b"".join(lines)) == 50


def test_a_real_process() -> None:
    files, size = LiveFiles(), 1 << 24

    def maps(pid: int) -> bytes:
        """Of the area: elsewhere the child may have taken memory for itself."""
        data = files.read(f"proc/{pid}/maps")
        assert isinstance(data, bytes)
        lines = data.splitlines(keepends=True)
        return b"".join(
            line for line in lines if AREA <= int(line.split(b"-")[0], 16) < AREA + size
        )

    with child() as process:
        first = maps(process.key.pid)
        process.run(f"area({AREA}, {size})")
        second = maps(process.key.pid)
        process.run(f"unmap({AREA + size // 2}, {size // 2})")
        third = maps(process.key.pid)
    assert changes(first, second) == [Change("mapped", "anonymous memory", size, 1)]
    assert changes(second, third) == [Change("shrank", "anonymous memory", size // 2, 1)]
