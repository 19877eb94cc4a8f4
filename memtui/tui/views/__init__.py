"""The views, what opens over them, and what a terminal's size leaves room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.geometry import Size

from memtui.imported import imported
from memtui.views import VIEWS

if TYPE_CHECKING:
    from memtui.session.session import Session
    from memtui.tui.views.view import View


def breadth(size: Size) -> dict[str, bool]:
    """The style classes of a terminal's size: what there is room for."""
    return {
        "-tiny": size.width < 60 or size.height < 15,
        "-wide": size.width >= 100,
        "-vast": size.width >= 160,
        "-low": size.height < 30,
        "-flat": size.height < 18,
    }


def made(name: str, session: Session) -> View:
    """A view of the table of views; its module is imported when it is first wanted."""
    code = next(view.code for view in VIEWS if view.name == name)
    view: View = imported(code)(session)
    return view
