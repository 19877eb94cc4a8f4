"""An experiment of the lab as lines: what to watch, the prediction, and the figures that changed."""

from __future__ import annotations

import textwrap
from typing import Final, NamedTuple

from rich.style import Style

from memtui import units
from memtui.lab.bench import Agreement, Told
from memtui.lab.experiment import Expected, Facts, Run
from memtui.lab.figures import label, text
from memtui.session.trial import Trial
from memtui.tui import theme
from memtui.tui.words.cells import Line, Part, cells, fits, fitted, spread

LETTERS: Final = "abcd"
_READABLE: Final = 96  # cells: longer lines of words are hard to follow
_NUMBER: Final = 12  # cells of a figure before, after and of its change
_BESIDE: Final = 30  # cells that words need to stand beside their figure

_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)
_ACCENT = theme.style(theme.ACCENT, bold=True)
_RIGHT = theme.style(theme.SHRINKS, bold=True)
_WRONG = theme.style(theme.ALARM, bold=True)


def head(trial: Trial, plays: bool, width: int) -> Line:
    """Which experiment, how far it is, and what Enter does now."""
    left: list[Part] = [(" lab", _ACCENT), (" · ", _DIM), (trial.experiment.title, _BRIGHT)]
    where = f"step {trial.at + 1} of {len(trial.steps)}" if trial.has_begun else ""
    way = "by itself · p stops" if plays else _enter(trial)
    forms = ([where, way, "Esc leaves"], [where, way], [where])
    rights = [[(" · ".join(filter(None, form)) + " ", _DIM)] for form in forms]
    return spread(left, next((each for each in rights if fits(left, each, width)), []), width)


def enter_word(trial: Trial) -> str:
    """What Enter does now; "" where it does nothing."""
    if trial.state == "asking":
        return "does it"
    if trial.state == "told":
        return "ends it" if trial.is_last else "next"
    return ""


def no_step(trial: Trial) -> str:
    """Why Enter does nothing now; "" where it does something."""
    if enter_word(trial):
        return ""
    return "it goes no further: r tries again" if trial.state == "failed" else "working: a moment"


def _enter(trial: Trial) -> str:
    if word := enter_word(trial):
        guesses = f"a–{LETTERS[len(trial.choices) - 1]} guesses, " if trial.asks else ""
        return f"{guesses}Enter {word}"
    return "r tries again" if trial.state == "failed" else "working …"


def paper(trial: Trial, width: int, height: int) -> list[Line]:
    """The step: its words, the prediction, and once it is made its figures.

    In this height as far as it goes: blank lines between them and the steps before where there is
    room, and without its words, which have been read, where there is too little once it is made.
    """
    parts = _parts(trial, width)
    blank = height - sum(map(len, parts))
    if blank < 0 and trial.told is not None:
        parts[0] = _wrapped(trial.step.title, width, _ACCENT)
    elif trial.passed and blank >= len(parts) + len(trial.passed) + 1:
        parts.append(_so_far(trial, width))
    lines: list[Line] = []
    for part in parts:
        if lines and blank > 0:
            lines.append([])
            blank -= 1
        lines += part
    return lines


def _parts(trial: Trial, width: int) -> list[list[Line]]:
    parts: list[list[Line]] = []
    if trial.has_begun:
        step = trial.step
        parts.append([*_wrapped(step.title, width, _ACCENT), *_wrapped(step.words, width, _PLAIN)])
        if trial.choices:
            parts.append(_prediction(trial, width))
        if trial.told is not None:
            parts.append(_table(trial.told, trial.earlier, width))
            if step.after:
                parts.append(_wrapped(step.after, width, _PLAIN))
    else:
        parts.append(_wrapped(trial.experiment.summary, width, _PLAIN))
    if trial.state in ("opening", "making"):
        words = "its program is started …" if trial.state == "opening" else "it does that …"
        parts.append([[(f" {words}", _DIM)]])
    if trial.problem:
        marks = [(f" {theme.glyphs().ticks[1]} ", _WRONG), ("   ", _WRONG)]
        why = _wrapped(trial.problem, width - 3, _BRIGHT, 0)
        parts.append([[marks[min(at, 1)], *line] for at, line in enumerate(why)])
    return parts


def _wrapped(text: str, width: int, style: Style, inset: int = 1) -> list[Line]:
    room = max(20, min(_READABLE, width - 2))
    blank = " " * inset
    return [[(blank + piece, style)] for piece in textwrap.wrap(units.printable(text), room)]


def _so_far(trial: Trial, width: int) -> list[Line]:
    """The steps before this one, and what was guessed of them."""
    lines: list[Line] = [[(" SO FAR", _DIM)]]
    right, wrong = theme.glyphs().ticks
    for at, (told, is_right) in enumerate(trial.passed, 1):
        mark = (right, _RIGHT) if told.agrees else (wrong, _WRONG)
        words = "" if is_right is None else ", guessed right" if is_right else ", guessed wrong"
        title: Line = [(f" {units.printable(told.step.title)}", _PLAIN), (words, _DIM)]
        lines.append(fitted([(f" {at} ", _DIM), mark, *title], width))
    return lines


# The prediction.


def _prediction(trial: Trial, width: int) -> list[Line]:
    """The question and its answers in a line, or one a line; then what was guessed and what is."""
    prediction = trial.step.prediction
    assert prediction is not None
    answers = [
        _answer(trial, at, choice, prediction.right) for at, choice in enumerate(trial.choices)
    ]
    rows: list[Line] = [[part for answer in answers for part in answer]]
    if cells(rows[0]) > width:
        rows = list(answers)
    if trial.told is not None:
        said = _said(trial.guess, prediction.right)
        if cells(rows[-1]) + cells(said) <= width:
            rows[-1] = [*rows[-1], *said]
        else:
            rows.append(said)
    return [*_wrapped(prediction.question, width, _BRIGHT), *rows]


def _answer(trial: Trial, at: int, text: str, right: int) -> list[Part]:
    glyphs = theme.glyphs()
    is_guess = at == trial.guess
    mark, style = (glyphs.bar, _ACCENT) if is_guess else (" ", _PLAIN)
    words = _BRIGHT if is_guess else _PLAIN
    if trial.told is not None:
        words = _DIM
        if at == right:
            mark, style, words = glyphs.ticks[0], _RIGHT, _BRIGHT
        elif is_guess:
            mark, style = glyphs.ticks[1], _WRONG
    letter = style if style is not _PLAIN else _ACCENT
    return [(f" {mark}", style), (LETTERS[at], letter), (f" {units.printable(text)}  ", words)]


def _said(guess: int | None, right: int) -> list[Part]:
    if guess is None:
        return [(" no guess: it is ", _DIM), (LETTERS[right], _RIGHT)]
    said: list[Part] = [(f" you said {LETTERS[guess]}: ", _DIM)]
    if guess == right:
        return [*said, ("right", _RIGHT)]
    return [*said, ("wrong", _WRONG), (", it is ", _DIM), (LETTERS[right], _RIGHT)]


# The figures.


class _Row(NamedTuple):
    """A figure: its name, the cells of before, after and change, and what was expected of it."""

    label: str
    values: tuple[str, str, str]
    agreement: Agreement | None


def _table(told: Told, earlier: Facts, width: int) -> list[Line]:
    rows = _rows(told, earlier)
    across = max([6, *(units.width(row.label) for row in rows)])
    head: list[Part] = [(f" {units.fit('FIGURE', across)}", _DIM)]
    head += [(f"{title:>{_NUMBER}}", _DIM) for title in ("BEFORE", "AFTER", "CHANGE")]
    if any(row.agreement for row in rows):
        head.append(("   AS EXPECTED", _DIM))
    lines: list[Line] = [head]
    for row in rows:
        lines += _row_lines(row, across, width)
    return lines


def _rows(told: Told, earlier: Facts) -> list[_Row]:
    """The step's figures in their order, each with what was expected of it; then what else was.

    `earlier`: what the program had told before.
    """
    rest = list(told.agreements)
    rows = []
    for key in told.step.figures:
        own = next((each for each in rest if each.expected.key == key), None)
        if own is not None:
            rest.remove(own)
        rows.append(_row(key, told.run, earlier, own))
    return rows + [_row(each.expected.key, told.run, earlier, each) for each in rest]


def _row(key: str, run: Run, earlier: Facts, agreement: Agreement | None) -> _Row:
    before = run.before.get(key, earlier.get(key))
    after = run.after.get(key, run.facts.get(key))
    change = None if before is None or after is None else after - before
    if key.endswith("address"):
        change = None  # how far it is from another is no figure
    # A fact has not been there before it was told; a figure that is not there cannot be read.
    unknown = "" if key in run.facts else units.UNKNOWN
    values = (_text(key, before, unknown), _text(key, after, unknown), _change(key, change))
    return _Row(label(key), values, agreement)


def _text(key: str, value: int | None, unknown: str = units.UNKNOWN) -> str:
    return unknown if value is None else text(key, value)


def _change(key: str, value: int | None) -> str:
    if not value:
        return "" if value is None else "–"
    return f"+{text(key, value)}" if value > 0 else text(key, value)


def _row_lines(row: _Row, across: int, width: int) -> list[Line]:
    before, after, change = row.values
    still = change in ("–", "")
    line: list[Part] = [
        (f" {units.fit(row.label, across)}", _PLAIN),
        (units.fit(before, _NUMBER, ">"), _DIM),
        (units.fit(after, _NUMBER, ">"), _PLAIN),
        (units.fit(change, _NUMBER, ">"), _DIM if still else _BRIGHT),
    ]
    agreement = row.agreement
    if agreement is None:
        return [line]
    right, wrong = theme.glyphs().ticks
    if agreement.agrees:
        line += [(f"   {right} ", _RIGHT), ("yes", _PLAIN)]
    elif agreement.measured is None:
        line += [("   - ", _DIM), ("n/a", _DIM)]
    else:
        line += [(f"   {wrong} ", _WRONG), ("no ", _WRONG)]
    words = agreement.expected.words
    if not agreement.agrees:
        words = f"expected {_range(agreement.expected)}" + (f": {words}" if words else "")
    if not words:
        return [line]
    begin = cells(line)
    if width - begin - 3 < _BESIDE:
        return [line, *([("  ", _DIM), *each] for each in _wrapped(words, width - 4, _DIM))]
    first, *more = _wrapped(words, width - begin - 1, _DIM)
    return [[*line, (" ", _DIM), *first], *([(" " * (begin + 1), _DIM), *each] for each in more)]


def _range(expected: Expected) -> str:
    """`+3.9 MiB to +4.1 MiB`, `0`."""
    form = _change if expected.of == "change" else _text
    low, high = form(expected.key, expected.low), form(expected.key, expected.high)
    return low if low == high else f"{low} to {high}"
