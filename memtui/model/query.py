"""A small language for choosing rows, of whatever has named columns: `rss>100M -path:lib heap`.

Terms stand between blanks and all must hold. A term is a column, an operator and a value, or a
word to look for; `-` or `!` before it turns it round. Quotes keep blanks and signs: `"a b"`.

    rss>100M size>=1.5GiB swap!=0   numbers: > >= < <= = !=; K M G T P E are powers of 1024
    path:libc path=/usr/bin/cat     texts: `:` holds it, in whatever case; `=` and `!=` are exact
    kind:heap,anon kind!=a          choices: one of these, by name or by letter
    start>=7f2d0c000000             addresses: in hex, with or without 0x

Of a column's name so much is enough as no other has. A value that is not known fulfils no term,
neither a plain one nor one that is turned round.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from memtui import units

Measure = Literal["bytes", "change", "count", "percent", "address", "text"]


class Choice(NamedTuple):
    """The type of a column that holds one of a few names: what may be typed, and the name meant."""

    words: Mapping[str, str]


FieldType = Measure | Choice
Value = int | float | str | None


class BadQuery(ValueError):
    """What is wrong with a filter, in one line for people."""


class Term(NamedTuple):
    """One condition. `field` "" is a word that any of a row's texts may hold.

    Operators: < <= > >= = != with a number or a whole text, `:` and `!:` with the part of a text
    in lower case, `in` and `!in` with names.
    """

    field: str
    operator: str
    value: int | float | str | frozenset[str]

    @property
    def test(self) -> Callable[[Any, Any], bool]:
        """What tells whether a known value, with this term's own, fulfils it."""
        return _TESTS[self.operator]

    def holds(self, value: int | float | str) -> bool:
        """Whether a known value fulfils it."""
        return self.test(value, self.value)


_TESTS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
    ":": lambda text, part: part in text.casefold(),
    "!:": lambda text, part: part not in text.casefold(),
    "in": lambda name, names: name in names,
    "!in": lambda name, names: name not in names,
}
_OPPOSITES: Final = {
    "<": ">=",
    "<=": ">",
    ">": "<=",
    ">=": "<",
    "=": "!=",
    "!=": "=",
    ":": "!:",
    "in": "!in",
    "!in": "in",
}

_ASCII: Final = re.IGNORECASE | re.ASCII  # the Kelvin sign is no K
_TOKEN: Final = re.compile(r'(?:[^\s"]|"[^"]*")+')
_FIELD: Final = re.compile(r"([A-Za-z]\w*)([<>!]=|[<>=:])", re.ASCII)
_OPERATOR: Final = re.compile(r"[<>!]=|[<>=:]")
# So many digits as no figure has: Python refuses to convert thousands of them.
_SIZE: Final = re.compile(r"([0-9]{1,20}(?:\.[0-9]{0,20})?)(?:([KMGTPE])I?)?B?", _ASCII)
_HEX: Final = re.compile(r"(?:0x)?([0-9a-f]{1,16})", _ASCII)
_WHOLE: Final = re.compile(r"[0-9]{1,20}")
_SHARE: Final = re.compile(r"[0-9]{1,20}(?:\.[0-9]{0,20})?")
_ADDRESS: Final = re.compile(
    r"(?:@(?:0x)?([0-9a-f]{1,16})|0x([0-9a-f]{1,16})|([0-9a-f]{6,16}))"
    r"(?:[-\u2013](?:0x)?[0-9a-f]{1,16})?",
    _ASCII,
)

_EXAMPLES: Final[dict[str, tuple[str, str, str]]] = {
    "bytes": ("a size", ">", "100M"),
    "change": ("a change in size", ">", "1M"),
    "count": ("a whole number", ">", "0"),
    "percent": ("a percentage", ">", "50"),
    "address": ("an address in hex", ">=", "7f2d0c000000"),
    "text": ("a text", ":", "word"),
    "choice": ("a name", ":", "name"),
}
_NAMES_LISTED: Final = 12
_QUOTED_AT_MOST: Final = 40


def parse_query(text: str, fields: Mapping[str, FieldType]) -> tuple[Term, ...]:
    """The terms of a filter; none of a blank one. Raises BadQuery, also for one half typed."""
    if text.count('"') % 2:
        raise BadQuery(f'no second " after {_quote(text[text.rindex(chr(34)) :])}')
    return tuple(_term(token, fields) for token in _TOKEN.findall(text))


def parse_address(text: str) -> int | None:
    """An address as people have it: `@1000`, `0x7f2d0c000000`, `7f2d0c000000`, or a range's start.

    None where it is no address; bare hex needs six digits, as shorter ones are words.
    """
    match = _ADDRESS.fullmatch(text.strip())
    return int(match[match.lastindex or 0], 16) if match else None


def _term(token: str, fields: Mapping[str, FieldType]) -> Term:
    if _OPERATOR.match(token):
        raise BadQuery(f"no column before {_quote(token)}: rss>100M, without blanks")
    negated = token[0] in "-!"
    body = token[negated:]
    match = _FIELD.match(body)
    if match:
        name = _field(match[1], fields)
        term = _comparison(name, match[2], body[match.end() :], fields[name])
    else:
        word = body.replace('"', "")
        if not body:
            raise BadQuery(f"no word after {token}")
        term = Term("", ":", word.casefold())
    return term._replace(operator=_OPPOSITES[term.operator]) if negated else term


def _field(word: str, fields: Mapping[str, FieldType]) -> str:
    """The column that is meant: by its name, or by the beginning of its name alone."""
    wanted = word.casefold().replace("_", "")
    short = {name.replace("_", ""): name for name in fields}
    if wanted in short:
        return short[wanted]
    found = [name for key, name in short.items() if key.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise BadQuery(f"{_quote(word)} may be {_list(found)}")
    raise _unknown("column", word, fields)


def _comparison(name: str, sign: str, raw: str, type_: FieldType) -> Term:
    """A term of one column. Numbers take `:` for `=`."""
    text = raw.replace('"', "")
    what, own, example = _EXAMPLES["choice" if isinstance(type_, Choice) else type_]
    if not raw:
        raise BadQuery(f"{name}{sign} wants {what}, as in {name}{own}{example}")
    if isinstance(type_, Choice):
        if sign not in (":", "=", "!="):
            raise BadQuery(f"{name} is a name: {name}:{next(iter(type_.words), example)}")
        names = frozenset(_chosen(name, word, type_) for word in text.split(","))
        return Term(name, "!in" if sign == "!=" else "in", names)
    if type_ == "text":
        if sign == ":":
            return Term(name, ":", text.casefold())
        if sign in ("=", "!="):
            return Term(name, sign, text)
        raise BadQuery(f"{name} is a text: {name}:word for a part of it, {name}=word for all")
    value = _number(text, type_)
    if value is None:
        raise BadQuery(f"{_quote(text)} is not {what}, as in {name}{own}{example}")
    return Term(name, "=" if sign == ":" else sign, value)


def _chosen(field: str, word: str, choice: Choice) -> str:
    # Letters differ by case, names do not.
    found = choice.words.get(word) or choice.words.get(word.casefold())
    if found is None:
        raise _unknown(field, word, dict.fromkeys(choice.words.values()))
    return found


def _number(text: str, type_: Measure) -> int | float | None:
    if type_ == "address":
        match = _HEX.fullmatch(text)
        return int(match[1], 16) if match else None
    if type_ == "percent":
        match = _SHARE.fullmatch(text.removesuffix("%"))
        return float(match[0]) if match else None
    sign = 1
    if type_ == "change" and text[:1] in ("+", "-"):
        sign, text = (-1 if text[0] == "-" else 1), text[1:]
    if text[:2] in ("0x", "0X"):
        match = _HEX.fullmatch(text)
        return sign * int(match[1], 16) if match else None
    if type_ == "count":
        match = _WHOLE.fullmatch(text)
        return int(match[0]) if match else None
    match = _SIZE.fullmatch(text)
    if not match:
        return None
    unit = 1 << 10 * " KMGTPE".index((match[2] or " ").upper())
    if "." in match[1]:
        return sign * round(float(match[1]) * unit)
    return sign * int(match[1]) * unit


def _unknown(what: str, word: str, names: Iterable[str]) -> BadQuery:
    """What is possible instead: the likely ones, else the first."""
    # Only where it is wanted: it takes a millisecond to import.
    from difflib import get_close_matches

    known = list(names)
    close = get_close_matches(word.casefold(), known, 3)
    hint = f"did you mean {' or '.join(close)}?" if close else _list(known)
    return BadQuery(f"no {what} {_quote(word)}: {hint}")


def _list(names: list[str]) -> str:
    return ", ".join(names[:_NAMES_LISTED]) + (", …" if len(names) > _NAMES_LISTED else "")


def _quote(text: str) -> str:
    """What was typed, in quotes unless it has its own, and short."""
    shown = units.printable(text[: _QUOTED_AT_MOST + 1])
    if len(text) > _QUOTED_AT_MOST:
        shown = shown[:_QUOTED_AT_MOST] + "…"
    return shown if '"' in shown else f'"{shown}"'
