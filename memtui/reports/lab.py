"""`memtui lab`: experiments run to their end, expectation beside measurement; and the list of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

from memtui import units
from memtui.kernel.files import Files, Gap
from memtui.lab.bench import Agreement, Bench, Told
from memtui.lab.catalogue import catalogue
from memtui.lab.experiment import Expected, Experiment, Facts, Run
from memtui.lab.figures import label, text
from memtui.lab.needs import why_not
from memtui.reports.output import FAILED, USAGE, Failure, Options, TextColumn, document, table

ALL = "all"
_ALIGNED: Final[tuple[Literal["<", ">"], ...]] = ("<", "<", ">", ">", ">", ">", "<")


def run(files: Files, options: Options) -> Iterator[str]:
    """The command: `memtui lab NAME --headless`, `memtui lab --list`. Fails where a step does not agree."""
    if options.list or options.argument is None:
        return _listed(files, options)
    return _headless(files, options)


def _headless(files: Files, options: Options) -> Iterator[str]:
    chosen = _chosen(options.argument)
    failures: list[str] = []
    documents: list[dict[str, Any]] = []
    for experiment in chosen:
        bench = Bench(files, experiment, readonly=options.readonly)
        pieces = _run(bench, failures, documents)
        for piece in pieces:
            if not options.json:
                yield piece
    if options.json:
        yield document(documents if options.argument == ALL else documents[0])
    if failures:
        raise Failure("; ".join(failures), FAILED)


def _chosen(name: str) -> Sequence[Experiment]:
    every = catalogue()
    if name == ALL:
        return every
    found = [each for each in every if each.name == name]
    if not found:
        names = ", ".join(each.name for each in every)
        raise Failure(f"no experiment {name!r}: there are {names}, and {ALL}", USAGE)
    return found


def _run(bench: Bench, failures: list[str], documents: list[dict[str, Any]]) -> Iterator[str]:
    """One experiment to its end, as text while it goes on."""
    experiment = bench.experiment
    yield f"{experiment.title} ({experiment.name})\n{experiment.summary}\n"
    try:
        failed = bench.start()
        while failed is None and not bench.is_over:
            told = bench.step()
            if isinstance(told, Gap):
                failed = told
                break
            earlier = bench.told[-2].run.facts if len(bench.told) > 1 else {}
            yield from _step_text(len(bench.told), told, earlier)
            if not told.agrees:
                failures.append(f"{experiment.name}: {told.step.title!r} does not agree")
    finally:
        bench.close()
    missing = bench.left_out if bench.available is None else []
    if missing:
        yield "\n" + "".join(f"left out: {step.title}: {why}\n" for step, why in missing)
    if failed is not None:
        yield f"\nnot run: {units.printable(failed.detail)}\n"
        if bench.available is None:
            failures.append(f"{experiment.name}: {failed.detail}")
    yield "\n"
    documents.append(
        {
            "name": experiment.name,
            "steps": [_step_json(each) for each in bench.told],
            "left_out": [{"title": step.title, "why": why} for step, why in missing],
            "needs": sorted(experiment.needs),
            "skipped": failed.detail if failed else None,
        }
    )


def _step_json(told: Told) -> dict[str, Any]:
    expected = {
        each.expected.key: {
            "low": each.expected.low,
            "high": each.expected.high,
            "of": each.expected.of,
            "words": each.expected.words,
        }
        for each in told.agreements
    }
    measured = {each.expected.key: each.measured for each in told.agreements}
    return {
        "title": told.step.title,
        "expected": expected,
        "measured": measured,
        "agrees": told.agrees,
    }


class _Row(NamedTuple):
    """A figure, or a fact of the program's, and what was expected of it."""

    key: str
    agreement: Agreement | None

    def cells(self, run: Run, earlier: Facts) -> tuple[str, ...]:
        before, after = (
            {**facts, **figures}.get(self.key)
            for facts, figures in ((earlier, run.before), (run.facts, run.after))
        )
        change = None if before is None or after is None else after - before
        mark, expected, words = "", "", ""
        if self.agreement is not None:
            mark = "✓" if self.agreement.agrees else "✗"
            expected, words = _range(self.agreement.expected), self.agreement.expected.words
        return (
            f"  {mark}",
            label(self.key),
            _text(self.key, before),
            _text(self.key, after),
            "" if self.key.endswith("address") else _signed(self.key, change),
            expected,
            words,
        )


def _step_text(number: int, told: Told, earlier: Facts) -> Iterator[str]:
    """`earlier`: what the program had told before."""
    step = told.step
    yield f"\n{number}  {step.title}\n"
    if step.prediction is not None:
        answer = step.prediction.choices(told.run)[step.prediction.right]
        yield f"   {step.prediction.question}  {answer}\n"
    expected = {each.expected.key: each for each in told.agreements}
    keys = dict.fromkeys((*step.figures, *expected))
    rows = [_Row(key, expected.get(key)).cells(told.run, earlier) for key in keys]
    heads = ("", "FIGURE", "BEFORE", "AFTER", "CHANGE", "EXPECTED", "WHY")
    columns = zip(heads, _ALIGNED, zip(*rows, strict=True), strict=True)
    yield from table([TextColumn(head, align, cells) for head, align, cells in columns])


def _range(expected: Expected) -> str:
    is_change = expected.of == "change"
    low, high = (
        _signed(expected.key, value) if is_change else _text(expected.key, value)
        for value in (expected.low, expected.high)
    )
    return low if low == high else f"{low} … {high}"


def _signed(key: str, value: int | None) -> str:
    return f"+{_text(key, value)}" if value is not None and value > 0 else _text(key, value)


def _text(key: str, value: int | None) -> str:
    return "" if value is None else text(key, value)


def _listed(files: Files, options: Options) -> Iterator[str]:
    every = [(each, why_not(files, each, readonly=options.readonly)) for each in catalogue()]
    if options.json:
        yield document(
            [
                {
                    "name": each.name,
                    "title": each.title,
                    "summary": each.summary,
                    "needs": sorted(each.needs),
                    "skipped": gap.detail if gap else None,
                }
                for each, gap in every
            ]
        )
        return
    yield from table(
        [
            TextColumn("NAME", "<", [each.name for each, _ in every]),
            TextColumn("TITLE", "<", [each.title for each, _ in every]),
            TextColumn("NEEDS", "<", [", ".join(sorted(each.needs)) or "–" for each, _ in every]),
            TextColumn("HERE", "<", ["yes" if gap is None else gap.detail for _, gap in every]),
        ]
    )
