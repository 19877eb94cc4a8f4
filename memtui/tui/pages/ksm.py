"""KSM: pages of equal content kept once."""

from __future__ import annotations

from typing import Final

from memtui import units
from memtui.kernel.files import Gap
from memtui.kernel.ksm import Ksm
from memtui.tui.pages.base import (
    BRIGHT,
    DIM,
    PLAIN,
    UNKNOWN,
    UNREAD,
    Arrangement,
    Facts,
    Item,
    Section,
    SectionPage,
    Summary,
    only_words,
    page_of,
    plain,
    why,
)
from memtui.tui.words.cells import Column

_RUN: Final = {
    0: ("off", "Nobody looks for equal pages."),
    1: ("runs", "ksmd looks for equal pages in memory that programs offered (MADV_MERGEABLE)."),
    2: ("off, unmerged", "Stopped, and all that was merged has been parted again."),
}


def saved_bytes(ksm: Ksm, page_bytes: int) -> int | None:
    """Memory that sharing saves, before the cost of the bookkeeping."""
    return None if ksm.pages_sharing is None else ksm.pages_sharing * page_bytes


def _summary(facts: Facts) -> Summary:
    ksm = facts.system.ksm
    if ksm is None:
        return UNREAD
    if isinstance(ksm, Gap):
        return plain("none", quiet=True) if ksm.reason == "absent" else UNKNOWN
    saved = saved_bytes(ksm, facts.page_bytes)
    word = _RUN.get(ksm.run, ("?", ""))[0]
    if not saved:
        return plain(word.partition(",")[0], quiet=ksm.run != 1)
    size = units.size(saved)
    return plain(
        f"{word.partition(',')[0]} {units.size(saved, short=True)}", f"{word}, saves {size}"
    )


def _page(facts: Facts, width: int, _arrangement: Arrangement) -> SectionPage:
    ksm = facts.system.ksm
    if ksm is None or isinstance(ksm, Gap):
        return only_words(why(ksm, "KSM"))
    page = facts.page_bytes
    word, words = _RUN.get(ksm.run, (str(ksm.run), "A state that is not known here."))
    items = [
        _item("state", word, words, "run"),
        _item(
            "saved",
            units.size(saved_bytes(ksm, page)),
            "Memory that would be needed more if each had its own: pages_sharing.",
            "pages_sharing",
        ),
        _item(
            "profit",
            units.size(ksm.general_profit_bytes),
            "What is saved less what the bookkeeping costs: may be negative.",
            "general_profit",
        ),
    ]
    for name, pages, meaning, file in (
        ("shared", ksm.pages_shared, "Pages that are kept, each for several.", "pages_shared"),
        ("unshared", ksm.pages_unshared, "Looked at, and like no other.", "pages_unshared"),
        ("volatile", ksm.pages_volatile, "Change too fast to be merged.", "pages_volatile"),
        ("zero pages", ksm.zero_pages, "Empty pages that became the zero page.", "ksm_zero_pages"),
        ("skipped", ksm.pages_skipped, "Not worth another look for now.", "pages_skipped"),
    ):
        size = units.size(None if pages is None else pages * page)
        items.append(_item(name, size, f"{units.count(pages)} pages. {meaning}", file))
    sleep = units.duration(None if ksm.sleep_ms is None else ksm.sleep_ms / 1000)
    items += [
        _item(
            "full scans",
            units.count(ksm.full_scans),
            "Rounds through all that was offered.",
            "full_scans",
        ),
        _item(
            "pace",
            f"{units.count(ksm.pages_to_scan)} pages",
            f"Looked at in one go; then ksmd sleeps {sleep}.",
            "pages_to_scan",
        ),
    ]
    columns = (
        Column("name", "KSM", 11, "<"),
        Column("value", "VALUE", 13),
        Column("more", "", 0, "<", 1, least=28),
    )
    return page_of(columns, items)


def _item(name: str, value: str, words: str, file: str) -> Item:
    quiet = value in ("0", units.UNKNOWN) or value.startswith("off")
    return Item(
        name,
        {
            "name": (name, PLAIN),
            "value": (value, DIM if quiet else PLAIN),
            "more": (f" {words}", DIM),
        },
        [[(f" {name}", BRIGHT)], words, [], f"/sys/kernel/mm/ksm/{file}"],
        "KSM",
    )


KSM: Final = Section("ksm", "KSM", "KSM", (), _summary, _page, at_a_glance=("ksm",))
