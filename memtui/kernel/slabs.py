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
# "dentry(212:a : b.scope)" of a control group has any characters in its name.
_LINE = re.compile(
    rb"^([^\n]+?)" + rb"[ \t]+(\d{1,20})" * 5 + rb"[ \t]+: tunables[^\n]*?: slabdata"
    rb"[ \t]+(\d{1,20})[ \t]+(\d{1,20})\b[^\n]*$",
    re.MULTILINE,
)


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
    rows = [line for line in lines[1:] if line.strip() and not line.startswith(b"#")]
    found = _LINE.findall(b"\n".join(rows))
    if len(found) != len(rows):
        raise Malformed(_quote(next(row for row in rows if not _LINE.fullmatch(row))))
    return [Slab(name.decode("utf-8", "surrogateescape"), *map(int, rest)) for name, *rest in found]


def _quote(line: bytes) -> str:
    return repr(line[:60].decode("ascii", "backslashreplace"))
