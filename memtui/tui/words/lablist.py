"""The list of experiments as lines: what there is, and why some of it is not to be had here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from memtui import units
from memtui.kernel.files import Gap
from memtui.lab.offers import Offer
from memtui.tui import theme
from memtui.tui.words.cells import Column, Line, Part

_DIM = theme.style(theme.DIM)
_PLAIN = theme.style(theme.FOREGROUND)
_BRIGHT = theme.style(theme.BRIGHT, bold=True)
_ACCENT = theme.style(theme.ACCENT, bold=True)

_NEEDS: Final = 30
_SUMMARY_FROM: Final = 130  # cells, from which what an experiment shows has room in its row


def list_head(offers: Sequence[Offer] | Gap | None) -> Line:
    """How many there are, and whether any can be had."""
    line: list[Part] = [(" lab", _ACCENT), (" · ", _DIM)]
    if offers is None:
        return [*line, ("reading …", _DIM)]
    if isinstance(offers, Gap):
        return [*line, (_no_lab(offers), _BRIGHT)]
    why = {offer.why_not for offer in offers}
    if len(why) == 1 and "" not in why:
        return [*line, (f"none can be had here: {units.printable(why.pop())}", _BRIGHT)]
    words = "experiments, each a small real program, a step at a time"
    return [*line, (f"{len(offers)} ", _BRIGHT), (words, _PLAIN)]


def _no_lab(gap: Gap) -> str:
    if gap.reason == "not recorded":
        return "experiments run on a live machine, and this is none"
    return f"the experiments cannot be listed: {units.printable(gap.words)}"


def columns_of(width: int, offers: Sequence[Offer]) -> tuple[Column, ...]:
    """Of the list; with what each experiment shows where there is room."""
    name, title = Column("name", "NAME", 13, "<"), Column("title", "EXPERIMENT", 34, "<")
    if width < _SUMMARY_FROM:
        return name, title, Column("needs", "NEEDS", 0, "<")
    needs = max([_NEEDS, *(units.width(_needs(offer)) for offer in offers)])
    return (
        name,
        title,
        Column("summary", "WHAT IT SHOWS", 0, "<"),
        Column("needs", "NEEDS", min(needs, (width - _SUMMARY_FROM // 2) // 2), "<"),
    )


def offer_row(offer: Offer) -> dict[str, str | Part]:
    """What is not to be had here is dim, and says why."""
    experiment = offer.experiment
    plain = _DIM if offer.why_not else _PLAIN
    return {
        "name": (experiment.name, _DIM if offer.why_not else _BRIGHT),
        "title": (experiment.title, plain),
        "needs": (_needs(offer), _DIM),
        "summary": (experiment.summary, plain),
    }


def _needs(offer: Offer) -> str:
    return offer.why_not or ", ".join(sorted(offer.experiment.needs)) or "–"


def not_here(offer: Offer) -> str:
    """Why it cannot be begun; "" where it can."""
    return f"{offer.experiment.name}: {offer.why_not}" if offer.why_not else ""


def about(offer: Offer) -> Sequence[str]:
    """What is said below the list of the one under the cursor."""
    experiment = offer.experiment
    words = [
        experiment.summary,
        f"{len(experiment.steps)} steps; it takes {units.size(experiment.at_most_bytes)} at most.",
    ]
    if offer.why_not:
        return [*words, f"Not here: {offer.why_not}."]
    if offer.lacks:
        words.append(f"Steps that need {', '.join(sorted(offer.lacks))} are left out here.")
    return [*words, "Enter begins it."]
