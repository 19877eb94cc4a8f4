"""Makes the recorded situations: `python -m tests.situations.record [NAME …]`, as root, minutes."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from memtui.kernel.files import Gap
from memtui.kernel.pressure import parse_pressure
from memtui.model.sample import Sample
from memtui.session.scope import in_group
from tests.situations import save
from tests.squeeze import MIB, Clock, Squeeze, missing, squeeze, swap_file

LIMIT = 300 * MIB
GIB = 1024 * MIB


def thrashing(clock: Clock, group: Squeeze, _directory: Path) -> Iterator[Sample]:
    """450 MiB in use in a group of 300 MiB, with swap, for twenty seconds."""
    yield from clock.samples(5, group)
    group.run("memory", 450 * MIB, 450 * MIB)
    yield from clock.samples(20, group)
    group.stop()
    yield from clock.samples(30, group)


def killed(clock: Clock, group: Squeeze, _directory: Path) -> Iterator[Sample]:
    """A leak of 20 MiB a second in a group of 300 MiB, without swap."""
    group.limit_with_swap(LIMIT)
    yield from clock.samples(5, group)
    group.run("memory", 600 * MIB, 2 * MIB, 0.1)
    yield from clock.samples(25, group)
    assert not group.is_alive
    yield from clock.samples(65, group)


def squeezed_to_death(clock: Clock, group: Squeeze, _directory: Path) -> Iterator[Sample]:
    """A program that grows and uses all it has, in a group of 300 MiB with 120 MiB of swap."""
    group.limit_with_swap(LIMIT + 120 * MIB)
    yield from clock.samples(5, group)
    group.run("memory", 900 * MIB, 10 * MIB, 0.5)
    yield from clock.samples(40, group)
    assert not group.is_alive
    yield from clock.samples(65, group)


def reading_files(clock: Clock, group: Squeeze, directory: Path) -> Iterator[Sample]:
    """400 MiB of files read again and again in a group of 100 MiB: cache comes and goes."""
    path = directory / "files"
    with path.open("wb") as file:
        for _ in range(400):
            file.write(os.urandom(MIB))
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    yield from clock.samples(5, group)
    group.run("files", path=path)
    yield from clock.samples(20, group)
    group.stop()
    yield from clock.samples(25, group)


SITUATIONS = {
    "thrashing": (thrashing, LIMIT),
    "killed": (killed, LIMIT),
    "squeezed-to-death": (squeezed_to_death, LIMIT),
    "reading-files": (reading_files, 100 * MIB),
}


def is_disturbed(machine: list[Sample], inside: list[Sample]) -> bool:
    """Whether something else on the machine was short of memory meanwhile."""
    grown = []
    for samples in (machine, inside):
        first, last = samples[0].system.vmstat, samples[-1].system.vmstat
        assert not isinstance(first, Gap) and not isinstance(last, Gap)
        grown += [last[key] - first[key] for key in ("workingset_refault_anon", "oom_kill")]
    return grown[0] > 1.05 * grown[2] + 500 or grown[1] != grown[3]


def wait_for_calm() -> None:
    pressure = parse_pressure(Path("/proc/pressure/memory").read_bytes())
    while pressure.some is None or pressure.some.avg10_pct > 0.5:
        time.sleep(1)
        pressure = parse_pressure(Path("/proc/pressure/memory").read_bytes())


def main() -> None:
    if (reason := missing()) is not None:
        sys.exit(reason)
    # Not /tmp, which may be in memory itself.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        directory = Path(name)
        with swap_file(directory, GIB):
            for name in sys.argv[1:] or SITUATIONS:
                make, limit = SITUATIONS[name]
                while True:
                    wait_for_calm()
                    with squeeze(limit) as group:
                        samples = list(make(Clock(1.0), group, directory))
                    inside = [each for each in map(in_group, samples) if each is not None]
                    if not is_disturbed(samples, inside):
                        break
                    print(f"{name}: something else was short of memory, once more", flush=True)
                save(name, make.__doc__ or "", samples, inside)
                print(f"{name}: recorded", flush=True)


if __name__ == "__main__":
    main()
