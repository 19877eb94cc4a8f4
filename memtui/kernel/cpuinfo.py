"""What the first processor says of itself, which speaks for all.

Source: /proc/cpuinfo, whose lines differ by architecture. Permission: anyone.
"""

from __future__ import annotations

from typing import Final

from memtui.kernel.files import Files, Gap

_FIRST: Final = 8192  # bytes, which hold the first processor's lines


def read_cpu_words(files: Files) -> frozenset[bytes] | None:
    """All words of it, flags among them; None where a captured tree has no such file."""
    data = files.read_at("proc/cpuinfo", 0, _FIRST)
    return None if isinstance(data, Gap) else frozenset(data.split())
