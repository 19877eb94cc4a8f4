"""Recorded situations: what a machine, and a control group in it, said while memory was short.

`python -m tests.situations.record` makes them anew on this machine, as root.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from memtui.kernel.files import Gap
from memtui.kernel.pressure import Pressure, Stall
from memtui.model.sample import Sample, SystemSample

DIRECTORY: Final = Path(__file__).parent
NAMES: Final = sorted(path.stem for path in DIRECTORY.glob("*.json"))

_MEMINFO: Final = frozenset(
    "MemTotal MemFree MemAvailable Buffers Cached SReclaimable Shmem AnonPages SwapTotal SwapFree "
    "SwapCached".split()
)
_VMSTAT: Final = (
    *("pgscan", "pgsteal", "allocstall", "workingset_refault", "pswp", "pgfault", "pgmajfault"),
    *("oom_kill", "limit_hits"),
)


class Situation(NamedTuple):
    """One that was recorded: the machine's samples and the group's, taken at the same moments."""

    words: str
    machine: list[Sample]
    group: list[Sample]


def save(name: str, words: str, machine: Iterable[Sample], group: Iterable[Sample]) -> None:
    """Writes what the rules look at, as what changed from one sample to the next."""
    lines = [f'{{"words": {json.dumps(words)}']
    for key, samples in (("machine", machine), ("group", group)):
        last: dict[str, Any] = {}
        rows = []
        for sample in samples:
            flat = _flat(sample)
            changed = {key: value for key, value in flat.items() if last.get(key) != value}
            rows.append(json.dumps(changed, separators=(",", ":")))
            last = flat
        lines.append(f'"{key}": [\n' + ",\n".join(rows) + "]")
    (DIRECTORY / f"{name}.json").write_text(",\n".join(lines) + "}\n")


def load(name: str) -> Situation:
    """A recorded situation."""
    saved = json.loads((DIRECTORY / f"{name}.json").read_text())
    return Situation(saved["words"], _samples(saved["machine"]), _samples(saved["group"]))


def _flat(sample: Sample) -> dict[str, Any]:
    flat: dict[str, Any] = {"t": round(sample.time_s, 3), "interval": sample.interval_s}
    meminfo, vmstat, pressure = sample.system[:3]
    if not isinstance(meminfo, Gap):
        flat |= {f"m.{key}": value for key, value in meminfo.items() if key in _MEMINFO}
    if not isinstance(vmstat, Gap):
        flat |= {f"v.{key}": value for key, value in vmstat.items() if key.startswith(_VMSTAT)}
    if not isinstance(pressure, Gap):
        flat |= {"some": pressure.some, "full": pressure.full}
    return flat


def _samples(rows: list[dict[str, Any]]) -> list[Sample]:
    samples: list[Sample] = []
    flat: dict[str, Any] = {}
    for row in rows:
        flat = flat | row
        parts = {
            prefix: {key[2:]: value for key, value in flat.items() if key.startswith(prefix)}
            for prefix in ("m.", "v.")
        }
        pressure: Pressure | Gap = Gap("memory.pressure", "absent")
        if flat.get("some"):
            pressure = Pressure(Stall(*flat["some"]), Stall(*flat["full"]))
        system = SystemSample(parts["m."], parts["v."], pressure)
        samples.append(Sample(flat["t"], flat["interval"], system, {}))
    return samples
