"""How a recording is begun, or gone on with."""

from __future__ import annotations

import os
from typing import Final

from memtui.kernel.files import Files, Gap
from memtui.model.machine import Machine
from memtui.recording.recording import Recording
from memtui.recording.store import DAMAGE, Run, Store, Time, Unusable, words_of
from memtui.recording.writer import FOREVER, Keep, Writer

_BOOT_ID: Final = "proc/sys/kernel/random/boot_id"


def run_of(files: Files, machine: Machine, interval_s: float, now: Time) -> Run:
    """This start of a recorder, on a machine."""
    boot = files.read(_BOOT_ID)
    return Run(
        machine.name,
        "" if isinstance(boot, Gap) else boot.decode("ascii", "replace").strip(),
        machine.page_bytes,
        machine.ticks_per_s or 0,
        machine.architecture,
        interval_s,
        os.getpid(),
        *now,
    )


def writer_of(path: str, run: Run, keep: Keep = FOREVER) -> Writer:
    """Of a new file, or of one that is gone on with. Raises Unusable."""
    store = Store(path)
    try:
        end_recent(store)
        return Writer(store, run, keep)
    except BaseException as error:
        store.close()
        if isinstance(error, DAMAGE):
            raise Unusable(f"{path} cannot be recorded to: {words_of(error)}") from None
        raise


def make_room(path: str) -> None:
    """The default place's directory. Raises Unusable."""
    directory = os.path.dirname(path)
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError as error:
        raise Unusable(
            f"{directory}: {error.strerror}: name a FILE",
            is_denied=isinstance(error, PermissionError),
        ) from None


def end_recent(store: Store) -> None:
    """Makes blocks of the rows that an earlier recorder has left. Raises Unusable, sqlite3.Error."""
    if not store.has_recent:
        return
    recording = Recording(store.path)
    try:
        left = recording.packed_tails()
    finally:
        recording.close()
    with store.transaction():
        store.forget_recent()
        for packed in left:
            store.add_block(packed, {})
