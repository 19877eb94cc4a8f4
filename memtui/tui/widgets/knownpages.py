"""What is known of the pages on the screen, and which are still to be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from memtui.kernel.files import Gap
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.layout import WindowLine, mapped_runs
from memtui.ondemand.pages import PagesReading


def reading_of(
    map_: AddressMap, line: WindowLine, readings: Sequence[PagesReading], page_bytes: int
) -> PagesReading | None:
    """The reading that has all mapped pages of a line."""
    for low, high in mapped_runs(map_.mappings, [line]):
        for reading in readings:
            if reading.start <= low and high <= reading.start + len(reading.entries) * page_bytes:
                return reading
    return None


DETAILED_PAGES: Final = 4096  # at most are read with what pagemap does not say: huge pages


class KnownPages:
    """Readings of a process's pages, newest first; `gap` says why there are none.

    A run of pages is told as the address of the first and how many.
    """

    def __init__(self, page_bytes: int) -> None:
        self._page_bytes = page_bytes
        self.forget()

    def forget(self) -> None:
        """Another process, or none."""
        self.readings: tuple[PagesReading, ...] = ()
        self.gap: Gap | None = None
        # Those read since the map was, runs that cannot be read, the one last asked for, and one that
        # came back short.
        self._fresh: tuple[PagesReading, ...] = ()
        self._missing: list[tuple[int, int]] = []
        self._told: tuple[int, int] | None = None
        self._short: tuple[int, int] | None = None

    def grow_old(self) -> None:
        """A new map: what was read is drawn until it has been read again."""
        self._fresh, self._missing, self._told, self._short = (), [], None, None

    def wanted(
        self, map_: AddressMap, lines: Sequence[WindowLine], by_page: bool
    ) -> tuple[int, int] | None:
        """The first run on these lines that is to be read; `by_page` with details."""
        for start, end in mapped_runs(map_.mappings, lines):
            run = start, (end - start) // self._page_bytes
            most = max(run[1], DETAILED_PAGES)
            if run not in self._missing and not any(
                each.start <= start
                and end <= each.start + len(each.entries) * self._page_bytes
                and (not by_page or len(each.entries) <= most)
                for each in self._fresh
            ):
                return run
        return None

    def is_news(self, wanted: tuple[int, int] | None) -> bool:
        """Whether that is to be asked for now: it is something, and else than before."""
        before, self._told = self._told, wanted
        return wanted is not None and wanted != before

    def take(
        self, reading: PagesReading | Gap, map_: AddressMap | None, lines: Sequence[WindowLine]
    ) -> None:
        """What came of asking, for all that is on these lines."""
        told = self._told
        if isinstance(reading, Gap):
            self.gap = reading
            self._missing += [] if told is None else [told]
        elif map_ is not None:
            self.gap = None
            older = (each for each in self.readings if self._adds(each, reading, map_, lines))
            self.readings = (reading, *older)
            kept = {id(each) for each in self.readings}
            self._fresh = (reading, *(each for each in self._fresh if id(each) in kept))
            if told is not None and told[0] == reading.start and told[1] > len(reading.entries):
                # Read for what was shown before, or there are no more: asked for again, but once.
                self._missing += [told] if told == self._short else []
                self._short, self._told = told, None

    def _adds(
        self,
        older: PagesReading,
        newer: PagesReading,
        map_: AddressMap,
        lines: Sequence[WindowLine],
    ) -> bool:
        """Whether it has pages on the screen that a newer one has not."""
        return any(
            reading_of(map_, line, (newer,), self._page_bytes) is None
            and reading_of(map_, line, (older,), self._page_bytes) is not None
            for line in lines
        )
