"""A run in words: where its program stands, what it came to, what happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.style import Style

from memtui import units
from memtui.kernel.siginfo import signal_name
from memtui.tui import theme
from memtui.tui.words.cells import Line, Part, fitted, spread
from memtui.tui.words.crash import held_line
from memtui.watch.story import Happening, Held, Life, Story, What

_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)
_ACCENT = theme.style(theme.ACCENT, bold=True)
_ALARM = theme.style(theme.ALARM, bold=True)
_GROWS = theme.style(theme.GROWS)
_SHRINKS = theme.style(theme.SHRINKS)

_STYLES: Final[Mapping[What, Style]] = {
    "start": _ACCENT,
    "exec": _ACCENT,
    "fork": _ACCENT,
    "thread": _ACCENT,
    "mapped": _GROWS,
    "grew": _GROWS,
    "unmapped": _SHRINKS,
    "shrank": _SHRINKS,
    "signal": _ALARM,
    "held": _ALARM,
    "stopped": _ALARM,
    "exit": _BRIGHT,
    "thread exit": _DIM,
    "note": _DIM,
}


def name_of(life: Life) -> str:
    return units.printable(life.name) or "?"


def run_line(story: Story, now_s: float, width: int) -> Line:
    """The program and where it stands; what Enter and q do."""
    life = story.first
    if life is None:
        words = units.printable(" ".join(story.command))
        return fitted([(f" {words}", _BRIGHT), (" · starting", _DIM)], width)
    left: list[Part] = [(f" {name_of(life)}", _BRIGHT), (f" ({life.pid}) · ", _DIM)]
    held = story.held
    right: list[Part] = []
    if held is not None:
        left += _held_words(story, held, life)
    elif life.died_s is None:
        left.append((f"running {units.elapsed(now_s)}", _PLAIN))
    else:
        left.append(end_words(life))
        left.append((f" after {units.elapsed(life.duration_s)}", _PLAIN))
        right = [(f"q quits with {1 if life.exit_status is None else life.exit_status} ", _DIM)]
    alive = sum(each.died_s is None for each in story.lives.values())
    if alive > (life.died_s is None):
        others = alive - (life.died_s is None)
        left.append((f" · {others} more process{'' if others == 1 else 'es'}", _DIM))
    if held is not None:
        return held_line(left, 128 + held.siginfo.signal, width, " · w why")
    return spread(left, right, width)


def _held_words(story: Story, held: Held, first: Life) -> list[Part]:
    life = story.lives.get(held.key.pid)
    parts: list[Part] = []
    if life is not None and life is not first:
        parts.append((f"{name_of(life)} ({life.pid}): ", _PLAIN))
    ran_s = held_after_s(story, held.key.pid)
    after = "" if ran_s is None else f" after {units.elapsed(ran_s)}"
    return [*parts, (f"{held.siginfo.name}{after}", _ALARM)]


def held_after_s(story: Story, pid: int) -> float | None:
    """How long a process had lived when it was stopped before the signal that ends it."""
    life, happened = story.lives.get(pid), reversed(story.happenings)
    at_s = next((each.at_s for each in happened if (each.what, each.pid) == ("held", pid)), None)
    return None if life is None or at_s is None else at_s - life.born_s


def end_words(life: Life) -> Part:
    """`exited 0`, `SIGSEGV, core dumped`."""
    if life.signal is not None:
        return (signal_name(life.signal) + (", core dumped" if life.core_dumped else ""), _ALARM)
    if life.exit_status is None:
        return ("ended", _PLAIN)
    return (f"exited {life.exit_status}", _ALARM if life.exit_status else _PLAIN)


def end_lines(story: Story, life: Life | None, width: int) -> list[Line]:
    """What a process came to, when it has ended; and what could not be watched."""
    lines: list[Line] = []
    if life is not None and life.died_s is not None:
        parts: list[Part] = []
        for name, text in (
            ("peak RSS", units.size(life.peak_rss_bytes)),
            ("ended with", units.size(life.ended_with_bytes)),
            ("minor faults", units.count(life.minor_faults)),
            ("major", units.count(life.major_faults)),
        ):
            parts += [(f" {name} " if not parts else f" · {name} ", _DIM), (text, _PLAIN)]
        lines.append(parts)
        if len(life.phases) > 1:
            phases: list[Part] = []
            for name, took_s in life.phases:
                before = " → " if phases else " "
                phases += [
                    (f"{before}{units.printable(name)} ", _DIM),
                    (units.elapsed(took_s), _PLAIN),
                ]
            lines.append(phases)
    for gap in story.missing:
        words = units.printable(gap.words)
        lines.append([(" not watched: ", _ALARM), (words, _PLAIN)])
    return [fitted(line, width) for line in lines]


def shown_s(at_s: float) -> str:
    return f"{at_s:.3f}"


def happening_cells(happening: Happening, story: Story) -> dict[str, str | Part]:
    """A line of the time line, by its columns."""
    life = story.lives.get(happening.pid)
    size = happening.size_bytes
    words = ("✖ " if happening.what == "held" else "") + units.printable(happening.words)
    return {
        "at": (shown_s(happening.at_s), _DIM),
        "pid": (str(happening.pid), _DIM),
        "who": (name_of(life) if life else "", _DIM),
        "what": (words, _STYLES.get(happening.what, _PLAIN)),
        "size": ("" if size is None else units.size(abs(size)), _DIM),
    }


def life_cells(life: Life) -> dict[str, str | Part]:
    """A line of the list of processes."""
    lived = life.died_s is None
    status = life.exit_status
    return {
        "pid": (str(life.pid), _PLAIN),
        "name": (name_of(life), _BRIGHT if lived else _PLAIN),
        "born": (units.elapsed(life.born_s), _DIM),
        "died": ("" if life.died_s is None else units.elapsed(life.died_s), _DIM),
        "peak": (units.size(life.peak_rss_bytes, short=True), _PLAIN),
        "exit": (
            "lives" if lived else "?" if status is None else str(status),
            _ALARM if status else _DIM,
        ),
    }
