"""An obituary as a recording's event has it: JSON, its fields by name. Its map is left out, which the
recording has if anything."""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

from memtui.kernel.deaths import Death, OomKill, Poisoned
from memtui.kernel.segfaults import Segfault
from memtui.model.keys import ProcessKey
from memtui.model.oom.obituary import Obituary

T = TypeVar("T")

# By the fields that one of them alone has.
_DEATHS: Final[tuple[tuple[str, type[Death]], ...]] = (
    ("constraint", OomKill),
    ("page_frame", Poisoned),
    ("stack_pointer", Segfault),
)


def written(obituary: Obituary) -> str:
    """As JSON; only `read` needs to know of it, and others may."""
    return json.dumps(_plain(obituary._replace(map=None)))


def read(text: str) -> Obituary | None:
    """What `written` wrote; None where it is none. Fields that a newer memtui adds are left out."""
    try:
        values = json.loads(text)
        for name, make in (("key", _key), ("death", _death)):
            if values.get(name) is not None:
                values[name] = make(values[name])
        values["others"] = tuple(values.get("others", ()))
        return _made(Obituary, values)
    except (ValueError, TypeError, AttributeError):
        return None


def _key(values: dict[str, Any]) -> ProcessKey:
    return _made(ProcessKey, values)


def _death(values: dict[str, Any]) -> Death | None:
    found = next((kind for field, kind in _DEATHS if field in values), None)
    return None if found is None else _made(found, values)


def _made(kind: type[T], values: dict[str, Any]) -> T:
    fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]
    return kind(**{name: value for name, value in values.items() if name in fields})


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {key: _plain(each) for key, each in value._asdict().items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
