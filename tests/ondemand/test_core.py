"""Core dumps as they lie on a disk: compressed by systemd's tools, cut, damaged, too large for it."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.ondemand import core
from memtui.ondemand.core import open_dump
from tests.coredumps import NOTES, PAGE, Load, complaint, made, opened, with_hole
from tests.terminal import PROJECT, wait_until

_TOOLS = {"zstd": ("zst", "-qkf"), "lz4": ("lz4", "-qkfm"), "xz": ("xz", "-qkf0")}
_HOLE = 64 << 20


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """Bytes that cannot be compressed, then a hole."""
    path = tmp_path / "small"
    path.write_bytes(made((Load(0x400000, os.urandom(64 * PAGE), 64 * PAGE),)))
    return with_hole(path, tmp_path / "core", _HOLE)


def compressed(path: Path, tool: str) -> Path:
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    ending, flags = _TOOLS[tool]
    subprocess.run([tool, flags, path], check=True, capture_output=True)
    # By its first bytes it is known, whatever its name.
    return path.with_suffix(f".{ending}").rename(path.with_suffix(".renamed"))


@pytest.mark.parametrize("tool", _TOOLS)
def test_compressed_it_is_the_same_dump(
    dump: Path, tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "room").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "room"))
    path = compressed(dump, tool)
    os.utime(path, (1e9, 1e9))
    told: list[tuple[int, int]] = []
    found = open_dump(str(path), None, LiveFiles(), lambda done, total: told.append((done, total)))
    assert not isinstance(found, Gap)
    plain = opened(dump)
    assert found.dump == plain.dump
    address, size = 0x400000, 64 * PAGE
    assert found.dumped(address, size) == plain.dumped(address, size) != b""
    assert found.written_s == 1e9
    assert told[-1][0] == told[-1][1] == path.stat().st_size
    assert not list((tmp_path / "room").iterdir())
    taken = os.fstat(found._core._descriptor)
    assert taken.st_size == dump.stat().st_size and taken.st_blocks * 512 < _HOLE // 8


@pytest.mark.parametrize("tool", _TOOLS)
def test_one_that_is_cut_off_is_opened_as_far_as_it_goes(tmp_path: Path, tool: str) -> None:
    path = tmp_path / "core"
    path.write_bytes(made((Load(0x400000, os.urandom(1024 * PAGE), 1024 * PAGE),)))
    packed = compressed(path, tool)
    data = packed.read_bytes()
    packed.write_bytes(data[: len(data) // 2])
    files = opened(packed)
    assert files.dump.pid == 7 and files.dump.cut
    assert [gap.detail for gap in files.gaps] == ["the compressed file is cut off"]
    packed.write_bytes(data[:20])
    assert complaint(packed).startswith("the compressed file is cut off: ")


@pytest.mark.parametrize("tool", _TOOLS)
def test_one_that_is_damaged_says_so(dump: Path, tool: str) -> None:
    packed = compressed(dump, tool)
    data = bytearray(packed.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 64] = bytes(range(64))
    packed.write_bytes(data)
    found = open_dump(str(packed), None, LiveFiles(), lambda *_: None)
    if isinstance(found, Gap):  # lz4 may have no sum to tell it by
        assert f"no sound {tool} file" in found.detail
    else:
        assert tool == "lz4"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "not a regular file"),
        (lambda path: os.mkfifo(path), "not a regular file"),
        (lambda path: path.write_bytes(b""), "not an ELF file"),
        (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
        (lambda path: path.write_bytes(made(notes=NOTES)[:300]), "no process in it"),
    ],
)
def test_what_is_no_dump_says_why(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    make(tmp_path / "core")
    assert words in complaint(tmp_path / "core")


def test_one_without_a_name_that_a_file_can_have() -> None:
    found = open_dump("a\0b", None, LiveFiles(), lambda *_: None)
    assert isinstance(found, Gap)


def _report(
    path: Path, room: Path, first: Callable[[], object] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "memtui", "core", str(path), "--json"],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(room)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=first,
    )


def test_where_the_disk_has_no_room_it_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    path, room = tmp_path / "core", tmp_path / "room"
    room.mkdir()
    path.write_bytes(made((Load(0x400000, os.urandom(1024 * PAGE), 1024 * PAGE),)))
    packed = compressed(path, "xz")
    limit = (2 << 20, 2 << 20)
    with _report(packed, room, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "cannot decompress it to" in err and "TMPDIR" in err and err.count("\n") == 1
    assert not list(room.iterdir())


def test_a_full_disk_is_not_filled_to_its_last_byte(
    dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = compressed(dump, "zstd")
    monkeypatch.setattr(core, "_LEFT_FREE", 1 << 60)
    monkeypatch.setattr(core, "_CHECKED_EVERY", 1)
    assert "No space left on device" in complaint(packed)


def test_ctrl_c_ends_the_decompression_and_leaves_nothing(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    path = tmp_path / "core"
    path.write_bytes(bytes(_HOLE))
    packed = compressed(path, "zstd")
    packed.write_bytes(packed.read_bytes() * 10_000)  # frame after frame: hundreds of GiB of zeros
    with _report(packed, room) as process:
        fds = Path(f"/proc/{process.pid}/fd")

        def unpacks() -> bool:
            found = []
            for each in fds.iterdir():
                with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                    found.append(os.readlink(each))
            return any(str(room) in path for path in found)

        wait_until(unpacks, "a file without a name")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    assert not list(room.iterdir())
