"""A small program's address space, whose addresses are easy to tell."""

from __future__ import annotations

from memtui.kernel.maps import parse_maps
from memtui.kernel.threads import Thread
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap

KEY = ProcessKey(7, 1)
MAPS = b"""\
00400000-00401000 r-xp 00001000 08:01 7 /bin/prog
00401000-00402000 r--p 00002000 08:01 7 /bin/prog
00402000-00403000 rw-p 00003000 08:01 7 /bin/prog
10000000-10021000 rw-p 00000000 00:00 0 [heap]
20000000-20004000 r--s 00000000 08:01 9 /srv/data.bin
7f0000000000-7f0000001000 ---p 00000000 00:00 0
7f0000001000-7f0000801000 rw-p 00000000 00:00 0
7ffd00000000-7ffd00100000 rw-p 00000000 00:00 0 [stack]
"""


def address_map() -> AddressMap:
    threads = (Thread(12, "worker", 0x7F0000800000),)
    return AddressMap(KEY, parse_maps(MAPS), 2, thread_list=threads)
