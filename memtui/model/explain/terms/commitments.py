"""What the kernel has promised to processes, and what it does when it cannot keep it."""

from __future__ import annotations

from typing import Final

from memtui.model.entry import Entry, Fact, Term, share, size
from memtui.model.system.metrics.promises import (
    LIMIT,
    OOM_HERE,
    allocating_here,
    limit_here,
    overcommit_here,
    panic_here,
)

COMMITMENTS: Final[tuple[Term, ...]] = (
    "committed_bytes",
    "commit_pct",
    "commit_limit_bytes",
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
            overcommit_here,
            Fact("Promised:", size("Committed_AS")),
            Fact("CommitLimit from the ratio:", LIMIT),
            limit_here,
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
        here=OOM_HERE,
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
        here=OOM_HERE,
        see=("oom_score", "oom_score_adj", "panic_on_oom", "oom_kill_allocating_task", "thrashing"),
        aliases=("oomkiller", "out of memory killer"),
    ),
    "oom_kills",
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
        here=(panic_here,),
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
        here=(allocating_here,),
        see=("OOM killer", "panic_on_oom", "oom_score"),
        aliases=("vm.oom_kill_allocating_task",),
    ),
)
