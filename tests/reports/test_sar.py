"""`memtui sar`: against sysstat's sar, live and of captured states, and what the shell sees of it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import mmap
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memtui.commands import COMMANDS
from memtui.kernel.files import Files
from memtui.kernel.livefiles import LiveFiles
from memtui.model.system.sar import COLUMNS, SECTIONS, columns_of
from memtui.reports.output import Failure
from memtui.reports.sar import sar
from tests.conftest import HOSTS, HOSTS_DIR, open_host
from tests.test_cli import DEBIAN, PROJECT, fails, prints

LIVE = LiveFiles()
FLAGS = [section.flag for section in SECTIONS]
LATER = str(HOSTS_DIR / "debian-6.18-later")
SOURCES = ("meminfo", "vmstat", "pressure/memory", "uptime")

# What sysstat before 12.7.8 means something else by.
CHANGED = {"kbmemused", "%memused", "pgsteal/s", "%vmeff"}


def rows(*roots: Files, flags: list[str] = FLAGS, words: tuple[str, ...] = ()) -> list[Any]:
    """The JSON lines."""
    text = "".join(sar(roots, flags, words, "json"))
    assert text.isascii()
    return [json.loads(line) for line in text.splitlines()]


def lines(*roots: Files, flags: list[str], words: tuple[str, ...] = ()) -> list[str]:
    text = "".join(sar(roots, flags, words, "text"))
    assert text.replace("\n", "").isprintable()
    return text.splitlines()


# Against sysstat -----------------------------------------------------------------------------


def sysstat(files: dict[str, list[Path]], *words: str) -> list[dict[str, float]]:
    """What sar makes of other files than this machine's: a dict a sample, and one of averages.

    `files` are mounted over those of /proc, in a namespace of sar's own; the second of each when
    it has told its first sample.
    """
    if os.geteuid() != 0 or not shutil.which("sar") or not shutil.which("unshare"):
        pytest.skip("needs root, unshare and sysstat's sar")
    first = [f"mount --bind {paths[0]} /proc/{name}" for name, paths in files.items()]
    second = [f"mount --bind {paths[1]} /proc/{name}" for name, paths in files.items() if paths[1:]]
    script = "set -e; " + "; ".join(first) + "; sar -r ALL -S -W -B -H -q MEM " + " ".join(words)
    if second:
        # Half of an interval is more than mounting takes, however late sar began.
        script += ' > "$told" & until grep -q pswpin "$told"; do sleep 0.05; done; '
        script += "; ".join(second) + '; wait $!; cat "$told"'
        script = "told=$(mktemp); trap 'rm \"$told\"' EXIT; " + script
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        env={**os.environ, "LC_ALL": "C", "S_TIME_FORMAT": "ISO"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    samples: list[dict[str, float]] = []
    for block in done.stdout.split("\n\n")[1:]:
        heads, values = (line.split()[1:] for line in block.strip().splitlines())
        if "runq-sz" in heads:
            continue
        if not samples or set(heads) <= set(samples[-1]):
            samples.append({})
        samples[-1] |= dict(zip(heads, map(float, values), strict=True))
    return samples


def agrees(ours: dict[str, Any], theirs: dict[str, float], but: set[str]) -> int:
    """Fails where a figure that both know differs; how many there were."""
    compared = 0
    for name in theirs.keys() & COLUMNS.keys() - but:
        if ours[name] is not None:
            # sar rounds to two places.
            assert ours[name] == pytest.approx(theirs[name], abs=0.0051), name
            compared += 1
    return compared


@pytest.mark.parametrize("host", [*HOSTS, "this machine"])
def test_since_boot_as_sar_has_it(host: str, tmp_path: Path) -> None:
    proc = HOSTS_DIR / host / "proc"
    if host == "this machine":  # held still
        proc = tmp_path / "proc"
        (proc / "pressure").mkdir(parents=True)
        for name in SOURCES:
            (proc / name).write_bytes(Path("/proc", name).read_bytes())
    files = {name: [proc / name] for name in SOURCES if (proc / name).exists()}
    (theirs,) = sysstat(files, "0")
    but = CHANGED.copy()
    if host == "container":
        but |= {"kbswpused", "%swpused", "%swpcad"}  # more free than there is: sar prints 2^64
    if not theirs["kbavail"]:
        but.add("kbavail")  # kernels before 3.14 have none: sar said 0
    (ours,) = rows(LiveFiles(str(proc.parent)))
    assert ours["interval_s"] == float((proc / "uptime").read_text().split()[0])
    assert agrees(ours, theirs, but) >= 15
    assert ours["kbmemused"] != 0


def test_between_two_states_as_sar_has_it() -> None:
    """And the average of them."""
    files = {name: [Path(DEBIAN, "proc", name), Path(LATER, "proc", name)] for name in SOURCES}
    still, theirs, average = sysstat(files, "2", "2")
    assert still["kbmemfree"] != theirs["kbmemfree"]
    roots = (LiveFiles(DEBIAN), LiveFiles(LATER))
    (ours,) = rows(*roots)
    assert ours["interval_s"] == 14.29
    assert agrees(ours, theirs, CHANGED) >= 36
    # The same three states: what stood still takes a hundredth of a second for sar, none for us.
    text = lines(roots[0], *roots, flags=["-S"])
    assert text[-1].split()[0] == "Average:"
    heads = [column.name for column in columns_of(["-S"])]
    ours = dict(zip(heads, map(float, text[-1].split()[1:]), strict=True))
    for name in heads:
        assert ours[name] == pytest.approx(average[name], abs=1), name


# Captured states -----------------------------------------------------------------------------


def test_a_row_for_each_pair_and_an_average_of_more_than_one() -> None:
    before, after = LiveFiles(DEBIAN), LiveFiles(LATER)
    (row,) = rows(before, after)
    assert list(row) == ["timestamp", "interval_s", *COLUMNS]
    boot = 1795479620
    assert row["timestamp"] == pytest.approx(boot + 2615.22)
    assert len(rows(before, after, after, before)) == 3
    text = lines(before, after, flags=["-B"])
    assert [line.split()[1:3] for line in text[2:]] == [
        ["pgpgin/s", "pgpgout/s"],
        [f"{row['pgpgin/s']:.2f}", f"{row['pgpgout/s']:.2f}"],
    ]
    text = lines(before, after, after, flags=["-W"])
    assert [line.split()[0] for line in text[-2:]][1] == "Average:"
    assert text[-2].split()[1:] == ["n/a", "n/a"]  # no time has passed
    assert text[-1].split()[1:] == text[-3].split()[1:]


def test_states_in_no_order_have_sizes_alone() -> None:
    (row,) = rows(LiveFiles(LATER), LiveFiles(DEBIAN))
    assert row["interval_s"] is None
    assert row["kbmemfree"] == 16172868
    assert {row[name] for name, column in COLUMNS.items() if column.is_growth} == {None}


def test_no_time_is_told_of_a_capture_without_its_boot() -> None:
    (row,) = rows(open_host("no-psi"))
    assert (row["timestamp"], row["interval_s"]) == (None, 8812345.67)
    assert lines(open_host("no-psi"), flags=["-r"])[-1].split()[0] == "n/a"


def test_what_cannot_be_read_is_said() -> None:
    text = lines(open_host("no-psi"), flags=["-q", "-W"])
    assert "not read: proc/pressure/memory: absent" in text
    assert text[-1].split()[1:] == ["n/a"] * 8
    assert "malformed" in lines(open_host("hostile"), flags=["-q"])[2]
    with pytest.raises(Failure, match="proc/vmstat: absent"):
        lines(open_host("container"), flags=["-B", "-W"])


def test_csv_has_the_lines_of_json() -> None:
    roots = (LiveFiles(DEBIAN), LiveFiles(LATER), LiveFiles(LATER))
    text = "".join(sar(roots, FLAGS, (), "csv"))
    found = list(csv.DictReader(io.StringIO(text)))
    assert found == [
        {name: "" if value is None else str(value) for name, value in row.items()}
        for row in rows(*roots)
    ]


def test_since_boot_is_said_where_it_matters() -> None:
    said = "Rates are means since boot, 43 min 20 s ago"
    assert said in lines(LiveFiles(DEBIAN), flags=["-S", "-B"])
    assert said not in lines(LiveFiles(DEBIAN), flags=[])
    assert said not in lines(LiveFiles(DEBIAN), LiveFiles(LATER), flags=["-B"])


def test_heads_are_said_once_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    roots = [LiveFiles(DEBIAN)] * 6

    def heads(*flags: str) -> int:
        return "\n".join(lines(*roots, flags=list(flags))).count("pswpin/s")

    assert heads("-W") == 1  # not a terminal
    assert heads("-W", "-S") == 5 + 1
    monkeypatch.setenv("LINES", "5")
    monkeypatch.setenv("COLUMNS", "80")
    assert heads("-W") == 3


# Live ----------------------------------------------------------------------------------------


def test_every_interval_has_a_line() -> None:
    found = rows(LIVE, words=("0.1", "3"))
    assert len(found) == 3
    times = [row["timestamp"] for row in found]
    assert times == sorted(times)
    for row in found:
        assert row["interval_s"] > 0
        assert row["kbmemfree"] > 0
        assert row["fault/s"] >= 0


def test_what_happens_between_two_lines_is_in_the_second() -> None:
    pieces = sar([LIVE], ["-B"], ("0.1", "2"), "json")
    next(pieces)
    pages = 4000
    with mmap.mmap(-1, pages * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        for at in range(0, len(memory), mmap.PAGESIZE):
            memory[at] = 1
        row = json.loads(next(pieces))
    assert row["fault/s"] * (row["interval_s"] + 0.001) >= pages


def test_a_machine_that_runs_may_be_below_another_root(tmp_path: Path) -> None:
    (tmp_path / "proc").symlink_to("/proc")
    assert len(rows(LiveFiles(str(tmp_path)), words=("0.1", "2"))) == 2


def test_states_that_give_no_rates_say_why(tmp_path: Path) -> None:
    shutil.copytree(DEBIAN, tmp_path / "odd")
    (tmp_path / "odd/proc/vmstat").write_bytes(b"\xb3\x00 noise")
    odd = LiveFiles(str(tmp_path / "odd"))
    said = lines(LiveFiles(DEBIAN), LiveFiles(LATER), odd, flags=["-B"])[1:3]
    assert said[0] == f"not read: {odd.root}: proc/vmstat: malformed ('\\xb3\\x00 noise')"
    assert said[1] == f"no rates: {odd.root} is not known to be later than the state before it"
    assert not any("no rates" in line for line in lines(odd, LiveFiles(DEBIAN), flags=["-r"]))


@contextlib.contextmanager
def endless(*words: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "memtui", "sar", "0.1", *words],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where tests are run in the background it may be ignored, and is inherited so.
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("flags", [["-B", "-q"], ["-H"]], ids=str)
def test_ctrl_c_ends_it_with_the_average(flags: list[str]) -> None:
    with endless(*flags) as process:
        assert process.stdout
        seen = [process.stdout.readline() for _ in range(12)]
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert seen[0].startswith("Linux ")
    names = [column.name for column in columns_of(flags)]
    averages = [line.split()[1:] for line in rest.splitlines() if line.startswith("Average:")]
    cells = [cell for line in averages for cell in line if cell not in names]
    assert len(cells) == len(names)
    assert "n/a" not in cells


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_ctrl_c_ends_json_and_csv_between_lines(form: str) -> None:
    with endless(form) as process:
        assert process.stdout
        text = "".join(process.stdout.readline() for _ in range(4))  # each as it is made
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    every = (text + rest).splitlines()
    assert len({len(json.loads(row)) if row[0] == "{" else row.count(",") for row in every}) == 1


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]], ids=str)
def test_a_closed_pipe_is_silence(form: list[str]) -> None:
    with endless(*form) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=30) == 0
        assert process.stderr.read() == ""


# The command line ----------------------------------------------------------------------------


def test_sections_are_options(capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = (command for command in COMMANDS if command.name == "sar")
    assert [option.flag for option in command.options[: len(FLAGS)]] == FLAGS
    for words in (["-WB"], ["-B", "-W"], ["-W", "--json", "-B"]):
        text = prints(capsys, "sar", *words, "--root", DEBIAN, "--json")
        names = [column.name for column in columns_of(["-B", "-W"])]
        assert list(json.loads(text)) == ["timestamp", "interval_s", *names]
    text = prints(capsys, "--root", DEBIAN, "sar", "--json")
    assert list(json.loads(text))[2:] == [column.name for column in columns_of(["-r"])]


def test_roots_are_successive_states_for_sar(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["--root", DEBIAN, "--root", LATER, "sar", "--csv", "-W"],
        ["sar", "-W", f"--root={DEBIAN}", "--csv", f"--root={LATER}"],
        ["--root", DEBIAN, "sar", "-W", "--csv", "--root", LATER],
    ):
        assert prints(capsys, *words).splitlines()[1].split(",")[1] == "14.29"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["soon"], "INTERVAL must be 0.1 to 3600 seconds, not 'soon'"),
        (["0"], "INTERVAL must be"),
        (["nan"], "INTERVAL must be"),
        (["1e9", "2"], "INTERVAL must be"),
        (["1", "0"], "COUNT must be a number from 1, not '0'"),
        (["1", "2.5"], "COUNT must be"),
        (["1", "9" * 5000], "COUNT must be"),
        (["1", "2", "3"], "'3' is one argument too many"),
        (["-x"], "'-x'"),
        (["-1"], "'-1'"),
        (["1", "1", "--root", DEBIAN], "stands still"),
        (["1", "--root", DEBIAN, "--root", LATER], "no INTERVAL"),
        (["--csv", "--json"], "not both"),
    ],
)
def test_wrong_usage_is_one_line(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert named in fails(capsys, 2, "sar", *words)


def test_other_failures_are_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert "/nowhere: no proc" in fails(capsys, 1, "sar", "--root", "/nowhere", "--root", DEBIAN)
    assert "-B goes with sar" in fails(capsys, 2, "free", "-B")
