"""`memtui pressure`: is memory short, who waits for it, and how far zones are from their watermarks."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from memtui import units
from memtui.kernel.cgroups import Confinement
from memtui.kernel.files import Files, Gap
from memtui.kernel.pressure import Pressure, Stall
from memtui.kernel.zones import Zone, parse_zoneinfo
from memtui.live.look import look
from memtui.live.machine import page_bytes_of
from memtui.model.sample import Sample
from memtui.model.shortage.verdict import Verdict, verdict_of
from memtui.model.system.zones import ZoneDistance, zone_distances
from memtui.reports.output import (
    Form,
    Options,
    TextColumn,
    csv_document,
    document,
    form_of,
    shown,
    table,
    unreadable,
)
from memtui.session.scope import binds, in_group

_BETWEEN_S: Final = 1.0
_COLUMNS: Final = 80
_AVERAGES: Final = ("avg10", "avg60", "avg300")
_MARKS: Final = ("free", "min", "low", "high")


def run(files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui pressure`."""
    return pressure(files, form_of(options))


def pressure(files: Files, form: Form) -> Iterator[str]:
    """PSI, watermarks and the verdict, of the machine and of the control group that binds memtui: JSON
    and CSV in the kernel's units, sizes of zones in pages.

    The verdict is from two looks a second apart, of a recording from the tick and the one before, of a
    captured root from the one state there is. CSV is PSI's two lines, with the level. Fails where
    neither meminfo, vmstat nor PSI can be read.
    """
    now, before = look(files), None
    if all(isinstance(part, Gap) for part in now.system[:3]):
        assert isinstance(now.system.meminfo, Gap)
        raise unreadable(files, now.system.meminfo)
    if files.is_live:
        before = now
        time.sleep(_BETWEEN_S)
        now = look(files)
    elif (earlier := files.earlier()) is not None:
        before = look(earlier)
    verdict = verdict_of(now, before)
    group = _group(now, before)
    psi = now.system.pressure
    stalls = _stalls(psi)
    if form == "csv":
        rows = [
            {"line": line, **(_stall(stall) or {}), "level": verdict.level}
            for line, stall in stalls.items()
        ]
        yield from csv_document(["line", *_AVERAGES, "total_us", "level"], rows)
        return
    zones = files.parsed("proc/zoneinfo", parse_zoneinfo)
    if form == "json":
        memory = {line: _stall(stall) for line, stall in stalls.items()}
        yield document(
            {
                "memory": memory,
                "watermarks": _watermarks(zones),
                "verdict": _verdict(verdict),
                "group": None if group is None else group.as_json(),
            }
        )
        return
    soft = _soft(now)
    if group is not None and group.binds:
        yield from _wrapped(group.words)
        yield "\n"
        yield "The machine around it:\n"
    yield from _text_verdict(verdict, of_two=before is not None)
    if group is not None and not group.binds:
        yield "\n"
        yield from _wrapped(group.words)
    if soft:
        yield "\n"
        yield from _wrapped(soft)
    yield "\n"
    if isinstance(psi, Gap):
        yield from _wrapped(f"pressure stall information: {units.UNKNOWN}, {psi}")
    else:
        yield from _text_stalls(stalls)
    yield "\n"
    if isinstance(zones, Gap):
        yield from _wrapped(f"watermarks: {units.UNKNOWN}, {zones}")
    else:
        yield from _text_zones(zone_distances(zones, page_bytes_of(files)))


class _Group(NamedTuple):
    """The control group whose limit is the tightest around memtui."""

    confinement: Confinement
    verdict: Verdict
    pressure: Pressure | Gap
    binds: bool

    @property
    def words(self) -> str:
        """What it has left of which limit, and its verdict."""
        group, name = self.confinement.group, self.confinement.limit_name
        some = _stalls(self.pressure)["some"]
        stalled = f", stalled {units.percent(some.avg10_pct)}" if some else ""
        return (
            f"Control group {units.printable(group.path)} ({units.size(group.current_bytes)} of {name} "
            f"{units.size(group.limit_bytes)}{stalled}): {self.verdict.sentence}"
        )

    def as_json(self) -> dict[str, Any]:
        group = self.confinement.group
        return {
            "path": group.path,
            "limit": self.confinement.limit_name,
            "limit_bytes": group.limit_bytes,
            "current_bytes": group.current_bytes,
            "available_bytes": group.available_bytes,
            "binds": self.binds,
            "memory": {line: _stall(stall) for line, stall in _stalls(self.pressure).items()},
            "verdict": _verdict(self.verdict),
        }


def _group(now: Sample, before: Sample | None) -> _Group | None:
    inside = in_group(now)
    if inside is None:
        return None
    confinement = inside.system.confinement
    assert isinstance(confinement, Confinement)
    earlier = None if before is None else in_group(before)
    verdict = verdict_of(inside, earlier)
    return _Group(confinement, verdict, inside.system.pressure, binds(now, inside))


def _soft(now: Sample) -> str:
    confinement = now.system.confinement
    level = confinement.above_soft if isinstance(confinement, Confinement) else None
    if level is None:
        return ""
    return (
        f"Control group {units.printable(level.path)} uses {units.size(level.current_bytes)}, more than "
        f"its soft limit of {units.size(level.soft_bytes)}: it is taken from first when the machine is "
        "short."
    )


def _stalls(pressure: Pressure | Gap) -> dict[str, Stall | None]:
    if isinstance(pressure, Gap):
        return {"some": None, "full": None}
    return {"some": pressure.some, "full": pressure.full}


def _stall(stall: Stall | None) -> dict[str, float] | None:
    if stall is None:
        return None
    averages = (stall.avg10_pct, stall.avg60_pct, stall.avg300_pct)
    return {**dict(zip(_AVERAGES, averages, strict=True)), "total_us": stall.total_us}


def _watermarks(zones: list[Zone] | Gap) -> list[dict[str, Any]] | None:
    if isinstance(zones, Gap):
        return None
    return [
        {
            "node": zone.node,
            "zone": zone.zone,
            **{f"{mark}_pages": zone.fields.get(mark) for mark in _MARKS},
        }
        for zone in zones
    ]


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "level": verdict.level,
        "sentence": verdict.sentence,
        "evidence": [each._asdict() for each in verdict.evidence],
        "lacks": list(verdict.lacks),
    }


def _text_verdict(verdict: Verdict, of_two: bool) -> Iterator[str]:
    words = [verdict.sentence]
    if not of_two:
        words.append("From one state: averages of the kernel, no rates and no kills.")
    if verdict.level is not None and verdict.lacks:
        words.append(f"Judged with {', '.join(verdict.lacks)}.")
    for each in words:
        yield from _wrapped(each)
    if verdict.evidence:
        labels = [each.label for each in verdict.evidence]
        texts = [each.text for each in verdict.evidence]
        room = _COLUMNS - max(map(len, labels)) - max(map(len, texts)) - 4
        sources = [units.fit(each.source, room).rstrip() for each in verdict.evidence]
        yield "\n"
        yield from table(
            [
                TextColumn("evidence", "<", labels),
                TextColumn("", ">", texts),
                TextColumn("read from", "<", sources),
            ]
        )


def _wrapped(words: str) -> Iterator[str]:
    yield "\n".join(textwrap.wrap(units.printable(words), _COLUMNS)) + "\n"


def _text_stalls(stalls: dict[str, Stall | None]) -> Iterator[str]:
    known = {line: stall for line, stall in stalls.items() if stall is not None}

    def averages(field: str) -> list[str]:
        return [units.percent(getattr(stall, field), 2) for stall in known.values()]

    yield from table(
        [
            TextColumn("stalled", "<", list(known)),
            TextColumn("10 s", ">", averages("avg10_pct"), at_least=8),
            TextColumn("60 s", ">", averages("avg60_pct"), at_least=8),
            TextColumn("300 s", ">", averages("avg300_pct"), at_least=8),
            TextColumn(
                "since boot",
                ">",
                [units.duration(stall.total_us / 1e6) for stall in known.values()],
                at_least=14,
            ),
        ]
    )


def _text_zones(zones: list[ZoneDistance]) -> Iterator[str]:
    populated = [zone for zone in zones if zone.is_populated]

    def sizes(mark: str) -> list[str]:
        return [units.size(getattr(zone, f"{mark}_bytes")) for zone in populated]

    yield from table(
        [
            TextColumn("node", ">", [str(zone.node) for zone in populated]),
            TextColumn("zone", "<", [shown(zone.zone) for zone in populated], at_least=8),
            *(TextColumn(mark, ">", sizes(mark), at_least=8) for mark in _MARKS),
            TextColumn(
                "", "<", [f"below {zone.below}" if zone.below else "" for zone in populated]
            ),
        ]
    )
