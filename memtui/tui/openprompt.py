"""Asks for a process by pid, name or a word of its command line, and offers those that fit so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from textual.widget import Widget

from memtui.kernel.files import Gap
from memtui.ondemand.questions import CommandsOf
from memtui.session.session import Session
from memtui.targets import meant
from memtui.tui.asking import Asking
from memtui.tui.widgets.prompt import Offered, ask


async def ask_for_process(
    beside: Widget, session: Session, asking: Asking, go: Callable[[str, Mapping[int, str]], str]
) -> None:
    """`go` is given what was typed, and the command lines that are known by then, by pid; it says
    what is wrong with it, or ""."""
    moment = session.moment
    if moment is None:
        return
    commands: dict[int, str] = {}

    def offer(text: str) -> list[Offered]:
        now = session.moment or moment
        found = meant(text, now.sample.processes.values(), commands) if text else []
        return [
            Offered(str(each.pid), each.name, commands.get(each.pid, ""))
            for each in sorted(found, key=lambda each: -(each.rss_bytes or 0))
        ]

    def answer(text: str, _final: bool) -> str:
        return go(text, commands)

    prompt = await ask(beside, "open pid or name: ", answer, offer=offer)

    def know(read: Mapping[int, str] | Gap) -> None:
        if prompt is not None and not isinstance(read, Gap):
            commands.update(read)
            prompt.offer_again()

    if prompt is not None:
        keys = tuple(key for key, each in moment.sample.processes.items() if each.rss_bytes)
        asking.look_up(prompt, CommandsOf(keys), know)
