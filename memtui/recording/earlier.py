"""The figures of the hour before a dashboard began: from a recording of this boot at the recorder's
default place, which goes on; else from sysstat's archive."""

from __future__ import annotations

import os
import time
from typing import Final, NamedTuple

from memtui.kernel.files import Files, Gap
from memtui.model.system.metrics import METRICS
from memtui.ondemand.question import Work
from memtui.recording.moment import Moment
from memtui.recording.recording import Recording
from memtui.recording.replay import figures_of
from memtui.recording.store import Unusable, default_path
from memtui.recording.sysstat import Entry, read_archive

BOOT_ID: Final = "proc/sys/kernel/random/boot_id"
BY_SYSSTAT: Final = "sysstat's"
_HOUR_S: Final = 3600.0
_CLOSELY_S: Final = 300.0  # before the end, moments are looked at; before that what blocks say
_MOMENTS: Final = 150


class Earlier(NamedTuple):
    """Entries in the order of time, and whose they are, in a word, where not memtui's own."""

    entries: list[Entry]
    origin: str = ""


class WhatWas(Work[Earlier]):
    """What was before now, of the machine that runs this."""

    __slots__ = ("_booted_s", "_files", "_path")

    def __init__(self, files: Files, booted_s: float, path: str = "") -> None:
        """`files` are the machine's, which was booted so long after the epoch. Without a path it is the
        recorder's default place."""
        self._files = files
        self._booted_s = booted_s
        self._path = path

    def work(self) -> Earlier | Gap:
        now_s = time.time()
        boot = self._files.read(BOOT_ID)
        boot_id = "" if isinstance(boot, Gap) else boot.decode("ascii", "replace").strip()
        entries = recorded_entries(self._path or default_path(), boot_id, now_s)
        if entries:
            return Earlier(entries)
        archived = read_archive(self._booted_s, now_s)
        return archived if isinstance(archived, Gap) else Earlier(archived, BY_SYSSTAT)


def recorded_entries(path: str, boot_id: str, now_s: float) -> list[Entry]:
    """What a recording has of the last hour of a boot; empty where it is none, of another machine or
    boot, or older."""
    if not boot_id or not os.path.isfile(path):
        return []
    try:
        recording = Recording(path)
    except Unusable:
        return []
    try:
        last = recording.last
        since_s = now_s - _HOUR_S
        if last is None or recording.run_of(last).boot_id != boot_id or last.time_s < since_s:
            return []
        return _entries(recording, boot_id, since_s, last)
    except Unusable:
        return []
    finally:
        recording.close()


def _entries(recording: Recording, boot_id: str, since_s: float, last: Moment) -> list[Entry]:
    close_s = max(since_s, last.time_s - _CLOSELY_S)
    found = [
        Entry(
            stretch.end.boot_s,
            max(1.0, stretch.end.boot_s - stretch.begin.boot_s),
            {name: latest for name, (_, _, latest) in stretch.figures.items() if name in METRICS},
        )
        for stretch in recording.series(METRICS.keys(), since_s, close_s)
        if stretch.figures and recording.run_of(stretch.end).boot_id == boot_id
    ]
    moments = [
        moment
        for moment in recording.moments(close_s, last.time_s)
        if recording.run_of(moment).boot_id == boot_id
    ]
    moments = moments[:: -(-len(moments) // _MOMENTS) or 1]
    # What the blocks say of the same time is less.
    begin_s = moments[0].boot_s if moments else last.boot_s
    found = [entry for entry in found if entry.time_s < begin_s]
    before_s = found[-1].time_s if found else begin_s
    for stretch in figures_of(recording, moments):
        time_s = stretch.end.boot_s
        figures = {name: latest for name, (_, _, latest) in stretch.figures.items()}
        found.append(Entry(time_s, min(60.0, max(1.0, time_s - before_s)), figures))
        before_s = time_s
    found.sort(key=lambda entry: entry.time_s)
    return found
