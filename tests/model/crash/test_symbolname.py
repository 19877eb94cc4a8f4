"""Names of functions as their programmers wrote them."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.model.crash.symbolname import readable

NAMES = {
    "main": "main",
    "_start": "_start",
    "dive.isra.0": "dive",
    "f.part.0.constprop.12.cold": "f",
    "a.b": "a.b",
    "_Z1fv": "f",
    "_ZL4diveiPKc": "dive",
    "_ZN4node5AbortEv": "node::Abort",
    "_ZN4nodeL5AbortERKN2v820FunctionCallbackInfoINS0_5ValueEEE": "node::Abort",
    "_ZNK2v88internal7Isolate4heapEv": "v8::internal::Isolate::heap",
    "_ZN12_GLOBAL__N_13fooEi": "(anonymous namespace)::foo",
    "_ZN3FooC2Ei": "Foo::Foo",
    "_ZN3FooD1Ev": "Foo::~Foo",
    "_ZSt9terminatev": "std::terminate",
    "_ZNSt6thread4joinEv": "std::thread::join",
    "_Z5applyIiEvT_": "apply<…>",
    "_ZNSt6vectorIiSaIiEE14_M_range_checkEm": "std::vector<…>::_M_range_check",
    "_ZNSt6vectorIN4deep5ThingESaIS1_EEC2Ev": "std::vector<…>::vector",
    "_ZNSt5arrayIiLm4EE2atEm": "std::array<…>::at",
    "_ZN4core9panicking5panic17h0123456789abcdefE": "core::panicking::panic",
}
DAMAGED = ("_Z", "_ZN", "_Z9f", "_ZN9999fE", "_ZN0E", "_ZTV3Foo", "_ZSt", "_R1f")


@pytest.mark.parametrize(("symbol", "name"), NAMES.items())
def test_names_of_cpp_and_rust(symbol: str, name: str) -> None:
    assert readable(symbol) == name


@pytest.mark.parametrize("symbol", DAMAGED)
def test_what_is_not_understood_stays(symbol: str) -> None:
    assert readable(symbol) == symbol


def test_binutils_agrees() -> None:
    if not shutil.which("c++filt"):
        pytest.skip("binutils is not installed")
    symbols = [
        each for each in NAMES if "<…>" not in NAMES[each] and "17h" not in each and "." not in each
    ]
    result = subprocess.run(["c++filt", *symbols], capture_output=True, text=True, check=True)
    theirs = [line.replace("(anonymous namespace)", "") for line in result.stdout.splitlines()]
    ours = [NAMES[each].replace("(anonymous namespace)", "") for each in symbols]
    assert [line.partition("(")[0] for line in theirs] == ours


@given(st.from_regex(r"_ZN?[LStIE0-9a-zA-Z_]{0,40}", fullmatch=True))
def test_any_name_has_words(symbol: str) -> None:
    assert readable(symbol)
