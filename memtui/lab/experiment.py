"""What an experiment is made of. An experiment's module imports this, `tools` and the standard library
alone: its program runs in a process of its own, whose memory is what is watched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

# `needs.NEEDS` says what each is, and asks for it.
Need = Literal["root", "cgroup v1", "swap", "pagemap", "ptrace", "disk", "glibc"]


class Stage(NamedTuple):
    """What the program is given. `directory` is its own, on a disk where there is one, and goes with it.

    `has`: of what the experiment needs and likes, what there is.
    """

    directory: Path
    page_bytes: int
    has: frozenset[Need]


# What the program tells after a step: numbers by name (an address, how many pages it touched).
# Those that are bytes end in "_bytes", those that are addresses in "_address".
# A name "pid NAME" introduces another process: its figures are read too, as "NAME.rss"; 0 ends that.
Facts = Mapping[str, int]


class Run(NamedTuple):
    """A run so far, as a step's expectations and words see it: bytes and counts by the figure's key.

    `before` and `after` hold what `figures.FIGURES` lists, of the program ("rss"), of its other
    processes ("child.rss") and of the machine ("free"); one that cannot be read is not in them.
    `facts` holds what the program has told by now. `after` is `before` until the step has been made.
    """

    stage: Stage
    before: Mapping[str, int]
    after: Mapping[str, int]
    facts: Facts

    def change(self, key: str) -> int | None:
        """Of a figure over the step; None where it is not known."""
        if key not in self.before or key not in self.after:
            return None
        return self.after[key] - self.before[key]


class Expected(NamedTuple):
    """A figure's change over a step, or its value after it, is at least `low` and at most `high`.

    `key` is one of the figures, or of the program's facts (then `of` is "value"). `words` say why, in
    a clause: "one fault a page".
    """

    key: str
    low: int
    high: int
    of: Literal["change", "value"] = "change"
    words: str = ""


class Prediction(NamedTuple):
    """What the reader guesses before the step. `right` is the index of the right one."""

    question: str
    choices: Callable[[Run], tuple[str, ...]]
    right: int


class Step(NamedTuple):
    """One thing that the program does. `words`: two sentences before it, on what to watch.

    `needs`: without which it is left out, here and by the program, which asks its stage and yields
    nothing for it. `figures` are the keys that are shown before and after, in their order.
    `expected` is asked after the step. `after` says what it was, once it has been seen.
    """

    title: str
    words: str
    figures: tuple[str, ...]
    expected: Callable[[Run], tuple[Expected, ...]]
    prediction: Prediction | None = None
    after: str = ""
    needs: frozenset[Need] = frozenset()


class Experiment(NamedTuple):
    """One experiment. `program` makes one step at each `next`, and yields what it tells of it. What it
    needs before the first one it does when it is called, where it is no generator itself: that is not
    measured.

    `at_most_bytes`: of memory that it takes, files in the page cache included, and of a single file.
    `at_most_s`: of a step; then it is killed. `order`: its place in the list, the lowest first.

    `needs`: without which there is nothing to see; `likes`: what it can do without, steps of it left
    out. `group_limit_bytes`: the program runs in a memory cgroup of its own with this limit, where
    "cgroup v1" is there; `swap_bytes`: with so much swap of its own, where "swap" is.
    """

    name: str
    title: str
    summary: str
    program: Callable[[Stage], Iterator[Facts]]
    steps: tuple[Step, ...]
    at_most_bytes: int
    at_most_s: float
    needs: frozenset[Need] = frozenset()
    likes: frozenset[Need] = frozenset()
    group_limit_bytes: int | None = None
    swap_bytes: int | None = None
    topics: tuple[str, ...] = ()  # names that `memtui explain` knows
    order: int = 100
