"""sysstat's archive: captured text of sadf -j, made up ones, and the real sadf where it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Gap
from memtui.recording import sysstat
from memtui.recording.sysstat import parse_sadf, read_archive

# sysstat 12.6.1's, of sadf -j FILE -- -r ALL -B -S -W -q MEM.
CAPTURED = b"""{"sysstat": {
    "hosts": [
        {
            "nodename": "vm", "sysname": "Linux", "release": "6.18.44", "machine": "x86_64",
            "number-of-cpus": 2, "file-date": "2026-11-30", "file-utc-time": "08:04:35", "timezone": "UTC",
            "statistics": [
                {
                    "timestamp": {"date": "2026-11-30", "time": "08:10:01", "utc": 1, "interval": 600},
                    "swap-pages": {"pswpin": 0.50, "pswpout": 1.50},
                    "paging": {"pgpgin": 2.00, "pgpgout": 0.00, "fault": 32076.00, "majflt": 76.00,
                        "pgfree": 27612.00, "pgscank": 3.00, "pgscand": 0.00, "pgsteal": 0.00,
                        "vmeff-percent": 0.00},
                    "memory": {"memfree": 20430632, "avail": 23954884, "memused": 286748,
                        "memused-percent": 1.16, "buffers": 65240, "cached": 3631620,
                        "commit": 855564, "commit-percent": 3.47, "active": 1339820,
                        "inactive": 2527900, "dirty": 1168, "anonpg": 188512, "slab": 269844,
                        "kstack": 1632, "pgtbl": 2212, "vmused": 15124, "swpfree": 1000,
                        "swpused": 24, "swpused-percent": 0.00, "swpcad": 0,
                        "swpcad-percent": 0.00},
                    "psi": {
                        "psi-mem": {"some_avg10": 0.00, "some_avg60": 0.00, "some_avg300": 0.12,
                            "some_avg": 1.25, "full_avg10": 0.00, "full_avg60": 0.00,
                            "full_avg300": 0.04, "full_avg": 0.25}
                    }
                }
            ],
            "restarts": [
            ]
        }
    ]
}}
"""
AT_S = 1796026201.0  # 2026-11-30 08:10:01 UTC
MEM_TOTAL_KIB = 24684084  # of the machine it was captured on


def test_its_figures_are_ours() -> None:
    (entry,) = parse_sadf(CAPTURED, AT_S - 5000)
    assert (entry.time_s, entry.interval_s) == (5000, 600)
    figures = entry.figures
    assert figures["mem_free_bytes"] == 20430632 * 1024
    assert figures["mem_available_bytes"] == 23954884 * 1024
    assert figures["buff_cache_bytes"] == (65240 + 3631620) * 1024
    assert figures["mem_total_bytes"] == MEM_TOTAL_KIB * 1024
    assert (
        figures["mem_free_bytes"] + figures["buff_cache_bytes"] + figures["rest_bytes"]
        == figures["mem_total_bytes"]
    )
    assert figures["swap_used_bytes"] == 24 * 1024
    assert figures["swap_total_bytes"] == 1024 * 1024
    assert figures["minor_faults_per_s"] == 32000
    assert figures["major_faults_per_s"] == 76
    assert figures["paged_in_bytes_per_s"] == 2048
    assert figures["swap_out_pages_per_s"] == 1.5
    assert figures["stalled_some_pct"] == 1.25
    assert figures["anon_bytes"] == 188512 * 1024


def test_what_was_before_the_boot_is_no_past() -> None:
    assert parse_sadf(CAPTURED, AT_S + 5) == []


def test_older_ones_tell_less() -> None:
    document = json.loads(CAPTURED)
    (own,) = document["sysstat"]["hosts"][0]["statistics"]
    del own["psi"], own["paging"], own["memory"]["avail"], own["memory"]["slab"]
    (entry,) = parse_sadf(json.dumps(document).encode(), 0)
    assert "mem_available_bytes" not in entry.figures
    assert "mem_total_bytes" not in entry.figures
    assert entry.figures["mem_free_bytes"] == 20430632 * 1024


@pytest.mark.parametrize(
    "data",
    [b"", b"junk", b"[]", b"{}", b'{"sysstat": 1}', b'{"sysstat": {"hosts": [1]}}', b"[" * 9999],
)
def test_what_is_none_says_so(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_sadf(data, 0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.sampled_from(("timestamp", "memory", "paging", "swap-pages", "psi")), JSON)
def test_whatever_stands_in_it_is_borne(part: str, value: object) -> None:
    document = json.loads(CAPTURED)
    document["sysstat"]["hosts"][0]["statistics"][0][part] = value
    for entry in parse_sadf(json.dumps(document).encode(), 0):
        assert all(isinstance(each, float | int) for each in entry.figures.values())


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the archives are looked for; today's is the one that is returned."""
    monkeypatch.setattr(sysstat, "DIRECTORIES", (str(tmp_path / "no"), str(tmp_path)))
    return tmp_path / time.strftime("sa%d")


def test_without_an_archive_there_is_nothing(log: Path) -> None:
    assert not log.exists()
    assert read_archive(0.0, time.time()) == []


def test_the_real_sadf(log: Path) -> None:
    collector = next(
        (
            path
            for path in ("/usr/lib/sysstat/sadc", "/usr/lib64/sa/sadc", "/usr/lib/sa/sadc")
            if os.access(path, os.X_OK)
        ),
        None,
    )
    if collector is None or not shutil.which("sadf"):
        pytest.skip("sysstat is not installed")
    subprocess.run([collector, "-S", "XALL", "1", "2", str(log)], check=True)
    now_s = time.time()
    entries = read_archive(now_s - 5000, now_s)
    assert not isinstance(entries, Gap), entries
    assert entries
    assert all(4900 < entry.time_s <= 5001 for entry in entries)
    figures = entries[-1].figures
    total = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal")
    )
    assert figures["mem_total_bytes"] == pytest.approx(total, rel=0.001)
    assert 0 < figures["mem_available_bytes"] <= total


def test_a_wrong_archive_is_a_gap(log: Path) -> None:
    if not shutil.which("sadf"):
        pytest.skip("sysstat is not installed")
    log.write_bytes(b"junk" * 1000)
    found = read_archive(0.0, time.time())
    assert isinstance(found, Gap)
    assert found.reason == "failed"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "failed"),  # there is none
        ("exit 2", "failed"),
        ("echo junk", "malformed"),
        ("yes", "failed"),  # never ends
    ],
)
def test_a_sadf_that_fails(
    script: str | None, reason: str, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysstat, "_BYTES_AT_MOST", 1 << 16)
    log.write_bytes(b"x")
    own = log.parent / "bin"
    own.mkdir()
    monkeypatch.setenv("PATH", str(own) + (":/usr/bin:/bin" if script else ""))
    if script is not None:
        (own / "sadf").write_text(
            f"#!/bin/sh\nexec {script}\n" if script == "yes" else f"#!/bin/sh\n{script}\n"
        )
        (own / "sadf").chmod(0o755)
    found = read_archive(0.0, time.time())
    assert isinstance(found, Gap)
    assert found.reason == reason
    assert str(log) in (found.source, found.detail) or found.source == str(log)
