from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.units import (
    address,
    change,
    count,
    duration,
    elapsed,
    fit,
    percent,
    permille_bar,
    printable,
    size,
    width,
)

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
DECOMPOSED = unicodedata.normalize("NFD", "한글")
TEXT = st.text(
    st.one_of(st.characters(), st.sampled_from("한글ㄱé\u0301\u200d\u202e👩️\x1b\n\udcff"))
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"),
        (0, "0"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "0.98 KiB"),
        (KIB, "1.0 KiB"),
        (100 * KIB - 1, "100 KiB"),  # not 100.0: four characters at most
        (999 * KIB, "999 KiB"),
        (MIB - 1, "1.0 MiB"),
        (MIB, "1.0 MiB"),
        (18.2 * GIB, "18.2 GiB"),
        (1 << 63, "8.0 EiB"),
        (2**64 * KIB, "16384 EiB"),
        (-12 * MIB, "-12.0 MiB"),
        (0.4, "0 B"),
    ],
)
def test_size(value: float | None, text: str) -> None:
    assert size(value) == text


@given(st.one_of(st.integers(1, 2**63), st.floats(1, 2**63)))
def test_a_size_is_short_and_says_what_it_was(value: float) -> None:
    text = size(value)
    digits, unit = text.split()
    assert len(digits) <= 4
    assert float(digits) * 1024 ** ["B", *UNITS].index(unit) == (
        pytest.approx(value, rel=0.05, abs=0.5)
    )
    assert size(value, short=True) == digits + unit[0]
    assert size(-value) == "-" + text


@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_a_larger_size_never_looks_smaller(a: int, b: int) -> None:
    def looks(value: int) -> float:
        digits, _, unit = size(value).partition(" ")
        return float(digits) * float(1024 ** ["B", *UNITS].index(unit or "B"))

    small, large = sorted((a, b))
    assert looks(small) <= looks(large) or looks(small) == pytest.approx(looks(large), rel=0.01)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "n/a"), (0, "–"), (12 * MIB, "+12.0M"), (int(-3.1 * GIB), "-3.1G"), (1, "+1B")],
)
def test_change(value: int | None, text: str) -> None:
    assert change(value) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(None, 0, "n/a"), (0, 0, "0 %"), (29.4, 0, "29 %"), (0.06, 1, "0.1 %"), (123.0, 0, "123 %")],
)
def test_percent(value: float | None, digits: int, text: str) -> None:
    assert percent(value, digits) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "n/a"), (0, "0"), (999, "999"), (60_000, "60 000"), (-1234, "-1 234")],
)
def test_count(value: int | None, text: str) -> None:
    assert count(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "n/a"),
        (0, "0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (725, "12 min 5 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (86_399, "23 h 59 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "n/a"),
        (0, "0 ms"),
        (0.00123, "1.2 ms"),
        (0.34, "340 ms"),
        (0.9996, "1 s"),
        (1.04, "1 s"),
        (725, "12 min 5 s"),
    ],
)
def test_elapsed(seconds: float | None, text: str) -> None:
    assert elapsed(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "000000000000"),
        (0x7FFFFFFFF000, "7ffffffff000"),
        (0xFFFFFFFFFF600000, "ffffffffff600000"),
    ],
)
def test_address(value: int, text: str) -> None:
    assert address(value) == text


@pytest.mark.parametrize(
    ("share", "bar"),
    [(None, "    "), (0.0, "░░░░"), (0.5, "██░░"), (1.0, "████"), (1.7, "████"), (-1.0, "░░░░")],
)
def test_bar(share: float | None, bar: str) -> None:
    assert permille_bar(share, 4) == bar


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [bold] text", "plain [bold] text"),
        ("\x1b[31mred", "\\e[31mred"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x07\x7f\x9b", "\\x07\\x7f\\x9b"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2066x\u2069\u200b\ufeff", "\\u2066x\\u2069\\u200b\\ufeff"),
        ("\udcff\udc80", "\\xff\\x80"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("한글 é 日本", "한글 é 日本"),
        (DECOMPOSED, DECOMPOSED),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(TEXT)
def test_printable_text_holds_nothing_a_terminal_obeys(text: str) -> None:
    shown = printable(text)
    shown.encode()  # no lone surrogates
    categories = {unicodedata.category(char) for char in shown}
    assert categories.isdisjoint({"Cc", "Cs", "Zl", "Zp"})
    bidirectional = {unicodedata.bidirectional(char) for char in shown}
    assert bidirectional.isdisjoint({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("", 0),
        ("abc", 3),
        ("한글", 4),
        (DECOMPOSED, 4),
        ("e\u0301", 1),
        ("ａ", 2),
        ("日本", 4),
        ("█░", 2),
    ],
)
def test_width(text: str, cells: int) -> None:
    assert width(text) == cells


@pytest.mark.parametrize(
    ("text", "cells", "align", "fitted"),
    [
        ("abc", 5, "<", "abc  "),
        ("abc", 5, ">", "  abc"),
        ("abcdef", 4, "<", "abc…"),
        ("abcdef", 6, "<", "abcdef"),
        ("한글처리", 4, "<", "한… "),
        ("한글처리", 5, "<", "한글…"),
        ("한글처리", 4, ">", " 한…"),
        (DECOMPOSED + "x", 4, "<", unicodedata.normalize("NFD", "한") + "… "),
        ("한", 1, "<", "…"),
        ("abc", 0, "<", ""),
        ("abc", -3, "<", ""),
    ],
)
def test_fit(text: str, cells: int, align: str, fitted: str) -> None:
    assert fit(text, cells, align) == fitted


@given(TEXT, st.integers(0, 40), st.sampled_from("<>"))
def test_fitted_text_is_exactly_as_wide(text: str, cells: int, align: str) -> None:
    assert width(fit(printable(text), cells, align)) == cells
