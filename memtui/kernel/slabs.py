"""The kernel's own caches of objects.

Source: /proc/slabinfo. Document: slabinfo(5). Since: 2.0 of the format with 2.6, 2.1 with 2.6.10.
Permission: root. Cost: 1 ms for 200 caches, under the slab mutex: only while shown.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from memtui.kernel.files import Malformed

_HEAD = re.compile(
    rb"slabinfo - version: 2\.\d.*", re.DOTALL
)  # "… (statistics)" with SLAB's debugging
_NUMBER = re.compile(rb"\d{1,20}")


class Slab(NamedTuple):
    """One line. A slab is `pages_per_slab` pages cut into `objects_per_slab` of `object_bytes`."""

    name: str
    active_objects: int
    objects: int
    object_bytes: int
    objects_per_slab: int
    pages_per_slab: int
    active_slabs: int
    slabs: int

    def size_bytes(self, page_size: int) -> int:
        """What the cache takes of memory, used objects or not, as slabtop has it."""
        return self.slabs * self.pages_per_slab * page_size


def parse_slabinfo(data: bytes) -> list[Slab]:
    """Every cache, in the file's order; names repeat, and are no keys. Raises Malformed."""
    lines = data.splitlines()
    if not lines or not _HEAD.fullmatch(lines[0]):
        raise Malformed(_quote(lines[0] if lines else b""))
    slabs = []
    for line in lines[1:]:
        if line.startswith(b"#") or not line.strip():
            continue
        # From the right: "dentry(212:a : b.scope)" of a control group has any characters in it.
        front, _, end = line.rpartition(b": slabdata")
        words = front.rpartition(b": tunables")[0].rsplit(None, 5)
        numbers = [*words[1:], *end.split()[:2]]
        if len(words) != 6 or len(numbers) != 7 or not all(map(_NUMBER.fullmatch, numbers)):
            raise Malformed(_quote(line))
        name = words[0].decode("utf-8", "surrogateescape")
        slabs.append(Slab(name, *map(int, numbers)))
    return slabs


def _quote(line: bytes) -> str:
    return repr(line[:60].decode("ascii", "backslashreplace"))
