"""Formulas as data: the number, and the same written out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui import units
from memtui.model.formula import Formula, Quantity

KNOWN = {
    "A": Quantity(3 << 30, "bytes"),
    "B": Quantity(1 << 30, "bytes"),
    "Active(file)": Quantity(1 << 29, "bytes"),
    "n": Quantity(50, "count"),
    "nothing": Quantity(0, "bytes"),
    "a/b": Quantity(7, "count"),
    "min": Quantity(5, "count"),
}


def get(name: str) -> Quantity:
    return KNOWN.get(name, Quantity(None, "bytes"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A", 3 << 30),
        ("A − B", 2 << 30),
        ("A − B − B", 1 << 30),
        ("A − (B − Active(file))", (5 << 30) / 2),
        ("A − B × 2 + B", 2 << 30),
        ("A × n / 100", (3 << 30) / 2),
        ("min(A, B) + max(nothing, B)", 2 << 30),
        ("max(0, B − A)", 0),
        ("A + unknown", None),
        ("A + unknown?", 3 << 30),
        ("A / nothing", None),
        ("B − A", None),  # no size is negative
    ],
)
def test_values(text: str, value: float | None) -> None:
    assert Formula(text).value(get) == value


def test_names_may_hold_a_slash_and_be_called_as_a_function() -> None:
    assert Formula("a/b", "count").value(get) == 7
    assert Formula("a/b + min + min(a/b, min)", "count").value(get) == 17
    assert Formula("A − Active(file)?").names == ["A", "Active(file)"]


@pytest.mark.parametrize(
    ("formula", "worked"),
    [
        (Formula("A"), "A = 3.0 GiB"),
        (Formula("A − B"), "A − B = 3.000 GiB − 1.000 GiB = 2.000 GiB"),
        (Formula("A + unknown?"), "A + unknown = 3.000 GiB + n/a = 3.000 GiB"),
        (Formula("A − unknown"), "A − unknown = 3.000 GiB − n/a = n/a"),
        (Formula("100 × B / A", "pct"), "100 × B / A = 100 × 1.000 GiB / 3.000 GiB = 33 %"),
        (Formula("n × a/b", "count"), "n × a/b = 50 × 7 = 350"),
    ],
)
def test_worked(formula: Formula, worked: str) -> None:
    assert formula.worked(get) == worked


@pytest.mark.parametrize("text", ["A −", "A B", "A ! B", "(A", "min(A)", ""])
def test_no_formula(text: str) -> None:
    with pytest.raises(ValueError, match="no formula"):
        Formula(text).value(get)


@given(st.lists(st.integers(0, 1 << 50), min_size=1))
def test_sizes_in_a_sum_are_each_as_large_as_they_say(values: list[int]) -> None:
    scale = {"B": 0, "KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4, "PiB": 5}
    for value, text in zip(values, units.sizes(values), strict=True):
        number, _, unit = text.partition(" ")
        read = float(number) * 1024 ** scale[unit or "B"]
        assert read == pytest.approx(value, rel=0.06)
        assert (value == 0) == (float(number) == 0)
