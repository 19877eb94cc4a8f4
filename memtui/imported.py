"""What a table names as "module:name": imported when it is wanted, and not before."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def imported(code: str) -> Any:
    """The class or function that `code` names."""
    module, _, name = code.partition(":")
    return getattr(import_module(module), name)
