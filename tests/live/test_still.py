"""A core dump's source: it reads when it is asked to, whatever time passes."""

from __future__ import annotations

from pathlib import Path

from memtui.live.machine import machine_of
from memtui.live.plan import Plan
from memtui.live.source import Reading
from memtui.live.still import StillSource
from memtui.model.map.addressmap import AddressMap, MapReading
from memtui.model.sample import Sample
from memtui.ondemand.core import key_of
from tests.coredumps import made, opened
from tests.terminal import wait_until


def test_one_sample_one_map_and_more_only_for_who_wants_more(tmp_path: Path) -> None:
    path = tmp_path / "core"
    path.write_bytes(made())
    files = opened(path)
    key = key_of(files)
    # So short an interval that a live source would have taken hundreds.
    source = StillSource(files, 0.001, machine_of(files)._replace(still="a dump"))
    samples: list[Sample] = []
    maps: list[MapReading] = []

    def take(reading: Reading) -> None:
        if isinstance(reading, Sample):
            samples.append(reading)
        elif isinstance(reading, MapReading):
            maps.append(reading)

    source.start(take)
    wait_until(lambda: samples)
    assert list(samples[0].processes) == [key]
    source.look_at(Plan(map_of=key))
    wait_until(lambda: maps)
    assert isinstance(maps[0].map, AddressMap) and maps[0].map.totals.dumped == 4096
    source.look_at(Plan(map_of=key, fields=frozenset({"zones"})))
    wait_until(lambda: len(samples) == 2)
    assert samples[1].system.zones is not None
    source.stop()
    assert (len(samples), len(maps)) == (2, 1)
    assert source.silent_s == 0
