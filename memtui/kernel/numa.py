"""NUMA nodes: each one's memory, where its pages were asked for, and how far the others are.

Source: /sys/devices/system/node/node*/{meminfo,numastat,distance}. Document:
Documentation/admin-guide/numastat.rst. Since: 2.6. Permission: anyone. Cost: 100 µs a node.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from memtui.frozen import FrozenDict
from memtui.kernel.files import Files, Gap
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.values import read_numbers
from memtui.kernel.vmstat import parse_vmstat

_NODES = "sys/devices/system/node"
_NAME = re.compile(r"node([0-9]{1,9})")
_PREFIX = re.compile(rb"^Node +\d+ +", re.MULTILINE)


class Node(NamedTuple):
    """One node, keys verbatim; a mapping that could not be read is empty.

    `meminfo` in bytes (HugePages_* are counts, MemUsed is MemTotal − MemFree); `numastat` counts
    pages: numa_hit, numa_miss, numa_foreign, interleave_hit, local_node, other_node. `distances` has
    a figure for each node that is online, in their order, 10 being here.
    """

    node: int
    meminfo: Mapping[str, int]
    numastat: Mapping[str, int]
    distances: tuple[int, ...]


def parse_node_meminfo(data: bytes) -> dict[str, int]:
    """`Node 0 MemTotal:  1024 kB` as meminfo's lines: sizes in bytes. Raises Malformed."""
    return parse_meminfo(_PREFIX.sub(b"", data))


def read_nodes(files: Files) -> list[Node]:
    """Every node by number (there may be holes); none on a kernel without NUMA."""
    matches = map(_NAME.fullmatch, files.names(_NODES))
    return [_read_node(files, node) for node in sorted(int(match[1]) for match in matches if match)]


def _read_node(files: Files, node: int) -> Node:
    own = f"{_NODES}/node{node}/"
    meminfo = files.parsed(own + "meminfo", parse_node_meminfo)
    numastat = files.parsed(own + "numastat", parse_vmstat)
    distances = read_numbers(files, own + "distance")
    return Node(
        node,
        FrozenDict() if isinstance(meminfo, Gap) else meminfo,
        FrozenDict() if isinstance(numastat, Gap) else numastat,
        tuple(distance for distance in distances if distance is not None),
    )
