"""`memtui owners`: who holds shared memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from memtui import units
from memtui.kernel.files import Files
from memtui.live.machine import machine_of
from memtui.live.users import user_name
from memtui.model.system.owners import Holder, Owner, Owners
from memtui.ondemand.owners import find_owners
from memtui.reports.output import Form, Options, TextColumn, csv_document, document, form_of, table

_KEYS: Final = (
    *("kind", "name", "held_bytes", "swap_bytes", "limit_bytes", "is_counted", "is_least"),
    *("words", "holders"),
)
_HOLDERS_LISTED: Final = 3


def run(files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui owners`."""
    return owners(files, form_of(options))


def owners(files: Files, form: Form) -> Iterator[str]:
    """Every owner, the largest first, and what of Shmem has one. JSON is one document, CSV the owners,
    with the pids of those that have each open or mapped."""
    found = find_owners(files, machine_of(files))
    if form == "json":
        yield document(
            {
                "shmem_bytes": found.shmem_bytes,
                "named_bytes": found.named_bytes,
                "named_pct": found.named_pct,
                "owners": [_json(files, each) for each in found.owners],
                "denied": found.denied,
                "gaps": list(map(str, found.gaps)),
            }
        )
    elif form == "csv":
        rows = [
            {**_json(files, each), "holders": [holder.key.pid for holder in each.holders]}
            for each in found.owners
        ]
        yield from csv_document(_KEYS, rows)
    else:
        yield from _text(found)


def _json(files: Files, each: Owner) -> dict[str, Any]:
    row: dict[str, Any] = {key: getattr(each, key) for key in _KEYS}
    row["words"] = list(each.words)
    row["holders"] = [_holder(files, holder) for holder in each.holders]
    return row


def _holder(files: Files, holder: Holder) -> dict[str, Any]:
    uid = holder.uid
    user = None if uid is None else user_name(uid) if files.has_our_users else str(uid)
    return {"pid": holder.key.pid, "name": holder.name, "user": user}


def _text(found: Owners) -> Iterator[str]:
    for words in found.words:
        yield f"{words}\n"
    if not found.owners:
        return
    yield "\n"
    rows = found.owners
    yield from table(
        [
            TextColumn("HOLDS", ">", [_held(each) for each in rows]),
            TextColumn("SHARE", ">", [_share(each, found) for each in rows]),
            TextColumn("KIND", "<", [each.kind for each in rows]),
            TextColumn("WHAT", "<", [units.printable(each.name) for each in rows]),
            TextColumn(
                "SIZE",
                ">",
                ["" if each.limit_bytes is None else units.size(each.limit_bytes) for each in rows],
            ),
            TextColumn("HELD BY, AND WHAT ELSE IS KNOWN", "<", [_rest(each) for each in rows]),
        ]
    )


def _held(each: Owner) -> str:
    return ("≥" if each.is_least else "") + units.size(each.held_bytes)


def _share(each: Owner, found: Owners) -> str:
    whole = max(found.shmem_bytes or 0, found.named_bytes)
    if not each.is_counted or each.held_bytes is None or not whole:
        return ""
    return units.percent(100 * each.held_bytes / whole)


def _rest(each: Owner) -> str:
    listed = [f"{holder.name} ({holder.key.pid})" for holder in each.holders[:_HOLDERS_LISTED]]
    if more := len(each.holders) - len(listed):
        listed.append(f"{units.count(more)} more")
    return units.printable("; ".join(part for part in (", ".join(listed), *each.words) if part))
