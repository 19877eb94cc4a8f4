"""The program that lives and dies in many ways, and a watch that gives a slow machine its time."""

import pytest

from memtui.watch import watch
from tests.watch.runs import DEADLINE_S, lives

__all__ = ["lives"]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is watched has ended when a run is over, however busy the machine is."""
    monkeypatch.setattr(watch, "_PATIENCE_S", DEADLINE_S)
