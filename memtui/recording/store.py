"""The file of a recording: SQLite, in WAL mode, so that it is written while others read it.

Schema 1 (`PRAGMA user_version`; `PRAGMA application_id` is "MEMT"). Times are in milliseconds: `wall`
since the epoch, `boot` since the machine's boot, suspends included. Rows are in the order in which
they were recorded by their ids, whatever the clock on the wall was set to.

    run      each start of a recorder: which machine, boot and memtui
    base     everything that was known at one moment: a block of codec.py without a base
    block    successive ticks, against a base: a block of codec.py; `times` are theirs (see `packed_times`)
    recent   the ticks that are in no block yet: each row against the base and all rows before it
    figure   the names of the figures of memtui.model.system.metrics that are summarised
    summary  of each block the least, the largest and the last value of each figure that has any
    event    alerts, and deaths (whose `detail` is JSON)

`checksum` is zlib's CRC-32 of `data`. A block holds contents by name (see noted.py): a file's bytes by
its path, as the kernel gave them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import stat
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from memtui import __version__
from memtui.recording.codec import Block, Damaged

SCHEMA: Final = 1
_APPLICATION: Final = 0x4D454D54
_LOG_PAGES: Final = 256  # of 4 KiB, what SQLite's log holds before it goes into the file
_WAIT_S: Final = 5.0  # for a reader that holds the file for a moment

MEMORY: Final = ":memory:"  # the path of a recording that is in no file
# SQLite's complaint may have a damaged name in it, of which Python cannot make text.
DAMAGE: Final = (sqlite3.Error, UnicodeDecodeError)

_TABLES: Final = """
create table run (
    id integer primary key, memtui text not null, machine text not null, boot_id text not null,
    page_bytes integer not null, ticks_per_s integer not null, architecture text not null,
    interval_s real not null, pid integer not null, wall integer not null, boot integer not null);
create table base (
    id integer primary key, data blob not null, checksum integer not null);
create table block (
    id integer primary key, run integer not null, base integer not null,
    first_wall integer not null, last_wall integer not null,
    first_boot integer not null, last_boot integer not null, ticks integer not null,
    times blob not null, data blob not null, checksum integer not null);
create table recent (
    id integer primary key, run integer not null, base integer not null,
    times blob not null, data blob not null, checksum integer not null);
create table figure (id integer primary key, name text not null unique);
create table summary (
    block integer not null, figure integer not null, least real, most real, last real,
    primary key (block, figure)) without rowid;
create table event (
    id integer primary key, run integer not null, wall integer not null, boot integer not null,
    kind text not null, level text not null, text text not null, metric text not null,
    detail text not null);
"""


class Unusable(Exception):
    """A file that is no recording, or not to be had: one line that names it and the way out.

    `is_denied`: it is somebody else's.
    """

    def __init__(self, message: str, *, is_denied: bool = False) -> None:
        super().__init__(message)
        self.is_denied = is_denied


class Time(NamedTuple):
    """Of one tick."""

    wall_ms: int
    boot_ms: int


class Run(NamedTuple):
    """A start of a recorder, and the machine it was on. `ticks_per_s` 0: not known."""

    machine: str
    boot_id: str
    page_bytes: int
    ticks_per_s: int
    architecture: str
    interval_s: float
    pid: int
    wall_ms: int
    boot_ms: int


class Packed(NamedTuple):
    """Ticks that are ready to be written, of a run and against a base."""

    run: int
    base: int
    times: tuple[Time, ...]
    data: bytes


class Running(NamedTuple):
    """The ticks of a recording in memory that are in no block yet."""

    run: int
    base: int
    times: tuple[Time, ...]
    block: Block


Summary = tuple[float, float, float]  # the least, the largest, the last


class EventRow(NamedTuple):
    """An event, as it is written."""

    run: int
    wall_ms: int
    boot_ms: int
    kind: str
    level: str
    text: str
    metric: str = ""
    detail: str = ""


def packed_times(times: Sequence[Time]) -> bytes:
    """Times as a zlib stream of text: of each `wall boot`, less the one before, with a blank between."""
    parts = []
    before = Time(0, 0)
    for each in times:
        parts.append(f"{each.wall_ms - before.wall_ms} {each.boot_ms - before.boot_ms}")
        before = each
    return zlib.compress(" ".join(parts).encode(), 9)


def unpacked_times(data: bytes) -> tuple[Time, ...]:
    """Raises Damaged."""
    try:
        numbers = list(map(int, zlib.decompress(data).split()))
        if len(numbers) % 2:
            raise ValueError("one without the other")
    except (zlib.error, ValueError) as error:
        raise Damaged(f"damaged times: {error}") from None
    found = []
    wall = boot = 0
    for more_wall, more_boot in zip(numbers[::2], numbers[1::2], strict=True):
        wall, boot = wall + more_wall, boot + more_boot
        found.append(Time(wall, boot))
    return tuple(found)


def default_path() -> str:
    """Where a recorder writes that is given no file, and where the dashboard looks for one."""
    if os.geteuid() == 0:
        return "/var/lib/memtui/recording.memtui"
    # An empty or a relative one is to be ignored: so the XDG base directory specification.
    base = os.environ.get("XDG_STATE_HOME", "")
    if not base.startswith("/"):
        base = os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "memtui", "recording.memtui")


def checksum(data: bytes) -> int:
    return zlib.crc32(data)


def words_of(error: sqlite3.Error | UnicodeDecodeError) -> str:
    """What SQLite says, as the end of a line."""
    if isinstance(error, UnicodeDecodeError):
        return "the names in it are damaged"
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def check(database: sqlite3.Connection, path: str) -> None:
    """Raises Unusable where it is no recording that this memtui reads; sqlite3.Error where no database."""
    (application,) = database.execute("pragma application_id").fetchone()
    (version,) = database.execute("pragma user_version").fetchone()
    if application != _APPLICATION:
        raise Unusable(f"{path} is no recording of memtui's")
    if version > SCHEMA:
        made_by = ""
        with contextlib.suppress(*DAMAGE):
            row = database.execute("select memtui from run order by id desc limit 1").fetchone()
            made_by = f" {row[0]}" if row else ""
        raise Unusable(
            f"{path} was recorded by memtui{made_by}, or one as new: this is {__version__}, and reads "
            f"recordings up to schema {SCHEMA}, not {version}"
        )


class Store:
    """The one writer of a recording. sqlite3.Error comes out of what writes: the file is as it was
    before, and the same may be tried again.

    One in memory is read through the same `database`, by whoever holds its `lock`; its `recent` ticks
    are `running`, and in no row.
    """

    def __init__(self, path: str) -> None:
        """Opens or begins one. Raises Unusable."""
        self.path = path
        self.lock = threading.RLock()
        self.running: Running | None = None
        self._file = None if path == MEMORY else _locked(path)
        try:
            self.database = self._opened()
        except BaseException as error:
            self._unlock()
            if isinstance(error, DAMAGE):
                raise Unusable(f"{path} cannot be recorded to: {words_of(error)}") from None
            raise

    def _opened(self) -> sqlite3.Connection:
        is_new = self._file is None or os.fstat(self._file).st_size == 0
        database = sqlite3.connect(
            self.path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
        )
        try:
            if is_new:
                database.execute("pragma auto_vacuum = incremental")
                database.execute("pragma journal_mode = wal")
                database.executescript(
                    f"begin; {_TABLES} pragma application_id = {_APPLICATION}; "
                    f"pragma user_version = {SCHEMA}; commit;"
                )
            else:
                check(database, self.path)
                database.execute("pragma journal_mode = wal")
            # After a loss of power the last seconds may be missing, and nothing else is.
            database.execute("pragma synchronous = normal")
            database.execute(f"pragma wal_autocheckpoint = {_LOG_PAGES}")
            database.execute(f"pragma journal_size_limit = {_LOG_PAGES * 4096}")
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        with self.lock:
            with contextlib.suppress(sqlite3.Error):
                # What the rows took that are in blocks now.
                self.database.execute("pragma incremental_vacuum").fetchall()
            with contextlib.suppress(sqlite3.Error):
                self.database.close()
        # Not before SQLite's own: closing any descriptor of a file gives its locks up.
        self._unlock()

    def _unlock(self) -> None:
        if self._file is not None:
            os.close(self._file)

    @property
    def is_memory(self) -> bool:
        return self._file is None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written within it, or nothing."""
        with self.lock:
            self.database.execute("begin immediate")
            try:
                yield
                self.database.execute("commit")
            except BaseException:
                # SQLite may have done so itself, as where the disk is full.
                with contextlib.suppress(sqlite3.Error):
                    self.database.execute("rollback")
                raise

    def start_run(self, run: Run) -> int:
        values = (__version__, *run)
        cursor = self.database.execute(
            "insert into run (memtui, machine, boot_id, page_bytes, ticks_per_s, architecture, "
            f"interval_s, pid, wall, boot) values ({_marks(values)})",
            values,
        )
        return cursor.lastrowid or 0

    def add_base(self, data: bytes) -> int:
        cursor = self.database.execute(
            "insert into base (data, checksum) values (?, ?)", (data, checksum(data))
        )
        return cursor.lastrowid or 0

    def add_recent(self, ticks: Packed) -> None:
        self.database.execute(
            "insert into recent (run, base, times, data, checksum) values (?, ?, ?, ?, ?)",
            (
                *(ticks.run, ticks.base, packed_times(ticks.times)),
                *(ticks.data, checksum(ticks.data)),
            ),
        )

    def add_block(self, ticks: Packed, summaries: Mapping[str, Summary]) -> None:
        first, last = ticks.times[0], ticks.times[-1]
        cursor = self.database.execute(
            "insert into block (run, base, first_wall, last_wall, first_boot, last_boot, ticks, times, "
            "data, checksum) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(ticks.run, ticks.base, first.wall_ms, last.wall_ms, first.boot_ms, last.boot_ms),
                len(ticks.times),
                *(packed_times(ticks.times), ticks.data, checksum(ticks.data)),
            ),
        )
        self.database.executemany(
            "insert or ignore into figure (name) values (?)", [(name,) for name in summaries]
        )
        self.database.executemany(
            "insert into summary select ?, id, ?, ?, ? from figure where name = ?",
            [(cursor.lastrowid, *summary, name) for name, summary in summaries.items()],
        )

    @property
    def has_recent(self) -> bool:
        """Whether there are ticks in no block."""
        return self.database.execute("select 1 from recent limit 1").fetchone() is not None

    def forget_recent(self) -> None:
        """They are in a block now."""
        self.database.execute("delete from recent")

    def add_event(self, event: EventRow) -> None:
        self.database.execute(
            "insert into event (run, wall, boot, kind, level, text, metric, detail) "
            f"values ({_marks(event)})",
            event,
        )

    @property
    def size_bytes(self) -> int:
        """What of the file is in use."""
        with self.lock:
            counts = [
                self.database.execute(f"pragma {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            ]
        return int((counts[0] - counts[1]) * counts[2])

    def trim(self, before_wall_ms: int | None, most_bytes: int | None) -> None:
        """The oldest blocks go: those that end before a time, and what is too much; at least one stays."""
        with self.transaction():
            while True:
                rows = self.database.execute(
                    "select id, last_wall from block order by id limit 2"
                ).fetchall()
                if len(rows) < 2:
                    break
                number, last_wall = rows[0]
                is_old = before_wall_ms is not None and last_wall < before_wall_ms
                is_much = most_bytes is not None and self.size_bytes > most_bytes
                if not (is_old or is_much):
                    break
                self._remove(number, last_wall)
        with self.lock:
            self.database.execute("pragma incremental_vacuum").fetchall()

    def _remove(self, block: int, last_wall: int) -> None:
        execute = self.database.execute
        execute("delete from block where id = ?", (block,))
        execute("delete from summary where block = ?", (block,))
        execute("delete from event where wall <= ?", (last_wall,))
        execute(
            "delete from base where id not in (select base from block union select base from recent) "
            "and id < (select max(id) from base)"
        )
        execute(
            "delete from run where id not in (select run from block union select run from recent) "
            "and id < (select max(id) from run)"
        )


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _locked(path: str) -> int:
    """A descriptor of the file that keeps other recorders away as long as it, and this process, lives."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unusable(
            f"{path} cannot be recorded to: {error.strerror}",
            is_denied=isinstance(error, PermissionError),
        ) from None
    except ValueError:
        raise Unusable(f"{path!r} is no name for a file") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise Unusable(
            f"{path} is being recorded to by another memtui: choose another file"
        ) from None
    found = os.fstat(lock)
    if stat.S_ISREG(found.st_mode) and not found.st_size:
        # An empty one is begun as a new one is: what will be in it is its owner's alone.
        with contextlib.suppress(OSError):
            os.fchmod(lock, 0o600)
    return lock
