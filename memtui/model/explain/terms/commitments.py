"""What the kernel has promised to processes, and what it does when it cannot keep it."""

from __future__ import annotations

from typing import Final

from memtui.model.explain.context import Context
from memtui.model.explain.entry import Entry, Fact, Tool, share, size

_LIMIT: Final = size("(MemTotal − Hugetlb?) × overcommit_ratio / 100 + SwapTotal?")
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


def _overcommit_here(context: Context) -> str:
    mode = context.setting("overcommit_memory")
    if mode is None:
        return "overcommit_memory is n/a here."
    return f"Here overcommit_memory is {mode}: {_MODES.get(mode, 'a mode unknown to memtui')}."


def _limit_here(context: Context) -> str:
    kbytes = context.setting("overcommit_kbytes")
    if kbytes is None or not kbytes.isdecimal() or not int(kbytes):
        return ""
    return f"Here overcommit_kbytes is {kbytes}: it stands in place of the ratio, in KiB."


def _panic_here(context: Context) -> str:
    value = context.setting("panic_on_oom")
    if value is None:
        return "panic_on_oom is n/a here."
    return f"Here panic_on_oom is {value}: {_PANICS.get(value, 'a value unknown to memtui')}."


def _allocating_here(context: Context) -> str:
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


_OOM_HERE: Final = (_kills_here, _panic_here, _allocating_here)

COMMITMENTS: Final = (
    Entry(
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
        metric="committed_bytes",
    ),
    Entry(
        "%commit",
        "Share committed",
        "",
        "Over 100 is no error and no shortage: with overcommit allowed, promises may exceed what "
        "there is. It is no share of CommitLimit either.",
        formula=share("100 × Committed_AS / (MemTotal + SwapTotal)"),
        differs=(
            Tool("sar %commit", share("100 × Committed_AS / (MemTotal + SwapTotal)")),
            Tool("share of the limit that mode 2 sets", share("100 × Committed_AS / CommitLimit")),
        ),
        see=("commit", "CommitLimit", "overcommit"),
        aliases=("commit share", "commit percent"),
        metric="commit_pct",
    ),
    Entry(
        "CommitLimit",
        "Limit of promises",
        "It is a share of the memory that is no huge page, and all swap; overcommit_kbytes, where "
        "it is not 0, stands in place of the share.",
        "It limits nothing in modes 0 and 1, although it is shown there too.",
        "/proc/meminfo CommitLimit; /proc/sys/vm/overcommit_ratio, overcommit_kbytes",
        size("CommitLimit"),
        here=(
            Fact("From the ratio:", _LIMIT),
            _limit_here,
            _overcommit_here,
        ),
        see=("overcommit", "commit", "%commit"),
        aliases=("overcommit_ratio", "overcommit_kbytes"),
        metric="commit_limit_bytes",
    ),
    Entry(
        "overcommit",
        "Overcommit",
        "The kernel's promising more memory than there is, since most programs never touch all they "
        "ask for. overcommit_memory sets how far it goes: 0 refuses only what is plainly too much, "
        "1 refuses nothing, 2 keeps promises within CommitLimit.",
        "It is no defect: a large process could often not fork without it. A successful malloc is "
        "therefore no proof that the memory exists.",
        "/proc/sys/vm/overcommit_memory",
        share("100 × Committed_AS / CommitLimit"),
        here=(
            _overcommit_here,
            Fact("Promised:", size("Committed_AS")),
            Fact("CommitLimit from the ratio:", _LIMIT),
            _limit_here,
        ),
        see=("commit", "CommitLimit", "OOM", "malloc", "page fault"),
        aliases=("overcommit_memory", "vm.overcommit_memory", "overcommitting"),
    ),
    Entry(
        "OOM",
        "Out of memory",
        "The state in which an allocation cannot be met although the kernel has reclaimed all it "
        "could. For most allocations it then calls the OOM killer; in a memory cgroup the same "
        "happens at the cgroup's limit.",
        "It is not free memory at 0: that is ordinary, as cache fills it. A failed malloc is not "
        "the OOM either, but a refused promise.",
        "/proc/vmstat oom_kill; the kernel's log",
        here=_OOM_HERE,
        see=("OOM killer", "oom_score", "panic_on_oom", "overcommit", "memory cgroup"),
        aliases=("out of memory",),
    ),
    Entry(
        "OOM killer",
        "OOM killer",
        "The part of the kernel that ends one process by SIGKILL so that the rest can go on. It "
        "takes the one with the most points: resident memory, swap and page tables, shifted by "
        "oom_score_adj.",
        "It looks neither at age nor at nice values, and not for the culprit: the largest goes, "
        "whoever asked last. It comes late: thrashing may go on for long before.",
        "/proc/vmstat oom_kill; /proc/PID/oom_score",
        in_words="points = RSS + swap + page tables + oom_score_adj × (memory + swap) / 1000, in pages",
        here=_OOM_HERE,
        see=("oom_score", "oom_score_adj", "panic_on_oom", "oom_kill_allocating_task", "thrashing"),
        aliases=("oomkiller", "out of memory killer"),
    ),
    Entry(
        "OOM kills",
        "OOM kills",
        "",
        "It is not all that ends for want of memory: a service that watches PSI kills too, and the "
        "kernel does not count those.",
        here=_OOM_HERE,
        see=("OOM killer", "OOM", "memory cgroup"),
        aliases=("oom_kill",),
        metric="oom_kills",
    ),
    Entry(
        "oom_score",
        "OOM score",
        "How likely the OOM killer is to take a process, higher first. It is made of the process's "
        "points as a share of memory and swap, and processes that are exempt have 0.",
        "It is not the resident share: since Linux 5.9 a process with no memory and no adjustment "
        "has about 666. In a cgroup's OOM the cgroup's limit takes the place of all memory, and the "
        "order may differ.",
        "/proc/PID/oom_score",
        in_words="since 5.9 (1000 + points × 1000 / (memory + swap)) × 2 / 3; before, points × 1000 / "
        "(memory + swap)",
        see=("OOM killer", "oom_score_adj", "RSS", "PTE"),
        aliases=("oom score", "oom points", "oom rank"),
    ),
    Entry(
        "oom_score_adj",
        "Adjustment of the OOM score",
        "A number from −1000 to 1000 for each process that is added to its points, in thousandths "
        "of memory and swap. −1000 exempts the process from the OOM killer; children inherit it.",
        "It reserves no memory and limits none: it only moves the process in the order. Going below the "
        "lowest value that root has set needs CAP_SYS_RESOURCE.",
        "/proc/PID/oom_score_adj",
        see=("oom_score", "OOM killer"),
        aliases=("oom_adj", "oomadj"),
    ),
    Entry(
        "panic_on_oom",
        "Panic instead of a kill",
        "Whether the machine panics when memory runs out: 0 kills a process, 1 panics unless only "
        "a memory policy, cpuset or cgroup has run out, 2 panics always. With 1 or 2 and "
        "kernel.panic set, a cluster's node restarts instead of limping on.",
        "A panic saves nothing: what was not written is lost.",
        "/proc/sys/vm/panic_on_oom",
        here=(_panic_here,),
        see=("OOM", "OOM killer", "oom_kill_allocating_task"),
        aliases=("vm.panic_on_oom",),
    ),
    Entry(
        "oom_kill_allocating_task",
        "Kill the task that asks",
        "Whether the OOM killer takes the task whose allocation failed instead of looking for the "
        "one with the most points. It saves the look through all processes, which takes long on "
        "machines with very many.",
        "The task that asks is seldom the one that fills the memory. It is overruled by a "
        "panic_on_oom that applies.",
        "/proc/sys/vm/oom_kill_allocating_task",
        here=(_allocating_here,),
        see=("OOM killer", "panic_on_oom", "oom_score"),
        aliases=("vm.oom_kill_allocating_task",),
    ),
)
