"""What is noted of what was read: that, and nothing that is there no more."""

from __future__ import annotations

from memtui.kernel.files import Gap
from memtui.recording.noted import NotedFiles
from tests.recorded import Recorded

GROUP = "sys/fs/cgroup/web"


def test_what_was_read_and_what_could_not_be() -> None:
    theirs = Recorded({"proc/meminfo": b"1", "proc/denied": Gap("proc/denied", "denied")})
    files = NotedFiles(theirs)
    for name in ("proc/meminfo", "proc/denied", "proc/none"):
        assert files.read(name) == theirs.read(name)
    assert files.changes() == {
        "proc/meminfo": b"1",
        "gap:proc/denied": b"denied\0",
        "gap:proc/none": b"absent\0",
    }
    files.read("proc/meminfo")
    assert files.changes() == {}
    theirs.files["proc/none"] = b"2"
    files.read("proc/none")
    assert files.changes() == {"gap:proc/none": None, "proc/none": b"2"}


def test_a_process_that_ended_leaves_nothing() -> None:
    theirs = Recorded()
    theirs.start(7)
    files = NotedFiles(theirs)
    kept = files.keep("proc/7/statm")
    assert not isinstance(kept, Gap)
    kept.read_record()
    for name in ("stat", "none", "smaps"):
        for _ in files.pieces(f"proc/7/{name}"):
            pass
    assert len(files.contents) == 4
    theirs.end(7)
    files.pids()
    assert files.contents == {}
    assert set(files.changes().values()) == {None}


def test_parts_of_files_are_not_taken_for_them() -> None:
    files = NotedFiles(Recorded({"a/b": b"0123456789"}))
    files.read_at("a/b", 0, 4)
    files.read_at("a/b", 4, 100)
    assert files.contents == {}
    files.read_at("a/b", 0, 100)
    assert files.contents == {"a/b": b"0123456789"}


def test_control_groups_that_went_leave_nothing() -> None:
    theirs = Recorded({f"{GROUP}/{pod}/memory.current": b"1" for pod in ("a", "ab", "c")})
    files = NotedFiles(theirs)
    for pod in files.directories(GROUP):
        files.read(f"{GROUP}/{pod}/memory.current")
        files.read(f"{GROUP}/{pod}/memory.max")
        files.directories(f"{GROUP}/{pod}")
    del theirs.files[f"{GROUP}/a/memory.current"]
    files.directories(GROUP)
    known = {name.partition(":")[2] or name for name in files.contents}
    assert known == {GROUP} | {
        f"{GROUP}/{pod}{rest}"
        for pod in ("ab", "c")
        for rest in ("", "/memory.current", "/memory.max")
    }
