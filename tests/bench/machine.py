"""The machine's own files: what a sample of all of them costs, against reading and throwing away."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial

from memtui.kernel.files import Gap, Kept
from memtui.kernel.livefiles import LiveFiles
from memtui.live.plan import Plan
from memtui.live.readers import FIELDS
from memtui.live.sampler import Sampler
from tests.bench.row import Row, interleaved, seconds
from tests.bench.setup import Setup

_EVERYTHING = Plan(fields=FIELDS)
_ALWAYS = Plan()


class _Noting(LiveFiles):
    """Notes the names of what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: dict[str, None] = {}

    def read(self, name: str) -> bytes | Gap:
        self.noted[name] = None
        return super().read(name)

    def keep(self, name: str) -> Kept | Gap:
        self.noted[name] = None
        return super().keep(name)


def system(setup: Setup) -> Iterator[Row]:
    """All sources of the machine that any view shows, parsed; and those that every view has read."""
    rounds, times = setup.rounds(15), setup.rounds(20)
    for words, plan, at_most, ms_at_most in (
        ("all system sources", _EVERYTHING, 1.5, 3.0),
        ("those always read", _ALWAYS, None, None),
    ):
        files = _Noting()
        noting = Sampler(files)
        noting.prepare()
        noting._system(plan)
        names = ["/" + name for name in files.noted]
        sampler = Sampler(LiveFiles())
        sampler.prepare()
        ours, bare = interleaved(
            rounds,
            partial(_timed, partial(_sample, sampler, plan, times)),
            partial(_timed, partial(_read, names, times)),
        )
        noting.close()
        sampler.close()
        note = f"{1000 * ours / times:.2f} / {1000 * bare / times:.2f} ms, {len(names)} files"
        yield Row(f"{words}: a sample / bare reads", ours / bare, at_most, note=note)
        if ms_at_most:
            yield Row(f"{words}: a sample", 1000 * ours / times, ms_at_most, " ms")


def _timed(work: Callable[[], object]) -> float:
    return seconds(work)


def _sample(sampler: Sampler, plan: Plan, times: int) -> None:
    for _ in range(times):
        # Nothing is as it was: bytes that did not change are not parsed again.
        sampler._parsed.clear()
        sampler._system(plan)


def _read(names: list[str], times: int) -> None:
    """Opens and reads each to its end, as a program must that shows all of it."""
    for _ in range(times):
        for name in names:
            try:
                descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            while os.read(descriptor, 65_536):
                pass
            os.close(descriptor)
