"""The watcher's end of the pipe to memtui. Never waits for a reader who is slow."""

from __future__ import annotations

import os
import pickle
import select
import struct
from typing import Final

from memtui.watch.messages import Droppable, Freed, Holding, Lost, Message, Over

HEAD: Final = struct.Struct("<I")  # a batch's length in bytes
_BATCH: Final = 500
# What waits for a reader: beyond the first no more happenings, beyond the second nothing but the end.
_HAPPENINGS_BYTES: Final = 4 << 20
_LIVES_BYTES: Final = 64 << 20


class Outgoing:
    """`is_deaf`: nobody is there any more to be told."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._batch: list[Message] = []
        self._waiting = bytearray()
        self._lost = 0
        self.is_deaf = False

    def tell(self, message: Message) -> None:
        """Goes out with the next flush; may be lost where too much waits already, and that is told."""
        waits = len(self._waiting)
        limit = _HAPPENINGS_BYTES if isinstance(message, Droppable) else _LIVES_BYTES
        if waits > limit and not isinstance(message, Over | Holding | Freed):
            self._lost += 1
            return
        self._batch.append(message)
        if len(self._batch) >= _BATCH:
            self.flush()

    @property
    def has_more(self) -> bool:
        """Whether a flush would have something to write."""
        return bool(self._batch or self._waiting)

    def flush(self) -> None:
        """Writes as much as there is room for."""
        if self._lost and len(self._waiting) < _HAPPENINGS_BYTES:
            self._batch.append(Lost(self._lost))
            self._lost = 0
        if self._batch:
            data = pickle.dumps(self._batch, pickle.HIGHEST_PROTOCOL)
            self._waiting += HEAD.pack(len(data)) + data
            self._batch = []
        try:
            while self._waiting:
                del self._waiting[: os.write(self._descriptor, self._waiting)]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._waiting.clear()
            self.is_deaf = True

    def finish(self) -> None:
        """Writes all there is: for whoever has nothing else left to do."""
        self.flush()
        room = select.poll()
        room.register(self._descriptor, select.POLLOUT)
        while self._waiting and not self.is_deaf:
            room.poll()
            self.flush()


class Incoming:
    """memtui's end: whole batches, as they come."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self._data = bytearray()
        self.is_closed = False

    def take(self, at_most_bytes: int) -> list[Message]:
        """What has come by now, of so many bytes at most; empty: nothing whole. Never waits."""
        taken = 0
        while taken < at_most_bytes:
            try:
                piece = os.read(self.descriptor, 1 << 18)
            except BlockingIOError:
                break
            if not piece:
                self.is_closed = True
                break
            self._data += piece
            taken += len(piece)
        return self._whole()

    def _whole(self) -> list[Message]:
        found: list[Message] = []
        at = 0
        while len(self._data) - at >= HEAD.size:
            (length,) = HEAD.unpack_from(self._data, at)
            begin = at + HEAD.size
            if len(self._data) < begin + length:
                break
            # From our own child, by a pipe that nobody else has: it may be unpickled.
            found += pickle.loads(memoryview(self._data)[begin : begin + length])
            at = begin + length
        del self._data[:at]
        return found
