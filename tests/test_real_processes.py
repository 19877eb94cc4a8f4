"""Kinds, labels and sums of what people run: Python, a JVM, node and PostgreSQL, held still."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import parse_smaps_rollup
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.labels import label
from tests.oracles import until_alike
from tests.programs import look
from tests.terminal import state, wait_until

FILES = LiveFiles()
IMAGE = {"text", "rodata", "relro", "data", "bss"}

# The servers are started once, by one worker.
pytestmark = pytest.mark.xdist_group("programs")


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Until the condition holds; the test is skipped where the program ends instead."""
    deadline = time.monotonic() + 60
    while not condition():
        if process.poll() is not None:
            pytest.skip(f"{process.args!r:.60} ended with {process.returncode}")
        assert time.monotonic() < deadline, process.args
        time.sleep(0.02)


def tasks(pid: int, file: str) -> list[str]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found.append((task / file).read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
    return found


@contextmanager
def stopped(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> Iterator[int]:
    """A process that holds still once it is ready; killed in the end, never let run on."""
    pid = process.pid
    try:
        wait_for(ready, process)
        process.send_signal(signal.SIGSTOP)
        wait_for(
            lambda: all(stat.rpartition(") ")[2][0] == "T" for stat in tasks(pid, "stat")), process
        )
        yield pid
    finally:
        process.kill()
        process.wait()


def needs(command: str) -> str:
    path = shutil.which(command)
    if path is None:
        pytest.skip(f"{command} is not installed")
    return path


@pytest.fixture(scope="module")
def python() -> Iterator[int]:
    """Sixty threads with names of their own."""
    script = """
import ctypes, threading
name, started = ctypes.CDLL(None).prctl, threading.Barrier(61)
def work(number):
    name(15, b"thread-%d" % number)
    started.wait()
    threading.Event().wait()
for number in range(60):
    threading.Thread(target=work, args=(number,), daemon=True).start()
started.wait()
print("ready", flush=True)
threading.Event().wait()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout
        line = child.stdout.readline()
        with stopped(child, lambda: line == b"ready\n") as pid:
            yield pid


@pytest.fixture(scope="module")
def jvm() -> Iterator[int]:
    """A server that a runtime environment brings along: it waits until it is killed."""
    command = [needs("java"), "-XX:+UseG1GC", "-Xmx256m", "-XX:-UsePerfData"]
    command += ["-m", "java.rmi/sun.rmi.registry.RegistryImpl", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        # Named "RMI TCP Accept-…", of which the kernel keeps fifteen bytes.
        accepts = "RMI TCP Accept-\n"
        with stopped(child, lambda: accepts in tasks(child.pid, "comm")) as pid:
            yield pid


@contextmanager
def node_with(script: str) -> Iterator[int]:
    command = [needs("node"), "-e", script + "; console.log(); setInterval(() => {}, 1e6)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout
        line = child.stdout.readline()
        with stopped(child, lambda: line == b"\n") as pid:
            yield pid


@pytest.fixture(scope="module")
def node() -> Iterator[int]:
    # Hot enough to be compiled.
    with node_with("let sum = 0; for (let i = 0; i < 1e6; i++) sum += Math.sqrt(i)") as pid:
        yield pid


@pytest.fixture(scope="module")
def node_with_thousands() -> Iterator[int]:
    """A memory of WebAssembly is a page that may be touched, and gigabytes around it that may not."""
    script = "globalThis.all = []; "
    script += "for (let i = 0; i < 1500; i++) all.push(new WebAssembly.Memory({initial: 1}))"
    with node_with(script) as pid:
        yield pid


@pytest.fixture(scope="module")
def postgres() -> Iterator[int]:
    """A server of 64 MiB of shared buffers with two clients, as a user that it agrees to run as."""
    bin_ = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
    if bin_ is None:
        found = shutil.which("postgres")
        if found is None:
            pytest.skip("postgresql is not installed")
        bin_ = Path(found).resolve().parent
    user = []
    with tempfile.TemporaryDirectory(prefix="pg") as directory:
        if os.geteuid() == 0:
            names = {entry.pw_name: entry for entry in pwd.getpwall()}
            who = names.get("postgres") or names["daemon"]
            user = [needs("setpriv"), f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}"]
            user.append("--clear-groups")
            os.chown(directory, who.pw_uid, who.pw_gid)
        data = f"{directory}/data"
        initdb = [*user, str(bin_ / "initdb"), "-D", data, "-N", "-A", "trust", "-U", "memtui"]
        done = subprocess.run(initdb, cwd=directory, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"initdb: {done.stderr[-200:]}")
        serve = [*user, str(bin_ / "postgres"), "-D", data, "-k", directory]
        for setting in ("listen_addresses=", "shared_buffers=64MB", "huge_pages=off"):
            serve += ["-c", setting]
        psql = [str(bin_ / "psql"), "-h", directory, "-U", "memtui", "-d", "postgres", "-c"]
        clients = []
        with subprocess.Popen(serve, cwd=directory, stderr=subprocess.DEVNULL) as server:
            try:
                is_ready = [str(bin_ / "pg_isready"), "-q", "-h", directory]
                wait_for(lambda: subprocess.run(is_ready, check=False).returncode == 0, server)
                sleep = "select count(*) from pg_class, pg_sleep(100000)"
                clients = [
                    subprocess.Popen([*psql, sleep], stderr=subprocess.DEVNULL) for _ in range(2)
                ]
                wait_for(lambda: len(backends(server.pid)) == 2, server)
                yield server.pid
            finally:
                server.send_signal(signal.SIGINT)  # fast shutdown: its children end first
                server.wait()
                for client in clients:
                    client.kill()
                    client.wait()


def backends(postmaster: int) -> list[int]:
    """The server's processes that sleep for a client, by what they call themselves."""
    found = []
    for pid in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split():
        with contextlib.suppress(OSError):  # others of its processes come and go
            if b"SELECT" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
    return found


@pytest.fixture
def backend(postgres: int) -> Iterator[int]:
    """One of the server's processes, held still."""
    # While one of its processes ends, the list of them may lack others.
    wait_until(lambda: backends(postgres), "a process for a client")
    pid = backends(postgres)[0]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state(pid) == "T", "stopped")
    yield pid
    os.kill(pid, signal.SIGCONT)


def kinds(map_: AddressMap) -> set[str]:
    return {kind.name for kind in map_.by_kind}


def words(map_: AddressMap) -> list[str]:
    return [label(map_, row).words for row in range(len(map_))]


def rolled_up(pid: int) -> dict[str, int]:
    found = FILES.parsed(f"proc/{pid}/smaps_rollup", parse_smaps_rollup)
    assert not isinstance(found, Gap), found
    return dict(found)


STOPPED = ["python", "jvm", "node", "node_with_thousands", "backend"]


@pytest.mark.parametrize("name", STOPPED)
def test_kinds_sum_to_what_the_kernel_adds_up(name: str, request: pytest.FixtureRequest) -> None:
    pid: int = request.getfixturevalue(name)

    def sums_agree() -> None:
        """Shares change where another process of the same files begins or ends."""
        map_, rollup = look(pid), rolled_up(pid)
        pss = sum(part.pss or 0 for part in map_.by_kind.values())
        # Each mapping's Pss is rounded down to whole kB, the kernel's sum once.
        assert 0 <= rollup["Pss"] - pss <= 1024 * len(map_)
        assert sum(part.rss or 0 for part in map_.by_kind.values()) == rollup["Rss"] > 0

    until_alike(sums_agree)
    assert all(words(look(pid)))


@pytest.mark.skipif(not shutil.which("pmap"), reason="procps is not installed")
@pytest.mark.parametrize("name", STOPPED)
def test_pmap_finds_the_same_in_memory(name: str, request: pytest.FixtureRequest) -> None:
    """`pmap -X`: address, permissions, offset, device, inode, size, Rss, Pss, …, name."""
    pid: int = request.getfixturevalue(name)

    def pmap_agrees() -> None:
        mappings = look(pid).mappings
        output = subprocess.run(["pmap", "-X", str(pid)], capture_output=True, check=True).stdout
        lines = [line.split() for line in output.decode("utf-8", "replace").splitlines()[2:-2]]
        theirs = [(int(line[0], 16), int(line[5]) << 10, int(line[6]) << 10) for line in lines]
        assert theirs == [
            (start, end - start, rss)
            for start, end, rss in zip(
                mappings.starts, mappings.ends, mappings.usage["Rss"], strict=True
            )
        ]

    until_alike(pmap_agrees)


@pytest.mark.parametrize("name", ["python", "jvm", "node", "node_with_thousands"])
def test_every_thread_has_a_stack_that_names_it(name: str, request: pytest.FixtureRequest) -> None:
    pid: int = request.getfixturevalue(name)
    map_ = look(pid)
    assert len(map_.threads) == len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    named = {}
    for row in range(len(map_)):
        for thread in map_.threads_in(row):
            assert map_.kind(row).name == ("stack" if thread.tid == pid else "thread_stack")
            named[thread.tid] = label(map_, row)
    assert named.keys() == {thread.tid for thread in map_.threads}
    for thread in map_.threads:
        if thread.tid != pid:
            assert named[thread.tid] == (f"stack of thread {thread.tid} {thread.name}", "certain")


def test_python_and_its_threads(python: int) -> None:
    map_ = look(python)
    assert kinds(map_) >= IMAGE | {"heap", "stack", "thread_stack", "anon", "guard", "vdso"}
    assert not kinds(map_) & {"device", "hugetlb", "jit"}
    found = {text.rpartition(" ")[2] for text in words(map_) if text.startswith("stack of thread")}
    assert found >= {f"thread-{number}" for number in range(60)}
    guards = [text for text in words(map_) if text.startswith("guard below the stack of thread")]
    assert len(guards) == 60


def test_a_jvm(jvm: int) -> None:
    map_ = look(jvm)
    assert kinds(map_) >= IMAGE | {"heap", "stack", "thread_stack", "anon", "jit", "guard"}
    found = words(map_)
    assert "code generated at run time (JIT)" in found
    assert "glibc arena: malloc's heap for other threads" in found
    assert "no access: reserved for a glibc arena" in found
    assert "Java heap" in found
    assert any(text.endswith(" GC Thread#0") for text in found)
    # As many stacks as threads: nothing else of a JVM's memory looks like one.
    stacks = [row for row in range(len(map_)) if map_.kind(row).name == "thread_stack"]
    assert len(stacks) == len(map_.threads) - 1


def test_node(node: int) -> None:
    map_ = look(node)
    assert kinds(map_) >= {"text", "rodata", "data", "heap", "stack", "thread_stack", "anon", "jit"}
    assert "code generated at run time (JIT)" in words(map_)
    stacks = [row for row in range(len(map_)) if map_.kind(row).name == "thread_stack"]
    assert len(stacks) == len(map_.threads) - 1


def test_node_with_thousands_of_mappings(node_with_thousands: int) -> None:
    map_ = look(node_with_thousands)
    assert len(map_) > 2000
    reserved = [text for text in words(map_) if text.startswith("no access: address space")]
    assert len(reserved) >= 1000
    stacks = [row for row in range(len(map_)) if map_.kind(row).name == "thread_stack"]
    assert len(stacks) == len(map_.threads) - 1


def test_postgresql_and_its_shared_buffers(postgres: int, backend: int) -> None:
    map_ = look(backend)
    assert kinds(map_) >= IMAGE | {"heap", "stack", "anon", "shm", "vdso"}
    assert not kinds(map_) & {"jit", "thread_stack", "device"}
    shared = {
        label(map_, row).words: map_.mappings.ends[row] - map_.mappings.starts[row]
        for row in range(len(map_))
        if map_.kind(row).name == "shm"
    }
    # The buffers; the small segment by which a server knows that another still runs.
    assert shared["shared anonymous memory"] > 64 << 20
    segments = [text for text in shared if text.startswith("System V shared memory, id ")]
    assert len(segments) == 1
    assert any(text.startswith("POSIX shared memory /PostgreSQL.") for text in shared)
    known = {line.split()[1] for line in _system_v()}
    assert segments[0].split("id ")[1].partition(",")[0] in known
    # The server and the process for a client are one program, with the same mappings shared.
    assert kinds(look(postgres)) >= {"shm", "heap"}


def _system_v() -> list[str]:
    """Rows of every segment: key, id, …"""
    return Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
