"""A crash as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from memtui.model.crash.crash import Crash


def crash_document(crash: Crash) -> dict[str, Any]:
    """The document of a crash."""
    return {"signal": crash.siginfo.name, "code": crash.siginfo.code_name}


def crash_lines(crash: Crash) -> Iterator[str]:
    """A crash as lines."""
    yield f"{crash.siginfo.name}\n"
