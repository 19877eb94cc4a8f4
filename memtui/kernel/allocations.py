"""Who in the kernel holds memory, by the line of source that allocated it.

Source: /proc/allocinfo. Document: Documentation/mm/allocation-profiling.rst. Since: 6.10, built with
CONFIG_MEM_ALLOC_PROFILING and switched on by sysctl.vm.mem_profiling. Permission: root.
Cost: 5 ms for 5,000 sites: only while shown.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from memtui.kernel.files import Malformed

_HEAD: Final = b"allocinfo - version: "
# "  4096  1 drivers/net/virtio_net.c:812 [virtio_net] func:add_recvbuf_big"; 2.0 may end in a remark.
_LINE = re.compile(
    rb"^ *(-?\d{1,19}) +(-?\d{1,19}) (\S+?):(\d{1,9}) (?:\[([^\]\n]+)\] )?func:(\S+)(?: [^\n]*)?$",
    re.MULTILINE,
)


class Allocation(NamedTuple):
    """One call site: `calls` is how many allocations of it are held now. `module` is empty for the
    kernel itself."""

    bytes: int
    calls: int
    file: str
    line: int
    module: str
    function: str


def parse_allocinfo(data: bytes) -> list[Allocation]:
    """The sites that hold something, in the file's order. Raises Malformed for another file."""
    if not data.startswith(_HEAD):
        raise Malformed(repr(data[:60])[1:])
    found = []
    for size, calls, file, line, module, function in _LINE.findall(data):
        # A counter below zero, which races of the per-CPU parts make, holds nothing.
        if size.startswith(b"-") or size == b"0":
            continue
        found.append(
            Allocation(
                int(size), int(calls), _text(file), int(line), _text(module), _text(function)
            )
        )
    return found


def _text(word: bytes) -> str:
    return word.decode("ascii", "replace")
