"""Running out: an allocation that is refused, and an OOM kill in a memory cgroup."""

from __future__ import annotations

import errno
import mmap
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from memtui.lab.child import Child
from memtui.lab.experiment import Expected, Experiment, Facts, Prediction, Run, Stage, Step, exactly
from memtui.lab.tools import MIB, anonymous, libc

_LIMIT_BYTES: Final = 64 * MIB
_BIG_BYTES: Final = 28 * MIB
_SMALL_BYTES: Final = 4 * MIB
_MORE_BYTES: Final = 36 * MIB  # fits without the big one, and not beside it
_ROOM_BYTES: Final = 32 * MIB
_TOO_MUCH_BYTES: Final = 256 * MIB
_ADJ: Final = 500
_MAX_SCORE: Final = 2000
_SIGKILL: Final = 9
_PR_SET_NAME: Final = 15
_DIES_WITHIN_S: Final = 20.0
_ALWAYS: Final = 2  # vm.panic_on_oom: even where only a group has run out


def _program(stage: Stage) -> Iterator[Facts]:
    modest = Child(_refused)
    try:
        number = modest.ask(_TOO_MUCH_BYTES)
        yield {"refusal": number or 0, "lives": int(modest.ask(0) == 0)}
    finally:
        modest.end()
    if "cgroup v1" in stage.has:
        yield from _killed(stage.page_bytes)
    yield {"panic_on_oom": _number("/proc/sys/vm/panic_on_oom")}


def _killed(page_bytes: int) -> Iterator[Facts]:
    """Two children in the group of the program: one has much, the other wants more."""
    big = Child(_Taker("lab-out-big", _ADJ, page_bytes))
    small = Child(_Taker("lab-out-small", 0, page_bytes))
    try:
        big.ask(_BIG_BYTES)
        small.ask(_SMALL_BYTES)
        yield {
            "pid big": big.pid,
            "pid small": small.pid,
            "score of big": _number(f"/proc/{big.pid}/oom_score"),
            "score of small": _number(f"/proc/{small.pid}/oom_score"),
            "adj of big": _number(f"/proc/{big.pid}/oom_score_adj"),
            "adj of small": _number(f"/proc/{small.pid}/oom_score_adj"),
        }
        if _number("/proc/sys/vm/panic_on_oom") == _ALWAYS:  # the whole machine would go down
            yield {"is done": 0}
            return
        answer = small.ask(_MORE_BYTES)
        yield {
            "is done": 1,
            "signal of big": big.signal_within(_DIES_WITHIN_S) or 0,
            "small lives": int(answer is not None),
        }
    finally:
        big.end()
        small.end()


def _number(path: str) -> int:
    return int(Path(path).read_text())


def _refused(size_bytes: int) -> int:
    """The error of an allocation beyond what the caller, a child, may have; 0: there is none."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + _ROOM_BYTES, hard))
    try:
        if size_bytes:
            bytearray(size_bytes)
    except MemoryError:  # what Python makes of ENOMEM
        return errno.ENOMEM
    return 0


class _Taker:
    """A child that takes so many bytes more, and keeps them."""

    def __init__(self, name: str, adj: int, page_bytes: int) -> None:
        self._name = name
        self._adj = adj
        self._page_bytes = page_bytes
        self._taken: list[mmap.mmap] = []

    def __call__(self, size_bytes: int) -> int:
        if not self._taken:
            libc.prctl(_PR_SET_NAME, self._name.encode(), 0, 0, 0)
            file = Path("/proc/self/oom_score_adj")
            file.write_text(str(max(self._adj, int(file.read_text()))))  # never down
        memory = anonymous(size_bytes)
        self._taken.append(memory)
        memory[:: self._page_bytes] = b"\1" * (size_bytes // self._page_bytes)
        return len(self._taken)


def _expected_scores(run: Run) -> tuple[Expected, ...]:
    small = run.facts["score of small"]
    has_more = run.facts["adj of big"] > run.facts["adj of small"]  # unless they began at the most
    return (
        Expected(
            "score of big",
            small + has_more,
            _MAX_SCORE,
            "value",
            "it has more, and its adj adds to it",
        ),
        Expected("adj of big", _ADJ, 1000, "value", "points for half of all there is, on top"),
        Expected("big.rss_anon", _BIG_BYTES, _LIMIT_BYTES, "value", "what it has taken"),
        Expected("small.rss_anon", _SMALL_BYTES, _BIG_BYTES, "value", "what it has taken"),
    )


def _expected_kill(run: Run) -> tuple[Expected, ...]:
    if not run.facts["is done"]:
        return (
            exactly("is done", 0, "vm.panic_on_oom is 2 here: the whole machine would go down"),
        )
    return (
        exactly("signal of big", _SIGKILL, "SIGKILL, which nobody can handle"),
        exactly("small lives", 1, "it asked, but the other had more points"),
        Expected("group_oom_kills", 1, 1, words="one was enough"),
        Expected("oom_kills", 1, 1000, words="the machine counts it too"),
        Expected("group_usage", 0, _LIMIT_BYTES, "value", "the limit holds"),
    )


EXPERIMENT: Final = Experiment(
    name="out",
    order=120,
    title="running out",
    summary=(
        "an allocation that is refused; an OOM kill in a group: who, why, and what would have been"
    ),
    program=_program,
    steps=(
        Step(
            "refused",
            "A child limits its own addresses (RLIMIT_AS) to 32 MiB more than it has, and asks "
            "for 256 MiB. Watch what it gets.",
            ("refusal", "lives", "virtual"),
            lambda run: (
                exactly(
                    "refusal", errno.ENOMEM, "ENOMEM; malloc gives NULL, Python raises MemoryError"
                ),
                exactly("lives", 1, "it can go on with less"),
            ),
            Prediction(
                "What becomes of the child?",
                lambda run: ("it is killed", "it gets an error", "it waits until there is memory"),
                1,
            ),
            after=(
                "A refusal comes when memory is promised: the program may free something, or end "
                "in good order."
            ),
        ),
        Step(
            "two candidates",
            "In a group of 64 MiB there are two more processes now: big takes 28 MiB and has 500 "
            "added to its score, small takes 4 MiB. Watch their OOM scores.",
            ("big.rss_anon", "small.rss_anon", "score of big", "score of small", "group_usage"),
            _expected_scores,
            after=(
                "Points are pages of memory, swap and page tables; oom_score_adj adds "
                "thousandths of all there is. In a group, all there is is its limit."
            ),
            needs=frozenset({"cgroup v1"}),
        ),
        Step(
            "more than there is",
            "Small now takes 36 MiB more, which the group does not have beside big. All was "
            "promised long ago, so nobody can be refused: watch who pays.",
            ("group_usage", "group_failcnt", "group_oom_kills", "oom_kills", "small.rss_anon"),
            _expected_kill,
            Prediction(
                "Small asks for too much. Whom does the OOM killer take?",
                lambda run: ("small: it asked", "big: it has the most points", "both", "nobody"),
                1,
            ),
            after=(
                "The kernel killed big, and gave its memory to small. The kernel's log names "
                "both; memtui's OOM view shows such a death."
            ),
            needs=frozenset({"cgroup v1"}),
        ),
        Step(
            "what panic_on_oom would have done",
            "The setting vm.panic_on_oom says whether the kernel kills at all: 0 kills one "
            "process, 1 stops the machine where the machine is short, 2 also where only a group "
            "is. Watch what is set here.",
            ("panic_on_oom",),
            lambda run: (
                Expected("panic_on_oom", 0, _ALWAYS, "value", "0, unless somebody chose"),
            ),
            Prediction(
                "With vm.panic_on_oom at 1, what does a group that has run out bring about?",
                lambda run: ("one process is killed, as with 0", "a kernel panic"),
                0,
            ),
            after=(
                "With 2, the kill in the group would have taken down the machine: the lab looks "
                "first, and leaves it out."
            ),
        ),
    ),
    at_most_bytes=80 * MIB,
    at_most_s=60,
    likes=frozenset({"cgroup v1"}),
    group_limit_bytes=_LIMIT_BYTES,
    topics=("OOM killer", "overcommit", "panic_on_oom"),
)
