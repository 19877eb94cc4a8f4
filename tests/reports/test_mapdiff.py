"""`memtui maps --diff`: on documents that `maps --json` saved, and on what others call documents."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from memtui import units
from memtui.kernel.files import Files
from memtui.kernel.livefiles import LiveFiles
from memtui.model.map.change import WHAT
from memtui.reports.mapdiff import maps_diff
from memtui.reports.mappings import maps
from memtui.reports.output import Failure
from tests.conftest import open_host
from tests.terminal import PROJECT

LIVE = LiveFiles()
SUMS = ["size_bytes", "rss_bytes", "pss_bytes", "swap_bytes"]
SIDE = ["start", "end", "pieces", *SUMS, "perms", "kind"]
NO_SUCH_PID = "4199999"
Save = Callable[[str, Any], str]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Saves text, bytes or a document under a name; its path."""

    def save(name: str, value: Any) -> str:
        path = tmp_path / name
        if not isinstance(value, str | bytes):
            value = json.dumps(value)
        path.write_bytes(value.encode() if isinstance(value, str) else value)
        return str(path)

    return save


def captured(pid: str = "688", host: str = "debian-6.18") -> Any:
    return json.loads("".join(maps(open_host(host), pid, "json")))


def compared(*words: Any, files: Files = LIVE) -> Any:
    """The JSON document of a comparison: `compared(pid, path …)`."""
    whole = "".join(maps_diff(partial(maps, files, form="json"), words[0], list(words[1:]), "json"))
    assert whole.isascii()
    return json.loads(whole)


def shown(*words: Any, files: Files = LIVE) -> str:
    """Its text: nothing in it that a terminal would obey."""
    whole = "".join(maps_diff(partial(maps, files, form="json"), words[0], list(words[1:]), "text"))
    assert whole.replace("\n", "").replace(" ", "").isprintable()
    return whole


def fails(*words: Any, files: Files = LIVE) -> Failure:
    with pytest.raises(Failure) as failure:
        "".join(maps_diff(partial(maps, files, form="json"), words[0], list(words[1:]), "json"))
    assert "\n" not in str(failure.value)
    return failure.value


def test_a_saved_process_that_holds_still_has_not_changed(stopped_pid: int, save: Save) -> None:
    pid = str(stopped_pid)
    path = save("a.json", "".join(maps(LIVE, pid, "json")))
    found = compared(pid, path)
    # Its files' PSS goes up and down with who else maps them.
    assert {change["what"] for change in found["changes"]} <= {"usage"}
    assert found["same_process"]
    assert (found["before"]["file"], found["after"]["file"]) == (path, None)
    nothing = shown(None, path, path)
    assert nothing.startswith(f"{pid} ")
    assert "nothing changed" in nothing
    assert compared(None, path, path)["changes"] == []
    assert compared(None, path, path)["total"] == {"changes": 0, "size_bytes": 0} | dict.fromkeys(
        SUMS[1:]
    )


def test_a_document_has_the_keys_that_programs_rely_on(save: Save) -> None:
    document = captured()
    before = save("a.json", document)
    grown, gone = document["mappings"][4], document["mappings"].pop(9)
    grown["end"] = hex(int(grown["end"], 16) + 4096)
    grown["size_bytes"] += 4096
    if int(grown["end"], 16) > int(document["mappings"][5]["start"], 16):
        document["mappings"].pop(5)
    found = compared(None, before, save("b.json", document))
    assert list(found) == ["before", "after", "same_process", "changes", "by_what", "total"]
    for side, number in (("before", 0), ("after", len(document["mappings"]))):
        assert list(found[side]) == ["file", "pid", "name", "mappings", *SUMS, "gaps"]
        assert found[side]["pid"] == 688 and (not number or found[side]["mappings"] == number)
    assert {"gone", "grown"} <= set(found["by_what"]) <= set(WHAT)
    for sums in (found["total"], *found["by_what"].values()):
        assert list(sums) == ["changes", *SUMS]
    for change in found["changes"]:
        assert list(change) == ["what", "reprotected_bytes", "path", "before", "after"]
        assert change["before"] is None or list(change["before"]) == SIDE
        assert change["after"] is None or list(change["after"]) == SIDE
    lost = [change["before"] for change in found["changes"] if change["what"] == "gone"]
    assert {key: gone[key] for key in SIDE if key != "pieces"} in [
        {key: side[key] for key in SIDE if key != "pieces"} for side in lost
    ]


def test_the_sums_of_a_document_are_those_of_the_saved_ones(save: Save) -> None:
    documents = [captured(pid) for pid in ("688", "925")]
    paths = [save(f"{document['pid']}.json", document) for document in documents]
    found = compared(None, *paths)
    for side, document in zip(("before", "after"), documents, strict=True):
        assert found[side]["mappings"] == len(document["mappings"])
        for key in SUMS:
            assert found[side][key] == document["totals"][key]
    for key in SUMS:
        gains = [
            (change["after"] or {key: 0})[key] - (change["before"] or {key: 0})[key]
            for change in found["changes"]
            if None not in ((change["after"] or {key: 0})[key], (change["before"] or {key: 0})[key])
        ]
        assert found["total"][key] == (sum(gains) if gains else None)


def test_text_lists_each_change_and_the_sums(save: Save) -> None:
    document = captured("925")
    before = save("a.json", document)
    row = next(row for row in document["mappings"] if row["kind"] == "heap")
    row["rss_bytes"] += 5 << 20
    row["perms"] = "r-xp"
    text = shown(None, before, save("b.json", document))
    lines = text.splitlines()
    assert lines[0] == f"925 {document['name']}, {before} → {before[:-6]}b.json: 1 change"
    assert lines[2].split() == (
        "CHANGE START END BEFORE AFTER SIZE RSS PSS SWAP PERM PIECES KIND NAME".split()
    )
    start, end = (units.address(int(row[key], 16)) for key in ("start", "end"))
    size = units.size(row["size_bytes"])
    assert lines[3].split() == [
        *("re-protected", start, end, *size.split(), *size.split()),
        *("–", "+5.0M", "–", "–", "rw-p→r-xp", "heap", "[heap]"),
    ]
    (total,) = (line for line in lines if line.startswith("total"))
    assert total.split() == ["total", "1", "–", "+5.0M", "–", "–"]
    assert len(lines) == 12


def test_what_was_split_says_into_how_many_pieces(save: Save) -> None:
    document = captured("925")
    before = save("a.json", document)
    rows = document["mappings"]
    at = next(at for at, row in enumerate(rows) if row["kind"] == "heap")
    cut = int(rows[at]["end"], 16) - 4096
    top = {**rows[at], "start": hex(cut), "perms": "r--p", "rss_bytes": 0}
    rows[at]["end"] = hex(cut)
    rows.insert(at + 1, top)
    after = save("b.json", document)
    (line,) = (line for line in shown(None, before, after).splitlines() if "[heap]" in line)
    assert line.split()[-4:] == ["rw-p→r--p", "1→2", "heap", "[heap]"]
    (line,) = (line for line in shown(None, after, before).splitlines() if "[heap]" in line)
    assert line.split()[-4:] == ["r--p→rw-p", "2→1", "heap", "[heap]"]


def test_different_processes_are_said_to_be(save: Save) -> None:
    one, other = captured("688"), captured("925")
    paths = save("a.json", one), save("b.json", other)
    text = shown(None, *paths)
    first = text.splitlines()[0]
    assert first.startswith("Different processes: ")
    assert f"688 {one['name']}" in first and f"925 {other['name']}" in first
    assert compared(None, *paths)["same_process"] is False
    renamed = save("c.json", {**one, "name": "other"})
    assert shown(None, paths[0], renamed).startswith("Different processes: ")
    # Still compared: another address space altogether.
    assert len(compared(None, *paths)["changes"]) > 20


def test_a_pid_beside_two_files_must_be_theirs(save: Save) -> None:
    one, other = captured("688"), captured("925")
    a, b = save("a.json", one), save("b.json", other)
    assert compared("688", a, a)["changes"] == []
    assert compared(one["name"], a, a)["changes"] == []
    for words in (("925", a, b), ("688", a, b), ("925", a, a), ("nobody", a, a)):
        failure = fails(*words)
        assert failure.status == 1
        assert (
            words[0] in str(failure) and a in str(failure) and f"688 {one['name']}" in str(failure)
        )
    assert fails(None, a).status == 2


def test_unknown_usage_stays_unknown(save: Save) -> None:
    document = captured("925")
    before = save("a.json", document)
    for row in document["mappings"]:
        for key in row:
            if key.endswith("_bytes") and key not in ("size_bytes", "offset_bytes"):
                row[key] = None
    assert compared(None, before, save("b.json", document))["changes"] == []
    lost = document["mappings"].pop()
    for row in document["mappings"]:
        del row["rss_bytes"]
    path = save("c.json", document)
    found = compared(None, path, before)
    assert found["before"]["rss_bytes"] is None
    assert found["after"]["rss_bytes"] is not None
    assert [change["what"] for change in found["changes"]] == ["new"]
    assert found["changes"][0]["after"]["start"] == lost["start"]
    grown = document["mappings"][-1]
    grown["end"] = hex(int(grown["end"], 16) + 4096)
    text = shown(None, path, save("d.json", document))
    (line,) = (line for line in text.splitlines() if line.startswith("total"))
    assert line.split()[2:] == ["+4.0K", "n/a", "n/a", "n/a"]
    assert compared(None, path, save("d.json", document))["total"]["rss_bytes"] is None


def test_names_that_are_no_text_come_through(save: Save) -> None:
    document = captured("925")
    before = save("a.json", document)
    path = "/tmp/\udc80\x1b[31m\u202e{b}\n"
    document["name"] = "a\udcff\x1b"
    document["mappings"][0]["path"] = path
    document["mappings"][0]["end"] = hex(int(document["mappings"][0]["end"], 16) - 4096)
    document["gaps"] = ["proc/925/smaps: \x1bdenied"]
    after = save("b\x1b.json", document)
    found = compared(None, before, after)
    assert found["changes"][0]["path"] == path
    assert found["after"]["name"] == "a\udcff\x1b"
    assert found["after"]["gaps"] == document["gaps"]
    text = shown(None, before, after)
    assert "\\x80\\e[31m\\u202e{b}\\n" in text
    assert "not read: proc/925/smaps: \\edenied" in text


def edited(**values: Any) -> Any:
    """A document with a mapping that has other values; `...` takes one away."""
    document = captured("925")
    row = document["mappings"][3]
    row.update(values)
    for key, value in values.items():
        if value is ...:
            del row[key]
    return document


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "not JSON"),
        ("PID NAME\n1 a", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"\x80", "not JSON"),
        ('{"pid": 1', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("9" * 5000, "not JSON"),
        ("[]", "no object"),
        ("null", "no object"),
        ('{"start": 1}', "'start'"),
        ({"mem": {}, "swap": {}}, "'pid'"),
        ({"pid": "1", "name": "a", "mappings": [], "gaps": []}, "'pid'"),
        ({"pid": 1, "name": None, "mappings": [], "gaps": []}, "'name'"),
        ({"pid": 1, "name": "a", "mappings": {}, "gaps": []}, "'mappings'"),
        ({"pid": 1, "name": "a", "mappings": []}, "'gaps'"),
        ({"pid": 1, "name": "a", "mappings": [1], "gaps": []}, "'start'"),
        ({"pid": 1, "name": "a", "mappings": [{"end": "0x1"}], "gaps": []}, "'start'"),
        (edited(end=...), "'end'"),
        (edited(path=None), "'path'"),
        (edited(inode="7"), "'inode'"),
        (edited(inode=-1), "'inode'"),
        (edited(inode=True), "'inode'"),
        (edited(offset_bytes=1 << 64), "'offset_bytes'"),
        (edited(start="0x0", end="0x0"), "ends before it starts"),
        (edited(start="7f"), "address"),
        (edited(start="0xg"), "address"),
        (edited(end=hex(1 << 64)), "address"),
        (edited(start="0x0"), "order of addresses"),
        (edited(perms="everything"), "'perms'"),
        (edited(kind="\x1bnew"), "'kind'"),
        (edited(rss_bytes=-1), "'rss_bytes'"),
        (edited(pss_bytes="1"), "'pss_bytes'"),
        (edited(swap_bytes=1.5), "'swap_bytes'"),
        (edited(rss_bytes=1 << 63), "'rss_bytes'"),
    ],
)
def test_what_is_no_maps_document_is_named(value: Any, problem: str, save: Save) -> None:
    good = save("good.json", captured("925"))
    bad = save("bad.json", value)
    for words in ((None, bad, good), (None, good, bad), ("925", bad)):
        failure = fails(*words, files=open_host("debian-6.18"))
        assert failure.status == 1
        assert str(failure).startswith(f"{bad}: not ")
        assert problem in str(failure)
        assert str(failure).endswith("save one with memtui maps PID --json")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, save: Save) -> None:
    good = save("good.json", captured("925"))
    for path, problem in (
        (str(tmp_path / "none.json"), "No such file"),
        (str(tmp_path), "Is a directory"),
        ("a\0b", "null"),
    ):
        failure = fails(None, good, path)
        assert failure.status == 1
        assert problem in str(failure)
        assert path.replace("\0", "\\x00") in str(failure)


def test_a_file_larger_than_any_document_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memtui.reports.mapdiff._BYTES_AT_MOST", 1 << 20)
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert "larger than 1.0 MiB" in str(fails(None, str(path), str(path)))


def test_the_process_of_one_file_is_found_like_any_other(save: Save) -> None:
    path = save("a.json", captured("925"))
    files = open_host("debian-6.18")
    assert compared("925", path, files=files)["changes"] == []
    assert compared("688", path, files=files)["same_process"] is False
    assert fails(NO_SUCH_PID, path, files=files).status == 4
    assert fails("no-program-has-this-name", path, files=files).status == 4


def test_what_has_no_memory_any_more_has_lost_all_of_it(save: Save) -> None:
    path = save("a.json", captured("925"))
    found = compared("kthreadd", path, files=open_host("debian-6.18"))
    assert list(found["by_what"]) == ["gone"]
    assert found["total"]["size_bytes"] == -found["before"]["size_bytes"]
    assert found["total"]["rss_bytes"] == -found["before"]["rss_bytes"]
    assert "kernel thread" in shown("kthreadd", path, files=open_host("debian-6.18"))


# As the shell runs it ------------------------------------------------------------------------------

_GROWING = """
import mmap, sys
held = []
for line in sys.stdin:
    area = mmap.mmap(-1, 48 << 20)
    area.write(b"x" * (24 << 20))
    held.append(area)
    print("grown", flush=True)
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "memtui", *words],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def growing() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", _GROWING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        grow(child)
        yield child


def grow(child: subprocess.Popen[str]) -> None:
    assert child.stdin and child.stdout
    child.stdin.write("more\n")
    child.stdin.flush()
    assert child.stdout.readline() == "grown\n"


def test_a_growing_process_against_what_was_saved_of_it(
    growing: subprocess.Popen[str], tmp_path: Path
) -> None:
    pid = str(growing.pid)
    paths = [str(tmp_path / name) for name in ("a.json", "b.json")]
    Path(paths[0]).write_text(run("maps", pid, "--json").stdout)
    grow(growing)
    live = run("maps", pid, "--diff", paths[0], "--json")
    assert (live.returncode, live.stderr) == (0, "")
    (new,) = (it for it in json.loads(live.stdout)["changes"] if it["path"].startswith("/dev/zero"))
    assert (new["what"], new["before"]) == ("new", None)
    assert (new["after"]["size_bytes"], new["after"]["rss_bytes"]) == (48 << 20, 24 << 20)
    text = run("maps", "--json", pid, "--diff", paths[0], "--interval", "1")
    assert text.stdout[0] == "{"  # --json counts before, too
    shown_ = run("maps", pid, "--diff", paths[0])
    assert (shown_.returncode, shown_.stderr) == (0, "")
    (line,) = (line for line in shown_.stdout.splitlines() if "/dev/zero" in line)
    assert "+48.0M  +24.0M  +24.0M" in line
    Path(paths[1]).write_text(run("maps", pid, "--json").stdout)
    growing.kill()
    growing.wait()
    # Nothing live is read any more.
    saved = json.loads(run("maps", "--json", "--diff", *paths).stdout)
    assert new in saved["changes"]
    assert [saved[side]["file"] for side in ("before", "after")] == paths
    ended = run("maps", pid, "--diff", paths[0])
    assert (ended.returncode, ended.stdout) == (4, "")
