"""Functions' names as their programmers wrote them, of what C++ and Rust make of them.

Document: the Itanium C++ ABI, 5.1: `_ZN4node5AbortEv` is node::Abort. Only the qualified name is told,
without the types of arguments: what is not understood stays as it is.
"""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"L?(\d{1,4})")
_ENDS: Final = re.compile(r"([CD])[0-5]")  # constructors and destructors
# What gcc and clang add to the name of a function of which they made another.
_CLONE: Final = re.compile(r"(?:\.(?:isra|part|constprop|cold|lto_priv|llvm)(?:\.\d+)*)+\Z")
_SEEN: Final = re.compile(r"S(?:[tabsiod]|[0-9A-Z]*_)|T[0-9]*_")  # a name that was there before
_OPENS: Final = "INFXJ"  # what an E closes
_ARGUMENTS: Final = "<…>"  # of a template
_RUST_HASH: Final = re.compile(r"h[0-9a-f]{16}")
_RUST: Final = (("$LT$", "<"), ("$GT$", ">"), ("$u20$", " "), ("$RF$", "&"), ("..", "::"))
_UNNAMED: Final = "_GLOBAL__N_"


def readable(symbol: str) -> str:
    """`node::Abort` of `_ZN4node5AbortEv`, `dive` of `dive.isra.0`; any other name as it is."""
    symbol = _CLONE.sub("", symbol)
    if not symbol.startswith("_Z"):
        return symbol
    is_nested = symbol.startswith("_ZN")
    rest = symbol[3:].lstrip("rVKRO") if is_nested else symbol[2:]
    parts: list[str] = []
    if rest.startswith("St"):
        parts, rest = ["std"], rest[2:]
    while (match := _NAME.match(rest)) is not None:
        length = int(match[1])
        part, rest = rest[match.end() :][:length], rest[match.end() + length :]
        if len(part) < length or not length:
            return symbol
        parts.append("(anonymous namespace)" if part.startswith(_UNNAMED) else part)
        if rest.startswith("I"):
            parts[-1] += _ARGUMENTS
            rest = _after_arguments(rest)
        if not is_nested:
            break
    if not parts or parts == ["std"]:
        return symbol
    if (end := _ENDS.match(rest)) is not None:
        own = parts[-1].removesuffix(_ARGUMENTS)
        parts.append(f"~{own}" if end[1] == "D" else own)
    if len(parts) > 1 and _RUST_HASH.fullmatch(parts[-1]):
        del parts[-1]
        return _rust("::".join(parts))
    return "::".join(parts)


def _after_arguments(rest: str) -> str:
    """What follows a template's arguments; "" where they are not understood."""
    at = depth = 0
    while at < len(rest):
        if (name := _NAME.match(rest, at)) is not None and rest[at] != "L":
            at = name.end() + int(name[1])
        elif (seen := _SEEN.match(rest, at)) is not None:
            at = seen.end()
        elif rest[at] == "L":  # a value
            at = rest.find("E", at) + 1 or len(rest)
        else:
            depth += (rest[at] in _OPENS) - (rest[at] == "E")
            at += 1
            if not depth:
                return rest[at:]
    return ""


def _rust(name: str) -> str:
    for written, meant in _RUST:
        name = name.replace(written, meant)
    return name.replace("_<", "<")
