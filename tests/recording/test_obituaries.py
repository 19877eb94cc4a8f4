"""Obituaries in a recording are those that were written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.deaths import Death, OomKill, Poisoned
from memtui.kernel.segfaults import Segfault
from memtui.model.keys import ProcessKey
from memtui.model.oom.obituary import Obituary
from memtui.recording.obituaries import read, written

NUMBER = st.none() | st.integers(0, (1 << 64) - 1)
NAME = st.text(max_size=15) | st.just("a\udcffb")
OOM_KILL = st.builds(OomKill, invoked_by=st.none() | NAME, name=NAME, anon_rss_bytes=NUMBER)
SEGFAULT = st.builds(Segfault, name=NAME, address=NUMBER)
POISONED = st.builds(Poisoned, name=NAME, address=NUMBER)
OBITUARY = st.builds(
    Obituary,
    name=NAME,
    rss_bytes=NUMBER,
    key=st.none() | st.builds(ProcessKey, st.integers(1, 1 << 22), st.integers(0, 1 << 40)),
    map=st.none(),
    others=st.lists(NAME, max_size=3).map(tuple),
    death=st.none() | OOM_KILL | SEGFAULT | POISONED,
    time_s=st.floats(0, 1e9),
)


@given(OBITUARY)
def test_what_was_written_is_read(obituary: Obituary) -> None:
    text = written(obituary)
    assert text.isascii()
    found = read(text)
    assert found == obituary
    assert found is not None and type(found.death) is type(obituary.death)


def test_what_a_newer_one_adds_is_left_out() -> None:
    death: Death = Poisoned(1, 2, "x", True, None, None)
    known = Obituary(1.0, 2, "x", None, None, 3, 4, 5, "memory failure", "kernel log", "x died")
    values = json.loads(written(known._replace(death=death)))
    values["added"] = values["death"]["added"] = [1]
    assert read(json.dumps(values)) == known._replace(death=death)


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "{}", '{"death": 3}', '{"key": [1]}', "null"])
def test_what_is_none_is_none(text: str) -> None:
    assert read(text) is None
