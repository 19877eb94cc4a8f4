"""`memtui maps PID`: every mapping of a process with its usage and kind, and the sums."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import repeat
from typing import Final

from memtui import units
from memtui.kernel.files import Files, Gap
from memtui.kernel.maps import UNKNOWN, Mappings
from memtui.kernel.process import Identity, parse_status, read_identity
from memtui.kernel.threads import living
from memtui.live import looker as reading
from memtui.live.users import user_name
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.columns import COLUMNS, MappingColumn, available
from memtui.model.map.kinds import KINDS
from memtui.model.map.labels import label
from memtui.reports.output import (
    NO_SUCH_PROCESS,
    NOT_PERMITTED,
    ROWS_AT_ONCE,
    Failure,
    Form,
    Options,
    TextColumn,
    effective_uid,
    form_of,
    one_process,
    table,
    unreadable,
)

_USAGE_NAMES: Final = (
    *("rss", "pss", "shared_clean", "shared_dirty", "private_clean", "private_dirty"),
    *("referenced", "anonymous", "swap", "swap_pss", "locked"),
)
# In JSON and the totals: the key, and smaps' own.
_USAGE: Final = {COLUMNS[name].json_name: COLUMNS[name].key for name in _USAGE_NAMES}
_CSV_COLUMNS: Final = (
    *("start", "end", "size", "perms", "offset", "dev", "inode", "path", "kind"),
    *_USAGE_NAMES,
    *("vm_flags", "label"),
)
_Sums = dict[str, int | None]


def run(files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui maps PID`, and what of them changed with --diff."""
    if options.diff:
        from memtui.reports.mapdiff import maps_diff

        now = partial(maps, files, form="json")
        return maps_diff(now, options.argument, options.diff, form_of(options))
    return maps(files, options.argument or "", form_of(options))


def maps(files: Files, text: str, form: Form, *, tells_age: bool = True) -> Iterator[str]:
    """The mappings of the process with this pid or name, with totals by kind; JSON in bytes.

    CSV has the mappings alone, vm_flags with blanks between them.

    A process without an address space has no mappings and a reason for it. Fails where there is
    no such process, several fit the name, or its maps may not be read.
    """
    pid = one_process(files, text)
    stat = read_identity(files, pid)
    if isinstance(stat, Gap):
        raise unreadable(files, stat)
    reason = ""
    map_ = None
    if stat.is_kernel_thread:
        reason = "a kernel thread has no address space of its own"
    elif stat.state in ("Z", "X") and living(files, pid) == f"proc/{pid}":
        reason = "a zombie has given its address space back"
    else:
        map_ = _read_map(files, pid, stat)
        if not len(map_):
            reason = "no mappings: it is about to end, or has just begun"
    gaps = [f"proc/{pid}/maps: {reason}"] if reason else []
    if map_ is not None and map_.usage_gap is not None:
        gaps.append(str(map_.usage_gap))
    if map_ is not None and (left_out := map_.mappings.left_out):
        source = "smaps" if map_.has_usage else "maps"
        gaps.append(f"proc/{pid}/{source}: {units.count(left_out)} out of order left out")
    aged = _when_read(files, pid, map_) if tells_age else ""
    if aged and form != "text":
        from memtui.reports.recorded import say

        say(f"memtui: {aged}\n")
    if form == "json":
        yield from _maps_json(pid, stat.comm, map_, gaps)
        return
    if form == "csv":
        from memtui.model.map.arrange import export_csv

        map_ = map_ or AddressMap(ProcessKey(pid, 0), Mappings())
        names = (*_CSV_COLUMNS, *(column.name for column in _more(map_)))
        yield from export_csv(map_, range(len(map_)), names)
        return
    title = f"{pid} {units.printable(stat.comm)}"
    if map_ is None or reason:
        yield f"{title}: {reason}\n"
        return
    if aged:
        yield f"{aged}\n"
    yield from _maps_text(title, map_, gaps)


def _when_read(files: Files, pid: int, map_: AddressMap | None) -> str:
    """When a recording's map was read, where that is not its own moment."""
    if map_ is None or files.is_live:
        return ""
    from memtui.reports.recorded import when_read  # of a recording: it is there

    read = when_read(files, f"proc/{pid}/{'smaps' if map_.has_usage else 'maps'}")
    return f"the map of {pid} was read {read}" if read else ""


def _read_map(files: Files, pid: int, stat: Identity) -> AddressMap:
    """smaps; maps, and so no usage, where smaps is missing or cannot be understood."""
    key = ProcessKey(pid, stat.starttime)
    found = reading.read_map(files, key, "smaps").map
    if isinstance(found, Gap) and found.reason not in ("denied", "gone"):
        found = reading.read_map(files, key, "maps", None, found).map
    if isinstance(found, AddressMap):
        return found
    who = f"process {pid} ({stat.comm})"
    if found.reason == "gone":
        raise Failure(f"{who} has ended", NO_SUCH_PROCESS)
    if found.reason != "denied":
        raise unreadable(files, found)
    uid = effective_uid(files.parsed(f"proc/{pid}/status", parse_status))
    if uid is None:
        raise Failure(f"{who}: its mappings may be read by root only", NOT_PERMITTED)
    if files.is_live and os.geteuid() == 0:
        raise Failure(
            f"{who}: even root is refused its mappings here; that takes CAP_SYS_PTRACE over it",
            NOT_PERMITTED,
        )
    owner = user_name(uid) if files.has_our_users else str(uid)
    raise Failure(
        f"{who} belongs to {owner}: reading its mappings takes root, CAP_SYS_PTRACE or, "
        "unless the program forbids it, that user",
        NOT_PERMITTED,
    )


def _maps_text(title: str, map_: AddressMap, gaps: list[str]) -> Iterator[str]:
    mappings = map_.mappings
    totals = map_.totals
    plural = "" if len(map_) == 1 else "s"
    yield (
        f"{title}: {units.count(len(map_))} mapping{plural}, {units.size(totals.size)}, "
        f"RSS {units.size(totals.rss)}, PSS {units.size(totals.pss)}, "
        f"swap {units.size(totals.swap)}\n\n"
    )
    size = lru_cache(maxsize=None)(units.size)
    printable = lru_cache(maxsize=None)(units.printable)
    usage = []
    for key in ("Rss", "Pss", "Swap"):
        values: Iterable[int] = mappings.usage.get(key) or [UNKNOWN] * len(map_)
        usage.append([units.UNKNOWN if value == UNKNOWN else size(value) for value in values])
    names = [kind.name for kind in KINDS]
    yield from table(
        [
            TextColumn("START", "<", [f"{start:012x}" for start in mappings.starts]),
            TextColumn("END", "<", [f"{end:012x}" for end in mappings.ends]),
            TextColumn(
                "SIZE", ">", list(map(size, map(int.__sub__, mappings.ends, mappings.starts)))
            ),
            TextColumn("RSS", ">", usage[0]),
            TextColumn("PSS", ">", usage[1]),
            TextColumn("SWAP", ">", usage[2]),
            TextColumn("PERM", "<", mappings.perms),
            TextColumn("OFFSET", ">", list(map("%x".__mod__, mappings.offsets))),
            TextColumn("KIND", "<", list(map(names.__getitem__, map_.kinds))),
            TextColumn("NAME", "<", list(map(printable, names_of(map_)))),
        ]
    )
    yield "\n"
    parts = [(kind.name, sums, kind.words) for kind, sums in map_.by_kind.items()]
    parts.append(("total", totals, ""))
    yield from table(
        [
            TextColumn("KIND", "<", [name for name, _, _ in parts]),
            TextColumn("COUNT", ">", [units.count(sums.mappings) for _, sums, _ in parts]),
            TextColumn("SIZE", ">", [units.size(sums.size) for _, sums, _ in parts]),
            TextColumn("RSS", ">", [units.size(sums.rss) for _, sums, _ in parts]),
            TextColumn("PSS", ">", [units.size(sums.pss) for _, sums, _ in parts]),
            TextColumn("PRIVATE", ">", [units.size(sums.private) for _, sums, _ in parts]),
            TextColumn("SHARED", ">", [units.size(sums.shared) for _, sums, _ in parts]),
            TextColumn("SWAP", ">", [units.size(sums.swap) for _, sums, _ in parts]),
            TextColumn("", "<", [words for _, _, words in parts]),
        ]
    )
    for gap in gaps:
        yield f"\nnot read: {units.printable(gap)}\n"


def names_of(map_: AddressMap) -> Iterator[str]:
    """As the screen names mappings: the path, and of those without one what it is."""
    return (path or label(map_, row).words for row, path in enumerate(map_.mappings.paths))


def _maps_json(pid: int, name: str, map_: AddressMap | None, gaps: list[str]) -> Iterator[str]:
    """Written by hand, a column at a time: 60,000 dicts for json.dumps take twice as long."""
    yield f'{{"pid": {pid}, "name": {json.dumps(name)}, "mappings": ['
    if map_ is not None and len(map_):
        rows = mapping_rows(map_)
        for first in range(0, len(rows), ROWS_AT_ONCE):
            yield ",\n" if first else "\n"
            yield ",\n".join(rows[first : first + ROWS_AT_ONCE])
    totals, by_kind = _sums(map_)
    yield "\n], " if map_ is not None and len(map_) else "], "
    yield f'"totals": {json.dumps(totals)}, "by_kind": {json.dumps(by_kind)}, '
    yield f'"gaps": {json.dumps(gaps)}}}\n'


def _more(map_: AddressMap) -> list[MappingColumn]:
    """The lines of smaps that this kernel has besides those that JSON always has."""
    return [each for each in available(map_) if each.key and each.name not in _CSV_COLUMNS]


def mapping_rows(map_: AddressMap) -> list[str]:
    """Each mapping as a JSON object."""
    mappings = map_.mappings
    text = lru_cache(maxsize=None)(json.dumps)
    template = ", ".join(f'"{key}": %s' for key in _USAGE)

    @lru_cache(maxsize=20_000)  # most mappings of a large process have the same usage
    def usage(values: tuple[int, ...]) -> str:
        return template % tuple("null" if value == UNKNOWN else value for value in values)

    @lru_cache(maxsize=20_000)
    def flags(value: str | None) -> str:
        return "null" if value is None else json.dumps(value.split())

    more = _more(map_)
    more_template = "".join(f', "{each.json_name}": %s' for each in more)

    @lru_cache(maxsize=20_000)
    def rest(values: tuple[int | str | None, ...]) -> str:
        return more_template % tuple(
            "null" if value == UNKNOWN else json.dumps(value) for value in values
        )

    unread = [UNKNOWN] * len(map_)
    columns = [mappings.usage.get(key) or unread for key in _USAGE.values()]
    lines: list[Sequence[int | str | None]] = [
        mappings.usage.get(each.key) or mappings.texts[each.key] for each in more
    ]
    kinds = [kind.name for kind in KINDS]
    return [
        f'{{"start": "0x{start:x}", "end": "0x{end:x}", "size_bytes": {end - start}, '
        f'"perms": {perms}, "offset_bytes": {offset}, "dev": {dev}, "inode": {inode}, '
        f'"path": {path}, "kind": "{kind}", {used}, "vm_flags": {vm_flags}, '
        f'"label": {words}{others}}}'
        for (
            start,
            end,
            perms,
            offset,
            dev,
            inode,
            path,
            kind,
            used,
            vm_flags,
            others,
            words,
        ) in zip(
            mappings.starts,
            mappings.ends,
            map(text, mappings.perms),
            mappings.offsets,
            map(text, mappings.devs) if mappings.has_inodes else repeat("null", len(map_)),
            mappings.inodes if mappings.has_inodes else repeat("null", len(map_)),
            map(text, mappings.paths),
            map(kinds.__getitem__, map_.kinds),
            map(usage, zip(*columns, strict=True)),
            map(flags, mappings.texts.get("VmFlags") or repeat(None, len(map_))),
            map(rest, zip(*lines, strict=True)) if lines else repeat("", len(map_)),
            map(text, (label(map_, row).words for row in range(len(map_)))),
            strict=True,
        )
    ]


def _sums(map_: AddressMap | None) -> tuple[_Sums, dict[str, _Sums]]:
    """The mappings' size and usage, summed: all, and by kind. None where no mapping offers it."""
    totals: _Sums = {"size_bytes": 0, **dict.fromkeys(_USAGE)}
    by_kind: dict[str, _Sums] = {}
    if map_ is None:
        return totals, by_kind
    mappings = map_.mappings
    unread = [UNKNOWN] * len(map_)
    columns = [mappings.usage.get(key) or unread for key in _USAGE.values()]
    sizes = map(int.__sub__, mappings.ends, mappings.starts)
    alike = Counter(zip(map_.kinds, sizes, *columns, strict=True))
    for index in sorted(set(map_.kinds)):
        by_kind[KINDS[index].name] = dict.fromkeys(totals)
    for (kind, *values), count in alike.items():
        for sums in (totals, by_kind[KINDS[kind].name]):
            for key, value in zip(sums, values, strict=True):
                if value != UNKNOWN:
                    sums[key] = (sums[key] or 0) + value * count
    return totals, by_kind
