from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Gap, Malformed
from memtui.kernel.pressure import Pressure, Stall, parse_pressure
from tests.conftest import open_host

SOME = b"some avg10=0.12 avg60=3.00 avg300=100.00 total=4294967297\n"
FULL = b"full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
SOME_STALL = Stall(0.12, 3.0, 100.0, 4294967297)
ZERO_STALL = Stall(0.0, 0.0, 0.0, 0)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (SOME + FULL, Pressure(SOME_STALL, ZERO_STALL)),
        (SOME, Pressure(SOME_STALL, None)),  # cpu before 5.13
        (FULL, Pressure(None, ZERO_STALL)),  # irq
    ],
)
def test_lines(data: bytes, expected: Pressure) -> None:
    assert parse_pressure(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"some\n",
        b"some avg10=0.00 avg60=0.00 total=1\n",
        b"some avg10=nan avg60=0.00 avg300=0.00 total=1\n",
        b"some avg10=inf avg60=0.00 avg300=0.00 total=1\n",
        b"some avg10=-1.00 avg60=0.00 avg300=0.00 total=1\n",
        b"some avg10=101.00 avg60=0.00 avg300=0.00 total=1\n",
        b"some avg10=0.00 avg60=0.00 avg300=0.00 total=-1\n",
        b"some avg10=0.00 avg60=0.00 avg300=0.00 total=1.5\n",
        b"some avg10=0.00 avg60=0.00 avg300=0.00 total\n",
        b"most avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
        SOME + b"\n" + FULL,
        SOME + b"trailing\n",
    ],
)
def test_a_malformed_line_is_an_error_not_a_zero(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_pressure(data)


@pytest.mark.parametrize(
    ("host", "name", "reason"),
    [
        ("hostile", "memory", "malformed"),
        ("hostile", "io", "malformed"),
        ("no-psi", "memory", "absent"),
        ("container", "memory", "absent"),
    ],
)
def test_gaps(host: str, name: str, reason: str) -> None:
    gap = open_host(host).parsed(f"proc/pressure/{name}", parse_pressure)
    assert isinstance(gap, Gap)
    assert gap.reason == reason


@pytest.mark.parametrize("host", ["debian-6.18", "arm64-64k", "hostile"])
def test_irq_has_only_full(host: str) -> None:
    pressure = open_host(host).parsed("proc/pressure/irq", parse_pressure)
    if host == "debian-6.18":  # built without interrupt time accounting
        assert isinstance(pressure, Gap) and pressure.reason == "absent"
    else:
        assert isinstance(pressure, Pressure)
        assert pressure.some is None and pressure.full is not None


def test_full_never_exceeds_some() -> None:
    for name in ("debian-6.18", "debian-6.18-later", "arm64-64k"):
        for resource in ("memory", "io"):
            pressure = open_host(name).parsed(f"proc/pressure/{resource}", parse_pressure)
            assert isinstance(pressure, Pressure) and pressure.some and pressure.full
            assert 0 < pressure.full.total_us <= pressure.some.total_us


@given(st.binary(), st.sampled_from([b"", b"some ", b"some avg10=", SOME]))
def test_any_bytes_give_a_value_or_malformed(data: bytes, prefix: bytes) -> None:
    try:
        pressure = parse_pressure(prefix + data)
    except Malformed:
        return
    assert pressure.some or pressure.full


@given(
    st.lists(st.floats(0, 100).map(lambda value: round(value, 2)), min_size=3, max_size=3),
    st.integers(0, 2**64 - 1),
)
def test_what_a_kernel_writes_comes_back(averages: list[float], total: int) -> None:
    a, b, c = averages
    data = f"some avg10={a:.2f} avg60={b:.2f} avg300={c:.2f} total={total}\n"
    assert parse_pressure(data.encode()).some == Stall(a, b, c, total)
