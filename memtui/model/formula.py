"""Formulas as data: a text of names and signs that gives both the number and the sum written out.

`Formula("MemTotal − MemFree")` says how a figure is made, computes it, and shows it with today's
numbers, so that the three cannot drift apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from memtui import units

# `count` is how many, of a rate how many in the interval; the others of growth are a second.
Unit = Literal["bytes", "pct", "count", "per_s", "pages_per_s", "bytes_per_s", "s"]

# A name may hold a slash, a dot or a kernel's "(anon)"; a division sign has blanks around it.
_TOKEN: Final = (
    r"\s*(?:(?P<number>\d+)|(?P<call>min|max)(?=\()"
    r"|(?P<name>[A-Za-z_][\w/.]*(?:\((?:anon|file)\))?)(?P<optional>\??)"
    r"|(?P<sign>[+−×/(),]))"
)


class Quantity(NamedTuple):
    """What a name stands for now; the value is None where the kernel does not tell."""

    value: float | None
    unit: Unit


Get = Callable[[str], Quantity]


class Formula(NamedTuple):
    """`text` is made of names, whole numbers, + − × /, parentheses, min(a, b) and max(a, b).

    A name with a question mark counts as nothing where it is unknown; any other makes the whole
    unknown. `unit` is the result's.
    """

    text: str
    unit: Unit = "bytes"

    @property
    def shown(self) -> str:
        """The text without question marks."""
        return self.text.replace("?", "")

    @property
    def names(self) -> list[str]:
        """Every name in it, in order."""
        return [match["name"] for match in _tokens(self.text) if match["name"]]

    def value(self, get: Get) -> float | None:
        """Its value; None where a name is unknown, for a division by 0, and below 0, where no figure is:
        a container may see its own total and its host's other figures.
        """
        parser = _Parser(self.text, get)
        value = parser.whole()
        if value is not None and value < 0:
            return None
        return value

    def worked(self, get: Get) -> str:
        """The formula, the same in numbers, and the result: `MemTotal − MemFree = 8 − 3 = 5`."""
        value = self.value(get)
        names = self.names
        if self.text.rstrip("?") in names:  # one name is its own result
            return f"{self.shown} = {figure(value, self.unit)}"
        found = [get(name) for name in names]
        in_bytes = [each.value for each in found if each.unit == "bytes"]
        if self.unit == "bytes":
            in_bytes.append(value)
        sizes = iter(units.sizes(in_bytes))
        numbers = iter(
            [
                next(sizes) if each.unit == "bytes" else figure(each.value, each.unit)
                for each in found
            ]
        )
        result = next(reversed(list(sizes)), "") if self.unit == "bytes" else ""
        written, at = "", 0
        for match in _tokens(self.text):
            if match["name"]:
                written += self.text[at : match.start("name")] + next(numbers)
                at = match.end()
        written += self.text[at:]
        return f"{self.shown} = {written} = {result or figure(value, self.unit)}"


def figure(value: float | None, unit: Unit) -> str:
    """A number in its unit as text: `1.2 GiB`, `7.5 %`, `310 pages/s`; `n/a` for None."""
    if value is None:
        return units.UNKNOWN
    if unit == "s":
        return units.duration(value)
    if unit == "bytes":
        return units.size(value)
    if unit == "bytes_per_s":
        return units.size(value) + "/s"
    if unit == "pct":
        return units.percent(value, 0 if value == 0 or value >= 10 else 1)
    digits = units.count(round(value)) if value == int(value) or value >= 10 else f"{value:.1f}"
    return digits + {"count": "", "per_s": "/s", "pages_per_s": " pages/s"}[unit]


@lru_cache(maxsize=512)
def _tokens(text: str) -> tuple[re.Match[str], ...]:
    return tuple(_split(text))


def _split(text: str) -> Iterator[re.Match[str]]:
    token = re.compile(_TOKEN)  # not before it is wanted: every figure has formulas
    at = 0
    while at < len(text):
        match = token.match(text, at)
        if match is None:
            raise ValueError(f"no formula: {text[at:]!r}")
        yield match
        at = match.end()


class _Parser:
    """Sums of products of atoms; None, once met, is the result."""

    def __init__(self, text: str, get: Get) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._get = get

    def whole(self) -> float | None:
        value = self._sum()
        if self._at < len(self._tokens):
            raise ValueError(f"no formula: {self._tokens[self._at].group()!r} is left over")
        return value

    def _sign(self) -> str:
        return (self._tokens[self._at]["sign"] or "") if self._at < len(self._tokens) else ""

    def _expect(self, sign: str) -> None:
        if self._sign() != sign:
            raise ValueError(f"no formula: {sign} is missing")
        self._at += 1

    def _sum(self) -> float | None:
        value = self._product()
        while (sign := self._sign()) in ("+", "−") and sign:
            self._at += 1
            other = self._product()
            if value is None or other is None:
                value = None
            else:
                value = value + other if sign == "+" else value - other
        return value

    def _product(self) -> float | None:
        value = self._atom()
        while (sign := self._sign()) in ("×", "/") and sign:
            self._at += 1
            other = self._atom()
            if value is None or other is None:
                value = None
            elif sign == "×":
                value = value * other
            else:
                value = value / other if other else None
        return value

    def _atom(self) -> float | None:
        if self._at == len(self._tokens):
            raise ValueError("no formula: it ends too soon")
        token = self._tokens[self._at]
        self._at += 1
        if token["number"]:
            return int(token["number"])
        if token["name"]:
            value = self._get(token["name"]).value
            return 0 if value is None and token["optional"] else value
        if token["call"]:
            self._expect("(")
            first = self._sum()
            self._expect(",")
            second = self._sum()
            self._expect(")")
            if first is None or second is None:
                return None
            return min(first, second) if token["call"] == "min" else max(first, second)
        if token["sign"] != "(":
            raise ValueError(f"no formula: {token.group()!r}")
        value = self._sum()
        self._expect(")")
        return value
