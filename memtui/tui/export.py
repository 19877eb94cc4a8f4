"""Writes what a table shows to a file, and never over another one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from memtui import units
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.arrange import export_csv, export_json
from memtui.model.map.change import Trail

_WRITERS = {".csv": export_csv, ".json": export_json}


def begin_export(
    name: str, map_: AddressMap, rows: Sequence[int], columns: Sequence[str], trail: Trail
) -> Callable[[], str] | str:
    """Creates the file; what then writes it and says how that went, or what is wrong with the name."""
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

    def write() -> str:
        try:
            with file:
                file.writelines(writer(map_, rows, columns, trail))
        except OSError as error:
            return f"{shown} is not whole: {error.strerror}"
        plural = "" if len(rows) == 1 else "s"
        return f"{units.count(len(rows))} mapping{plural} written to {shown}"

    return write
