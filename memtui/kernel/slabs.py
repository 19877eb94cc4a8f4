"""The kernel's own caches of objects.

Source: /proc/slabinfo. Document: slabinfo(5). Since: 2.0 of the format with 2.6, 2.1 with 2.6.10.
Permission: root. Cost: 1 ms for 200 caches, under the slab mutex: only while shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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
# A longer one may hold a number that Python does not convert.
_USUAL_LENGTH = 400


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

    def size_bytes(self, page_bytes: int) -> int:
        """What the cache takes of memory, used objects or not, as slabtop has it."""
        return self.slabs * self.pages_per_slab * page_bytes


def parse_slabinfo(data: bytes) -> list[Slab]:
    """Every cache, in the file's order; names repeat, and are no keys. Raises Malformed."""
    lines = data.splitlines()
    if not lines or not _HEAD.fullmatch(lines[0]):
        raise Malformed(_quote(lines[0]) if lines else "empty")
    rows = [line for line in lines[1:] if line.strip() and not line.startswith(b"#")]
    if not rows:
        return []
    # By columns: a call for each of 200 rows takes as long as all the rest.
    names, *columns = zip(*map(_fields, rows), strict=True)
    decoded = [name.decode("utf-8", "surrogateescape") for name in names]
    rest = (map(int, column) for column in columns)
    return list(map(Slab._make, zip(decoded, *rest, strict=True)))


def _fields(row: bytes) -> Sequence[bytes]:
    """The name and the seven numbers, as they are written."""
    words = row.split()
    if len(words) == 16 and words[7] == b"tunables" and len(row) < _USUAL_LENGTH:
        fields = (*words[:6], words[13], words[14])
        if b"".join(fields[1:]).isdigit():
            return fields
    match = _LINE.fullmatch(row)
    if match is None:
        raise Malformed(_quote(row))
    return match.groups()


def _quote(line: bytes) -> str:
    return repr(line[:60])[1:]
