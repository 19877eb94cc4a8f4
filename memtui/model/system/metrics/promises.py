"""Figures of what the kernel has promised, and of what it does when it cannot keep it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from memtui.kernel.files import Gap
from memtui.model.entry import Entry, Fact, Tool, share, size
from memtui.model.sample import Sample
from memtui.model.system import vmrates
from memtui.model.system.metrics.base import Metric, Value, counted, of_meminfo

if TYPE_CHECKING:
    from memtui.model.explain.context import Context

_KILLS: Final = vmrates.named("oom_kill")
LIMIT: Final = size("(MemTotal − Hugetlb?) × overcommit_ratio / 100 + SwapTotal?")
_MODES: Final = {
    "0": "it refuses only a single request that is plainly too large for memory and swap together",
    "1": "it refuses nothing for lack of memory",
    "2": "it refuses what would bring Committed_AS above CommitLimit",
}
_PANICS: Final = {
    "0": "the OOM killer ends a process and the machine goes on",
    "1": "the machine panics, but not where a memory policy, cpuset or cgroup alone has run out",
    "2": "the machine panics at any shortage, in a cgroup too",
}


def _commit_pct(now: Sample, _before: Sample | None) -> Value:
    meminfo = now.system.meminfo
    if isinstance(meminfo, Gap):
        return None
    committed, total, swap = map(meminfo.get, ("Committed_AS", "MemTotal", "SwapTotal"))
    if committed is None or total is None or swap is None or total + swap <= 0:
        return None
    return 100 * committed / (total + swap)


def _killed(now: Sample, before: Sample | None) -> Value:
    if before is None:
        return None
    return vmrates.growth(now.system.vmstat, before.system.vmstat, _KILLS)


def overcommit_here(context: Context) -> str:
    mode = context.setting("overcommit_memory")
    if mode is None:
        return "overcommit_memory is n/a here."
    return f"Here overcommit_memory is {mode}: {_MODES.get(mode, 'a mode unknown to memtui')}."


def limit_here(context: Context) -> str:
    kbytes = context.setting("overcommit_kbytes")
    if kbytes is None or not kbytes.isdecimal() or not int(kbytes):
        return ""
    return f"Here overcommit_kbytes is {kbytes}: it stands in place of the ratio, in KiB."


def panic_here(context: Context) -> str:
    value = context.setting("panic_on_oom")
    if value is None:
        return "panic_on_oom is n/a here."
    return f"Here panic_on_oom is {value}: {_PANICS.get(value, 'a value unknown to memtui')}."


def allocating_here(context: Context) -> str:
    value = context.setting("oom_kill_allocating_task")
    if value is None:
        return "oom_kill_allocating_task is n/a here."
    if value == "0":
        return "Here oom_kill_allocating_task is 0: the process with the most points is chosen."
    return (
        f"Here oom_kill_allocating_task is {value}: the task that asked is killed, whatever its "
        "size, unless it is exempt."
    )


def _kills_here(context: Context) -> str:
    kills = context.vmstat.get("oom_kill")
    return f"OOM kills since boot, oom_kill of vmstat: {'n/a' if kills is None else kills}."


OOM_HERE: Final = (_kills_here, panic_here, allocating_here)

TABLE: Final = (
    of_meminfo(
        "committed_bytes",
        "committed",
        "Committed_AS",
        "What programs were promised: all writable private memory they asked for, touched or not. "
        "If all used it, this much would be needed.",
        group="memory",
        topic="Promises, and running out",
        entry=Entry(
            "commit",
            "Committed memory",
            "The kernel counts it at mmap, brk and fork, long before any page exists.",
            "It is not memory in use: most programs ask for more than they touch. It may exceed what "
            "there is without any harm.",
            formula=size("Committed_AS"),
            differs=(
                Tool("sar kbcommit", size("Committed_AS")),
                Tool("free -v of procps 4, Comm used", size("Committed_AS")),
            ),
            here=(Fact("Of it really in memory and anonymous:", size("AnonPages")),),
            see=("%commit", "CommitLimit", "overcommit", "virtual memory"),
            aliases=("Committed_AS",),
        ),
    ),
    of_meminfo(
        "commit_limit_bytes",
        "commit limit",
        "CommitLimit",
        "How much may be promised in strict mode (overcommit_memory 2); in the other modes it limits "
        "nothing.",
        group="promises",
        topic="Promises, and running out",
        entry=Entry(
            "CommitLimit",
            "Limit of promises",
            "It is a share of the memory that is no huge page, and all swap; overcommit_kbytes, where "
            "it is not 0, stands in place of the share.",
            "It limits nothing in modes 0 and 1, although it is shown there too.",
            "/proc/meminfo CommitLimit; /proc/sys/vm/overcommit_ratio, overcommit_kbytes",
            size("CommitLimit"),
            here=(
                Fact("From the ratio:", LIMIT),
                limit_here,
                overcommit_here,
            ),
            see=("overcommit", "commit", "%commit"),
            aliases=("overcommit_ratio", "overcommit_kbytes"),
        ),
    ),
    Metric(
        "commit_pct",
        "%commit",
        "pct",
        "/proc/meminfo Committed_AS, MemTotal, SwapTotal",
        "What was promised as a share of memory and swap. Above 100 more was promised than there is, "
        "which does no harm as long as not all of it is touched.",
        "Committed_AS / (MemTotal + SwapTotal)",
        _commit_pct,
        group="memory",
        topic="Promises, and running out",
        entry=Entry(
            "%commit",
            "Share committed",
            "",
            "Over 100 is no error and no shortage: with overcommit allowed, promises may exceed what "
            "there is. It is no share of CommitLimit either.",
            formula=share("100 × Committed_AS / (MemTotal + SwapTotal)"),
            differs=(
                Tool("sar %commit", share("100 × Committed_AS / (MemTotal + SwapTotal)")),
                Tool(
                    "share of the limit that mode 2 sets", share("100 × Committed_AS / CommitLimit")
                ),
            ),
            see=("commit", "CommitLimit", "overcommit"),
            aliases=("commit share", "commit percent"),
        ),
    ),
    Metric(
        "oom_kills",
        "OOM kills",
        "count",
        "/proc/vmstat oom_kill",
        "Processes that the OOM killer ended in the last interval, for the machine's memory or a "
        "control group's limit. Counted since 4.13.",
        "growth of oom_kill between the two readings",
        _killed,
        raw=counted(_KILLS),
        group="kills",
        topic="Promises, and running out",
        entry=Entry(
            "OOM kills",
            "OOM kills",
            "",
            "It is not all that ends for want of memory: a service that watches PSI kills too, and the "
            "kernel does not count those.",
            here=OOM_HERE,
            see=("OOM killer", "OOM", "memory cgroup"),
            aliases=("oom_kill",),
        ),
    ),
)
