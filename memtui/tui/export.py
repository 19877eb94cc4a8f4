"""Writes what a table shows to a file, and never over another one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

from memtui import units
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.arrange import export_csv, export_json
from memtui.model.map.change import Trail
from memtui.ondemand.question import Work

_WRITERS = {".csv": export_csv, ".json": export_json}


@dataclass(frozen=True, slots=True)
class Export(Work[str]):
    """A file to be filled; says in words how that went."""

    file: TextIO
    shown: str
    lines: Iterable[str]
    count: int

    def work(self) -> str:
        try:
            with self.file as file:
                file.writelines(self.lines)
        except OSError as error:
            return f"{self.shown} is not whole: {error.strerror}"
        plural = "" if self.count == 1 else "s"
        return f"{units.count(self.count)} mapping{plural} written to {self.shown}"


def begin_export(
    name: str, map_: AddressMap, rows: Sequence[int], columns: Sequence[str], trail: Trail
) -> Export | str:
    """Creates the file; what then writes it, or what is wrong with the name."""
    path = os.path.expanduser(name)
    writer = _WRITERS.get(os.path.splitext(path)[1].lower())
    shown = units.printable(path)
    if writer is None:
        return f"{shown}: the name must end in {' or '.join(_WRITERS)}"
    try:
        file = open(path, "x", encoding="utf-8", errors="surrogateescape", newline="")  # noqa: SIM115
    except FileExistsError:
        return f"{shown} exists: choose another name"
    except OSError as error:
        return f"{shown}: {error.strerror}"
    except ValueError:
        return f"{shown} is no name for a file"

    return Export(file, shown, writer(map_, rows, columns, trail), len(rows))
