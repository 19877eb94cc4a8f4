"""What a mounted /proc hides, and whose pids are in it: by what it says, and with real mounts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.hidden import FOREIGN, Hidden, is_own_proc, read_hidden
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.mounts import Mount, ProcMount, parse_mountinfo, proc_mount
from memtui.ondemand.oom import Outlook, read_outlook
from tests.conftest import open_host
from tests.recorded import Recorded

PROC = (0, 40)


def mountinfo(options: str) -> bytes:
    return (
        b"22 27 0:21 / /proc rw,relatime - proc proc rw\n"
        b"27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard\n"
        b"65 46 0:40 / /proc rw,relatime - proc proc " + options.encode() + b"\n"
    )


def test_mounts_are_as_the_kernel_lists_them() -> None:
    first, root, _ = parse_mountinfo(mountinfo("rw"))
    assert first == Mount((0, 21), "/", "/proc", "proc", ("rw",), 22)
    assert (root.device, root.type, root.options) == ((254, 0), "ext4", ("rw", "discard"))
    (odd,) = parse_mountinfo(
        b"1 2 0:9 /a\\040b /c\\134\\012 rw - tmpfs none rw,size=4k\nnonsense\n"
    )
    assert (odd.root, odd.point, odd.option("size"), odd.option("siz")) == (
        "/a b",
        "/c\\\n",
        "4k",
        None,
    )


@given(st.binary())
def test_any_bytes_are_mounts_or_none(data: bytes) -> None:
    proc_mount(parse_mountinfo(data + b"\n" + mountinfo("rw")), PROC)


@pytest.mark.parametrize(
    ("options", "mount"),
    [
        ("rw", ProcMount()),
        ("rw,hidepid=2", ProcMount(2)),  # before 5.8
        ("rw,gid=27,hidepid=invisible", ProcMount(2, 27)),
        ("rw,hidepid=noaccess", ProcMount(1)),
        ("rw,hidepid=ptraceable,subset=pid", ProcMount(4, 0, True)),
        ("rw,hidepid=of-the-future,gid=x", ProcMount()),
    ],
)
def test_how_proc_is_mounted(options: str, mount: ProcMount) -> None:
    assert proc_mount(parse_mountinfo(mountinfo(options)), PROC) == mount
    assert proc_mount(parse_mountinfo(mountinfo(options)), (254, 0)) is None


@pytest.mark.parametrize(
    ("status", "is_own"),
    [
        (b"Name:\tx\nPid:\t7\nNSpid:\t7\n", True),
        (b"Name:\tx\nPid:\t7\n", True),  # before 4.1
        (b"Name:\tx\nPid:\t9\nNSpid:\t9\t7\n", False),
        (b"Name:\tx\nPid:\t7\nNSpid:\t7\t7\n", False),  # the same number, by chance
        (b"", False),
    ],
)
def test_whose_pids_are_in_a_proc(status: bytes, is_own: bool) -> None:
    assert is_own_proc(status, 7) is is_own


def test_a_capture_without_process_1_is_not_all_of_a_machine() -> None:
    files = Recorded()
    assert read_hidden(files) is None  # no processes at all: nothing is said of them
    files.start(42)
    hidden = read_hidden(files)
    assert hidden is not None and "process 1 was not captured" in hidden.words
    files.start(1)
    assert read_hidden(files) is None


# Real ones, as an ordinary user. All is imported before, as such a user may not reach it.
AS_A_USER = """
import contextlib, io, json, os, sys
from memtui.cli import main
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.hidden import read_hidden
from memtui.live.machine import machine_of

def run(*words):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(list(words))
    return status, out.getvalue(), err.getvalue()

commands = [["oom"], ["procs"], ["maps", "1"], ["maps", "4194303"], ["free"], ["slabs"]]
for words in commands:
    run(*words)
machine_of(LiveFiles())
os.setgroups([])
os.setresgid(61234, 61234, 61234)
os.setresuid(61234, 61234, 61234)
hidden = read_hidden(LiveFiles())
machine = machine_of(LiveFiles())
print(json.dumps({
    "hidden": hidden and hidden.words,
    "sight": machine.sight,
    **{" ".join(words): run(*words) for words in commands},
}))
"""

FROM_BELOW = """
import json, os
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.writes import Changes
from memtui.live.machine import machine_of
from memtui.kernel.process import parse_stat

files = LiveFiles()
pid = int(os.environ["VICTIM"])
stat = files.parsed(f"proc/{pid}/stat", parse_stat)
changes = Changes(readonly=False)
made = [changes.signal(pid, stat.starttime, "TERM"), changes.oom_score_adj(pid, stat.starttime, 500)]
print(json.dumps([machine_of(files).no_acting, *(each.do() for each in made)]))
"""


def apart(program: str, unshare: str, options: str | None = None, **environment: str) -> Any:
    """What a program prints that runs in namespaces of its own, with /proc mounted anew if wanted."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare")
    mount = "true" if options is None else f"mount -t proc -o rw,{options} proc /proc"
    shell = ("sh", "-c", f'{mount} && exec "$0" "$@"')
    found = subprocess.run(
        ["unshare", *unshare.split(), *shell, sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    if "unshare" in found.stderr or "mount" in found.stderr.splitlines()[:1]:
        pytest.skip(found.stderr)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


MOUNTS = "-m --propagation private"


@pytest.mark.parametrize(
    ("options", "words", "sight"),
    [
        ("hidepid=1", "hidepid=1 closes other users' processes", "others closed"),
        ("hidepid=2", "hidepid=2 hides other users' processes", "others hidden"),
    ],
)
def test_under_hidepid_nothing_is_claimed_of_the_machine(
    options: str, words: str, sight: str
) -> None:
    found = apart(AS_A_USER, MOUNTS, options)
    assert found["hidden"] == words and found["sight"] == f"maps of own processes, {sight}"
    status, out, _ = found["oom"]
    assert status == 0 and "would be killed on the machine" not in out
    assert out.startswith(f"whom the kernel would kill on the machine is not known: {words}; ")
    status, out, _ = found["procs"]
    assert status == 0 and out.endswith(f"\nnot all processes: {words}\n")
    assert "\n    1 " not in out  # a row of nothing but n/a
    status, _, err = found["maps 1"]
    assert status == 3 and "/proc/1/stat: not permitted" in err
    status, _, err = found["maps 4194303"]
    assert status == 4 and words in err


def test_the_group_that_hidepid_lets_in_sees_all() -> None:
    assert apart(AS_A_USER, MOUNTS, "hidepid=2,gid=61234")["hidden"] is None


def test_what_a_subset_hides_is_not_said_of_the_kernel() -> None:
    found = apart(AS_A_USER, MOUNTS, "subset=pid")
    assert found["hidden"] is None
    for command, name in (("free", "meminfo"), ("oom", "meminfo"), ("slabs", "slabinfo")):
        status, _, err = found[command]
        assert status == 3
        assert f"/proc/{name}: not permitted: /proc is mounted with subset=pid" in err


def test_in_a_pid_namespace_the_others_are_not_seen() -> None:
    found = apart(AS_A_USER, f"-pf {MOUNTS}", "nosuid")
    assert found["hidden"] == "processes outside this PID namespace cannot be seen"
    assert found["sight"] == "maps of own processes, PID namespace"
    assert "would be killed on the machine" not in found["oom"][1]
    hidden = Hidden("processes outside this PID namespace cannot be seen", "PID namespace", True)
    ranking = read_outlook(open_host("pod"), 4096, "/", hidden)
    assert isinstance(ranking, Outlook) and ranking.hidden is None  # of a group they are all


def test_nothing_acts_by_the_pids_of_another_namespace() -> None:
    with subprocess.Popen(["sleep", "100"]) as victim:
        try:
            no_acting, *gaps = apart(FROM_BELOW, "-pf", VICTIM=str(victim.pid))
            assert victim.poll() is None
        finally:
            victim.kill()
    assert no_acting == FOREIGN
    assert [(reason, detail) for _, reason, detail in gaps] == [("denied", FOREIGN)] * 2


def test_this_machine_as_root_is_seen_whole() -> None:
    if os.geteuid() != 0 or os.stat("/proc/self/ns/pid").st_ino != 0xEFFF_FFFC:
        pytest.skip("needs root and the machine's own processes")
    assert read_hidden(LiveFiles()) is None
