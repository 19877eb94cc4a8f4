"""A crash as text and as JSON."""

from __future__ import annotations

from typing import Any

from memtui.model.crash.crash import Crash


def crash_document(crash: Crash) -> dict[str, Any]:
    """The document of a crash."""
    return {"signal": crash.siginfo.name, "code": crash.siginfo.code_name}


def crash_lines(crash: Crash, width: int) -> list[str]:
    """A crash as lines."""
    return [crash.siginfo.name[:width]]
