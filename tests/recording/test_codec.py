"""Blocks: whatever the bytes, what comes out is what went in; and few bytes where little changed."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.recording.codec import Block, Changes, Damaged, OpenBlock, versions_of
from tests.conftest import HOSTS, HOSTS_DIR
from tests.recorded import recorded

# What is like a kernel's file, and what is not.
_LIKE = st.lists(
    st.one_of(
        st.sampled_from(
            [b"  ", b" ", b"\n", b"VmRSS:\t", b" kB\n", b"0", b"007", b"\0", b".", b"x"]
        ),
        st.integers(0, 10**25).map(lambda number: b"%d" % number),
        st.integers(0, 10**9).map(lambda number: b"%8d" % number),
    ),
    max_size=30,
).map(b"".join)
_BYTES = st.one_of(_LIKE, st.binary(max_size=60))
_NAMES = st.sampled_from(["proc/1/stat", "proc/2/stat", "proc/meminfo", "a b\n", "gap:x", "\udcff"])
_STATE = st.dictionaries(_NAMES, _BYTES)
_CHANGES = st.dictionaries(_NAMES, st.none() | _BYTES)


def after(state: dict[str, bytes], changes: Changes) -> dict[str, bytes]:
    both = {**state, **changes}
    return {name: data for name, data in both.items() if data is not None}


def block_of(base: dict[str, bytes], states: Sequence[dict[str, bytes]]) -> Block:
    block, before = Block(), base
    for state in states:
        changes: dict[str, bytes | None] = dict.fromkeys(before.keys() - state.keys())
        changes |= {name: data for name, data in state.items() if before.get(name) != data}
        block.add(versions_of(before, changes))
        before = state
    return block


@given(base=_STATE, ticks=st.lists(_CHANGES, min_size=1, max_size=8))
def test_any_bytes_come_back(base: dict[str, bytes], ticks: list[Changes]) -> None:
    states = []
    state = base
    for changes in ticks:
        state = after(state, changes)
        states.append(state)
    block = block_of(base, states)
    packed = (block.packed(base), block.packed(zlib_level=1))
    unpacked = OpenBlock.of(len(states), block.versions, base)
    for found in (unpacked, *(OpenBlock(data, base) for data in packed)):
        assert found.ticks == len(states)
        for tick, each in enumerate(states):
            assert found.contents(tick) == each
            assert found.names(tick) == each.keys()
            assert all(found.get(name, tick) == each.get(name) for name in base.keys() | each)


@given(versions=st.lists(_LIKE, min_size=2, max_size=6), base=_LIKE)
def test_the_versions_of_a_file_come_back(versions: list[bytes], base: bytes) -> None:
    states = [{"x": each} for each in versions]
    found = OpenBlock(block_of({"x": base}, states).packed({"x"}), {"x": base})
    assert [found.get("x", tick) for tick in range(len(versions))] == versions


def shaken(data: bytes, chance: random.Random) -> bytes:
    """The same file a moment later: some of its numbers are others."""
    words = data.split(b" ")
    for _ in range(len(words) // 10):
        at = chance.randrange(len(words))
        if words[at].isdigit() and len(words[at]) < 18:
            words[at] = b"%d" % max(0, int(words[at]) + chance.randrange(-500, 5000))
    return b" ".join(words)


@pytest.mark.parametrize("host", HOSTS)
def test_a_captured_machine_comes_back(host: str) -> None:
    chance = random.Random(host)
    files = recorded(str(HOSTS_DIR / host)).files
    base = {name: data for name, data in files.items() if isinstance(data, bytes)}
    states = [base]
    for _ in range(5):
        some = chance.sample(sorted(base), len(base) // 4)
        states.append({**states[-1], **{name: shaken(states[-1][name], chance) for name in some}})
    found = OpenBlock(block_of(base, states).packed(base), base)
    assert [found.contents(tick) for tick in range(len(states))] == states


def test_what_is_as_it_was_costs_nothing() -> None:
    base = {f"proc/{pid}/stat": b"%d (x) S 1 2 3" % pid for pid in range(1000)}
    assert len(block_of(base, [base] * 60).packed(base)) < 20


def test_a_number_that_grows_costs_a_byte_or_two() -> None:
    """Also where a digit comes to it, and its padding goes."""
    states = [{"x": b"MemFree: %12d kB\n" % (9_900_000 + 1_700 * tick)} for tick in range(60)]
    plain = OpenBlock(block_of(states[0], states).packed({"x"}), states[0])
    assert [plain.contents(tick) for tick in range(60)] == states
    assert len(block_of(states[0], states).packed({"x"})) < 60


@given(data=st.data(), states=st.lists(_STATE, min_size=1, max_size=4))
def test_damage_is_told(data: st.DataObject, states: list[dict[str, bytes]]) -> None:
    """Never anything else than Damaged, nor without end: the checksum is not asked here."""
    good = block_of({}, states).packed(zlib_level=data.draw(st.integers(0, 9)))
    at = data.draw(st.integers(0, len(good) - 1))
    bad = data.draw(
        st.sampled_from(
            [good[:at], good[:at] + bytes([good[at] ^ 0x11]) + good[at + 1 :], b"", b"q"]
        )
    )
    try:
        found = OpenBlock(bad, {})
        for tick in range(len(states)):
            found.contents(tick)
    except Damaged:
        pass
