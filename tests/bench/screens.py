"""Whole programs on a terminal of 120x40: start, memory, processor time."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from memtui.views import VIEWS
from tests.bench.drawing import run_ns, start, until, watch
from tests.bench.loads import many_processes
from tests.bench.row import Row, interleaved, tenth
from tests.bench.setup import Setup

# The last line of a terminal of 40 is drawn last: memtui's keys, and nothing in the empty one.
_KEYS_DRAWN: Final = re.compile(rb"\x1b\[40;1H.{0,3000}?quit", re.DOTALL)
_BLANK_DRAWN: Final = re.compile(rb"\x1b\[40;1H(?:\x1b\[[0-9;]*m)+ {100}")
# A figure behind its label, whoever draws it first.
_FIGURES: Final = re.compile(rb"available.{0,80}?\d [KMGT]iB", re.DOTALL)
_HTOP_DRAWN: Final = re.compile(rb"Mem.*?PID", re.DOTALL)


def _empty(setup: Setup) -> tuple[str, ...]:
    return (setup.python, "-c", "from textual.app import App\nApp().run()")


def first_figures(setup: Setup) -> Iterator[Row]:
    """From exec to the first figures on the terminal, against htop's."""
    what = f"first figures, {setup.processes:,} processes: memtui / htop"
    htop = shutil.which("htop")
    if not htop:
        yield Row(what, None, 0.4, note="htop is not installed")
        return
    with many_processes(setup.processes):
        ours, theirs = interleaved(
            setup.rounds(20),
            lambda: _drawn_s((setup.memtui,), _FIGURES),
            lambda: _drawn_s((htop, "-d", "10"), _HTOP_DRAWN),
            take=tenth,
        )
    note = f"{1000 * ours:.0f} / {1000 * theirs:.0f} ms after exec, its first Mem and list"
    yield Row(what, ours / theirs, 0.4, note=note)


def _drawn_s(argv: Sequence[str], wanted: re.Pattern[bytes]) -> float:
    with start(argv) as terminal:
        return until(terminal, wanted) - terminal.started_s


def first_frame(setup: Setup) -> Iterator[Row]:
    """Processor time from exec to the whole first frame, against an application without anything."""
    ours, theirs = interleaved(
        setup.rounds(25),
        lambda: _frame_cpu_s((setup.memtui,), _KEYS_DRAWN),
        lambda: _frame_cpu_s(_empty(setup), _BLANK_DRAWN),
        take=tenth,
    )
    note = f"{1000 * ours:.0f} / {1000 * theirs:.0f} ms of CPU until the last line is drawn"
    yield Row("whole first frame: memtui / empty Textual", ours / theirs, 1.2, note=note)


def _frame_cpu_s(argv: Sequence[str], wanted: re.Pattern[bytes]) -> float:
    with start(argv) as terminal:
        until(terminal, wanted)
        return run_ns(terminal.pid) / 1e9


def memory(setup: Setup) -> Iterator[Row]:
    """What is the program's alone once the screen has settled, against one without anything.

    Of all PSS the anonymous part: files' pages cost less the more others have them mapped.
    """
    settle_s = setup.span_s(5.0)
    ours, theirs = interleaved(
        setup.rounds(3),
        lambda: _private_bytes((setup.memtui,), _KEYS_DRAWN, settle_s),
        lambda: _private_bytes(_empty(setup), _BLANK_DRAWN, settle_s),
    )
    note = f"{ours / 2**20:.1f} / {theirs / 2**20:.1f} MiB of Pss_Anon"
    yield Row("private memory: memtui / empty Textual", ours / theirs, 1.35, note=note)


def _private_bytes(argv: Sequence[str], wanted: re.Pattern[bytes], settle_s: float) -> float:
    with start(argv) as terminal:
        until(terminal, wanted)
        watch(terminal, settle_s)
        rollup = Path(f"/proc/{terminal.pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss_Anon: +(\d+) kB$", rollup, re.MULTILINE)
    if not found:
        raise OSError("smaps_rollup has no Pss_Anon")
    return int(found[1]) * 1024.0


class _Peer(NamedTuple):
    """What memtui's first view, and each of its others, may take of what this takes.

    A bound of None: those views are not set against it.
    """

    words: tuple[str, ...]
    overview: float
    others: float | None
    config: tuple[str, str] | None = None  # a file below XDG_CONFIG_HOME and what is in it


# A command line, and what is different in its environment.
_Program = tuple[Sequence[str], Mapping[str, str]]

_PEERS: Final = (
    _Peer(("htop", "-d", "10"), 0.3, 0.5),
    _Peer(("btop",), 1.0, None, ("btop/btop.conf", "update_ms = 1000\n")),
    _Peer(("glances", "-t", "1", "--disable-check-update"), 0.2, 0.2),
)


def overview_time(setup: Setup) -> Iterator[Row]:
    """memtui as it starts and its peers, each with a sample a second among many processes."""
    yield from _processor_time(setup, [VIEWS[0].name], [(peer, peer.overview) for peer in _PEERS])


def views_time(setup: Setup) -> Iterator[Row]:
    """The same of memtui's other views."""
    yield from _processor_time(
        setup,
        [view.name for view in VIEWS[1:]],
        [(peer, peer.others) for peer in _PEERS if peer.others is not None],
    )


def _processor_time(
    setup: Setup, views: Sequence[str], bounds: Sequence[tuple[_Peer, float]]
) -> Iterator[Row]:
    # At least one sample of each is in it.
    settle_s, span_s = setup.span_s(5.0), max(1.1, setup.span_s(12.0))
    programs: dict[str, _Program] = {
        view: ((setup.memtui, "--interval", "1", "--view", view), {}) for view in views
    }
    with ExitStack() as stack:
        for peer, _ in bounds:
            name, *words = peer.words
            path = shutil.which(name)
            if path:
                config = stack.enter_context(tempfile.TemporaryDirectory())
                if peer.config:
                    file = Path(config, peer.config[0])
                    file.parent.mkdir(parents=True)
                    file.write_text(peer.config[1])
                programs[name] = ((path, *words), {"XDG_CONFIG_HOME": config})
        stack.enter_context(many_processes(setup.processes))
        shares = interleaved(
            setup.rounds(2),
            *(
                lambda program=program: _core_share(program, settle_s, span_s)
                for program in programs.values()
            ),
        )
    share_of = dict(zip(programs, shares, strict=True))
    for peer, at_most in bounds:
        for view in views:
            what = (
                f"CPU, {setup.processes:,} processes, {view}: memtui / {' '.join(peer.words[:3])}"
            )
            theirs = share_of.get(peer.words[0])
            if theirs is None:
                yield Row(what, None, at_most, note=f"{peer.words[0]} is not installed")
                continue
            ours = share_of[view]
            note = f"{100 * ours:.2f} / {100 * theirs:.2f} % of a core over {span_s:.0f} s"
            if peer.config:
                note += f", {peer.config[1].strip()}"
            yield Row(what, ours / theirs, at_most, note=note)


def _core_share(program: _Program, settle_s: float, span_s: float) -> float:
    """How much of a core a program takes once it has settled."""
    argv, environment = program
    with start(argv, environment) as terminal:
        terminal.wait_until(lambda: len(terminal.output) > 2000, "drawn")
        watch(terminal, settle_s)
        before, started = run_ns(terminal.pid), time.perf_counter()
        watch(terminal, span_s)
        # On a busy machine even the one sample may be late.
        terminal.wait_until(lambda: run_ns(terminal.pid) > before, "a sample")
        used = run_ns(terminal.pid) - before
        if terminal.process.poll() is not None:
            raise OSError(f"{argv[0]} ended by itself")
        return used / 1e9 / (time.perf_counter() - started)
