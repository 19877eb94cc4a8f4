"""What a key does here and now: asked in one place by the footer, and by whoever runs the action."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual import on
from textual.actions import ActionParseResult, parse
from textual.app import App
from textual.dom import DOMNode
from textual.notifications import Notify
from textual.screen import Screen

from memtui.tui.keys import Key, keys_of
from memtui.tui.widgets.bars import Footer

_SHORT_S = 4.0


class Keyed:
    """What has keys of its own: the application, a view, a sheet over it."""

    def refuses(self, action: str, parameters: tuple[object, ...] = ()) -> str:
        """Why that action does nothing here and now, in a line; "" where it does something."""
        return ""

    def word(self, key: Key) -> str:
        """What the footer says of a key here and now; "" where it does not offer it."""
        _, action, parameters = parse(key.action)
        return "" if self.refuses(action, parameters) else key.footer


def refusal(node: DOMNode, action: str, parameters: tuple[object, ...] = ()) -> str:
    """Why something, which may have no keys of its own, refuses an action; "" where it does it."""
    return node.refuses(action, parameters) if isinstance(node, Keyed) else ""


class KeyedApp(Keyed, App[None]):
    """The application as far as its keys go: says why one is refused."""

    view_name: str

    @property
    def view(self) -> Any:
        """The view that is shown, a `Keyed` widget."""
        raise NotImplementedError

    def keyed_on(self, screen: Screen[Any]) -> tuple[str, Any]:
        """Whose keys those on a screen are: its name in the table of keys, and the `Keyed` itself."""
        if isinstance(screen, Keyed):
            return screen.VIEW, screen  # type: ignore[attr-defined]
        return self.view_name, self.view

    def on_top(self) -> tuple[str, Any]:
        """The same of what the user looks at: below what only asks or helps."""
        sheets = [each for each in self.screen_stack if isinstance(each, Keyed)]
        return self.keyed_on(sheets[-1] if sheets else self.default_screen)

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """As Textual's, unless it is refused, which is said."""
        namespace = self if default_namespace is None else default_namespace
        target, name, parameters = self._parse_action(action, namespace, namespaces)
        if why := refusal(target, name, parameters):
            self.notify(why, severity="warning", timeout=_SHORT_S, markup=False)
            return True
        is_done = await super().run_action(action, default_namespace, namespaces)
        if self.screen_stack:
            self.screen.refresh_bindings()
        return is_done

    async def run_view_action(self, action: str) -> None:
        """An action of the view or sheet that is looked at, or the application's own."""
        name, keyed = self.on_top()
        own = any(key.action == action and key.views for key in keys_of(name))
        await self.run_action(action, keyed if own else self)

    @on(Footer.Pressed)
    async def _footer_pressed(self, event: Footer.Pressed) -> None:
        await self.run_view_action(event.action)

    @on(Notify)
    def _is_told_anew(self, event: Notify) -> None:
        """A notice that is still shown is shown from now on, and not twice."""
        message = event.notification.message
        for each in [each for each in self._notifications if each.message == message]:
            self._unnotify(each, refresh=False)
