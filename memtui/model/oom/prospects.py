"""How the OOM killer would see each process of a sample, from the details that were read of it."""

from __future__ import annotations

from memtui.kernel.files import Gap
from memtui.kernel.oom import OomTask
from memtui.model.keys import ProcessKey
from memtui.model.oom.ranking import machine_scope, rank_tasks
from memtui.model.processes.columns import Prospect
from memtui.model.sample import ProcessSample, Sample


def prospects_of(sample: Sample, page_bytes: int) -> dict[ProcessKey, Prospect]:
    """Points and rank on the whole machine of those that can die and of whom enough is known."""
    meminfo = sample.system.meminfo
    scope = None if isinstance(meminfo, Gap) else machine_scope(meminfo, page_bytes)
    if scope is None:
        return {}
    tasks = (_task(sample, process) for process in sample.processes.values())
    return {
        each.key: Prospect(each.points, each.rank)
        for each in rank_tasks(tasks, scope, page_bytes).candidates
        if each.points is not None and each.rank is not None
    }


def _task(sample: Sample, process: ProcessSample) -> OomTask:
    details = sample.details.get(process.key)
    has_memory = not (process.is_kernel_thread or process.is_zombie)
    return OomTask(
        process.pid,
        process.key.start_time_ticks,
        process.parent_pid or 0,
        process.name,
        process.state,
        process.is_kernel_thread,
        process.rss_bytes if has_memory else None,
        process.swap_bytes if has_memory else None,
        details.page_tables_bytes if details else None,
        process.oom_score,
        details.oom_score_adj if details else None,
    )
