"""The kernel's own caches of objects.

Source: /proc/slabinfo. Document: slabinfo(5). Since: 2.0 of the format with 2.6, 2.1 with 2.6.10.
Permission: root. Cost: 1 ms for 200 caches, under the slab mutex: only while shown.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from operator import gt
from typing import NamedTuple

from memtui.kernel.files import Malformed
from memtui.kernel.values import BELOW_ZERO, number, part

_HEAD = re.compile(
    rb"slabinfo - version: 2\.\d.*", re.DOTALL
)  # "… (statistics)" with SLAB's debugging
# A longer one may hold a number that Python does not convert.
_USUAL_LENGTH = 400
_FIELDS = 7


class Slab(NamedTuple):
    """One line. A slab is `pages_per_slab` pages cut into `objects_per_slab` of `object_bytes`.

    A count is None where what is said cannot be.
    """

    name: str
    active_objects: int | None
    objects: int | None
    object_bytes: int
    objects_per_slab: int
    pages_per_slab: int
    active_slabs: int | None
    slabs: int | None

    def size_bytes(self, page_bytes: int) -> int | None:
        """What the cache takes of memory, used objects or not, as slabtop has it."""
        if self.slabs is None:
            return None
        size = self.slabs * self.pages_per_slab * page_bytes
        return size if size < BELOW_ZERO else None


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
    with contextlib.suppress(ValueError):  # a number that Python does not convert
        numbers = [list(map(int, column)) for column in columns]
        active, objects, *_, active_slabs, slabs = numbers
        if (
            max(map(max, numbers)) < BELOW_ZERO
            and not any(map(gt, active, objects))
            and not any(map(gt, active_slabs, slabs))
        ):
            return list(map(Slab._make, zip(decoded, *numbers, strict=True)))
    return list(map(_doubted, rows, decoded, *columns))


def _doubted(row: bytes, name: str, *digits: bytes) -> Slab:
    """A line with a number that may be one that cannot be."""
    active, objects, object_bytes, per_slab, pages, active_slabs, slabs = map(number, digits)
    if object_bytes is None or per_slab is None or pages is None:
        raise Malformed(_quote(row))
    active, active_slabs = part(active, objects), part(active_slabs, slabs)
    return Slab(name, active, objects, object_bytes, per_slab, pages, active_slabs, slabs)


def _fields(row: bytes) -> Sequence[bytes]:
    """The name and the seven numbers, as they are written."""
    words = row.split()
    if len(words) == 16 and words[7] == b"tunables" and len(row) < _USUAL_LENGTH:
        fields = (*words[:6], words[13], words[14])
        if b"".join(fields[1:]).isdigit():
            return fields
    # "dentry(212:a : b.scope)" of a control group has any characters in its name.
    head, tunables, rest = row.rpartition(b": tunables")
    name = head.rsplit(None, 5)
    tail = rest.partition(b": slabdata")[2].split()
    fields = (*name, *tail[:2])
    digits = fields[1:]
    if not tunables or len(fields) != 1 + _FIELDS or not b"".join(digits).isdigit():
        raise Malformed(_quote(row))
    return fields


def _quote(line: bytes) -> str:
    return repr(line[:60])[1:]
