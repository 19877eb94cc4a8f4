"""Opens a recording's file to be read."""

from __future__ import annotations

import sqlite3
from typing import Final
from urllib.parse import quote

from memtui.recording.store import DAMAGE, Unusable, check, words_of

_WAIT_S: Final = 5.0


def connected(path: str) -> sqlite3.Connection:
    """The file, to be read alone. Raises Unusable."""
    try:
        with open(path, "rb") as file:
            begin = file.read(16)
    except OSError as error:
        raise Unusable(
            f"{path}: {error.strerror}", is_denied=isinstance(error, PermissionError)
        ) from None
    except ValueError:
        raise Unusable(f"{path!r} is no name for a file") from None
    if begin != b"SQLite format 3\0":
        raise Unusable(f"{path} is no recording of memtui's")
    failed: sqlite3.Error | UnicodeDecodeError | None = None
    # Where nothing may be written beside it, as SQLite does to share it, nobody else writes it either.
    for how in ("mode=ro", "mode=ro&immutable=1"):
        database = sqlite3.connect(
            f"file:{quote(path)}?{how}",
            uri=True,
            timeout=_WAIT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            check(database, path)
            return database
        except DAMAGE as error:
            failed = failed or error
        except BaseException:
            database.close()
            raise
        database.close()
    assert failed is not None
    raise Unusable(f"{path} cannot be read: {words_of(failed)}")
