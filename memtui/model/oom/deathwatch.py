"""Who has died, told from successive samples: obituaries, and the events that they are.

Only where something tells of a death are the looks made that `obituary.observe` folds over: to rank
a thousand processes takes 10 ms, and mostly nobody dies.
"""

from __future__ import annotations

from collections.abc import Mapping

from memtui.kernel.files import Gap
from memtui.kernel.hidden import Hidden
from memtui.kernel.oom import OomTask
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.model.oom.obituary import (
    MACHINE,
    Known,
    Look,
    Memories,
    Obituary,
    State,
    event_of,
    observe,
)
from memtui.model.oom.ranking import INIT, OomScope, Ranking, machine_scope, rank_tasks
from memtui.model.sample import ProcessSample, Sample
from memtui.model.shortage.events import Event
from memtui.model.signs import Remembered

_NOWHERE = OomScope(None, 1, 1, True)  # a machine that does not say how much it has


class DeathWatch:
    """Sees every sample in its order, and remembers."""

    def __init__(self, page_bytes: int, hidden: Hidden | None = None) -> None:
        """`hidden`: as a Look has it."""
        self._page_bytes = page_bytes
        self._hidden = hidden
        self._memories = Memories()
        self._state = State()
        self._before: Sample | None = None
        self._noted: Mapping[ProcessKey, Remembered] = {}

    def note_map(self, key: ProcessKey, name: str, map_: AddressMap) -> None:
        """The map of a process at the last look."""
        self._memories.note(Known(key, name, map=map_))

    def see(self, sample: Sample) -> list[tuple[Event, Obituary]]:
        """The deaths that this sample tells, each once."""
        before, self._before = self._before, sample
        signs = sample.signs
        if signs is None:
            return []
        if signs.known is not self._noted:
            for key, each in signs.known.items():
                if self._noted.get(key) is not each:
                    self._memories.note(Known(key, each.task.name, each.command, each.task.group))
            self._noted = signs.known
        if before is None or before.time_s >= sample.time_s:
            before, self._state = None, State()
        grew = before is not None and _grew(before, sample)
        if not (signs.deaths or self._state.owed or grew):
            return []
        state = self._state
        if state.look is None and before is not None:
            state, _ = observe(state, self._look(before, told=False), self._memories)
        state, found = observe(state, self._look(sample, told=True), self._memories)
        # The next look is made when there is news again.
        self._state = state if state.owed else state._replace(look=None)
        return [(event_of(each), each) for each in found]

    def _look(self, sample: Sample, *, told: bool) -> Look:
        signs = sample.signs
        kills = {} if signs is None else dict(signs.kills)
        count = _count(sample)
        if count is not None:
            kills[MACHINE] = count
        return Look(
            sample.time_s,
            self._page_bytes,
            self._ranking(sample),
            kills,
            {} if signs is None else signs.totals,
            signs.deaths if signs is not None and told else (),
            signs is not None and signs.log is None,
            0.0 if signs is None else signs.suspended_s,
            self._hidden,
        )

    def _ranking(self, sample: Sample) -> Ranking:
        meminfo = sample.system.meminfo
        scope = None if isinstance(meminfo, Gap) else machine_scope(meminfo, self._page_bytes)
        known = {} if sample.signs is None else sample.signs.known
        tasks = [_task(each, known.get(each.key)) for each in sample.processes.values()]
        return rank_tasks(tasks, scope or _NOWHERE, self._page_bytes)


def _task(process: ProcessSample, known: Remembered | None) -> OomTask:
    """A process for the ranking. Of the unlikely only sizes are known, and count as their least.

    The kernel's scores are of another moment than the sizes: only whether init has one counts.
    """
    score = process.oom_score if process.pid == INIT else None
    lives = not process.is_kernel_thread and (process.rss_bytes != 0 or not process.is_zombie)
    rss = process.rss_bytes if lives else None
    if known is not None:
        return known.task._replace(rss_bytes=rss, state=process.state, oom_score=score)
    return OomTask(
        process.pid,
        process.key.start_time_ticks,
        process.parent_pid or 0,
        process.name,
        process.state,
        process.is_kernel_thread,
        rss,
        process.swap_bytes or 0,
        0,
        score,
        0,
    )


def _grew(before: Sample, now: Sample) -> bool:
    """Whether somebody was counted as killed between two samples."""
    old, new = _count(before), _count(now)
    if old is not None and new is not None and new > old:
        return True
    if before.signs is None or now.signs is None or before.signs.kills is now.signs.kills:
        return False
    kills = before.signs.kills
    return any(count > kills.get(path, count) for path, count in now.signs.kills.items())


def _count(sample: Sample) -> int | None:
    vmstat = sample.system.vmstat
    return None if isinstance(vmstat, Gap) else vmstat.get("oom_kill")
