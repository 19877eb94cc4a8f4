"""The views, what opens over them, and what a terminal's size leaves room for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from memtui.imported import imported
from memtui.views import RUN, VIEWS

if TYPE_CHECKING:
    from memtui.session.session import Session
    from memtui.tui.views.view import View


def breadth(width: int, height: int) -> dict[str, bool]:
    """The style classes of a terminal's size: what there is room for."""
    return {
        "-tiny": width < 60 or height < 15,
        "-wide": width >= 100,
        "-vast": width >= 160,
        "-low": height < 30,
        "-flat": height < 18,
    }


def made(name: str, session: Session) -> View:
    """A view of the table of views; its module is imported when it is first wanted."""
    view: View = _class_of(name)(session)
    return view


def pages_of(name: str) -> Mapping[str, str]:
    """What can be gone to in a view by name, with what is there in words."""
    pages: Mapping[str, str] = _class_of(name).PAGES
    return pages


def _class_of(name: str) -> Any:
    return imported(next(view.code for view in (*VIEWS, RUN) if view.name == name))
