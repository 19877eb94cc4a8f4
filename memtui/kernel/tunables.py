"""The policy in force: what an administrator may set about memory.

Source: /proc/sys/vm/. Document: Documentation/admin-guide/sysctl/vm.rst. Permission: anyone.
Cost: 10 µs a setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from memtui.frozen import FrozenDict
from memtui.kernel.files import Files
from memtui.kernel.values import read_number

VM_SETTINGS: Final = (
    "overcommit_memory",
    "overcommit_ratio",
    "overcommit_kbytes",
    "swappiness",
    "panic_on_oom",
    "oom_kill_allocating_task",
    "oom_dump_tasks",
    "min_free_kbytes",
    "admin_reserve_kbytes",
    "user_reserve_kbytes",
    "watermark_scale_factor",
    "watermark_boost_factor",
    "vfs_cache_pressure",
    "dirty_ratio",
    "dirty_bytes",
    "dirty_background_ratio",
    "dirty_background_bytes",
    "dirty_expire_centisecs",
    "dirty_writeback_centisecs",
    "nr_hugepages",
    "nr_overcommit_hugepages",
    "compaction_proactiveness",
    "extfrag_threshold",
    "defrag_mode",
    "zone_reclaim_mode",
    "page-cluster",
    "max_map_count",
)


def read_vm_settings(files: Files) -> Mapping[str, int]:
    """The settings this kernel has, by its own names and in the units these say."""
    values = ((name, read_number(files, f"proc/sys/vm/{name}")) for name in VM_SETTINGS)
    return FrozenDict({name: value for name, value in values if value is not None})
