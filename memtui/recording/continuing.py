"""Going on with a recording: what a recorder that was killed had not put into a block yet."""

from __future__ import annotations

from memtui.recording.recording import Recording
from memtui.recording.store import Store


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
