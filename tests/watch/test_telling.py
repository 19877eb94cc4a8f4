"""A story made of messages, and the pipe that they come by."""

from __future__ import annotations

import os

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.siginfo import SigInfo
from memtui.model.keys import ProcessKey
from memtui.watch.messages import (
    Became,
    Born,
    Ended,
    Figures,
    Freed,
    Happened,
    Holding,
    Lacking,
    Looked,
    Lost,
    Message,
    Over,
)
from memtui.watch.outgoing import Incoming, Outgoing
from memtui.watch.story import Held, Story, What
from memtui.watch.telling import HAPPENINGS_KEPT, LIVES_KEPT, Teller
from tests.watch.runs import finished, running

MIB = 1 << 20


def story_of(*messages: Message) -> Story:
    story = Story(("program",))
    teller = Teller(story)
    for message in (Born(0.0, 7, 1), *messages):
        teller.tell(message)
    return story


@pytest.mark.parametrize(
    ("happened", "words"),
    [
        (Happened(0, 7, "grew", "[heap]", 132 << 10), "brk +132 KiB"),
        (Happened(0, 7, "shrank", "[heap]", 132 << 10), "brk -132 KiB"),
        (Happened(0, 7, "grew", "the stack", MIB), "the stack grew by 1.0 MiB"),
        (Happened(0, 7, "mapped", "libc.so.6", 2 * MIB, 1), "libc.so.6 mapped, 2.0 MiB"),
        (
            Happened(0, 7, "unmapped", "libc.so.6", MIB, 5),
            "libc.so.6 unmapped, 1.0 MiB in 5 mappings",
        ),
        (Happened(0, 7, "resident", "", -MIB), "resident -1.0 MiB"),
        (Happened(0, 7, "faults", "major", number=1), "1 major fault"),
        (Happened(0, 7, "faults", "minor", number=4100), "4 100 minor faults"),
        (Happened(0, 7, "signal", "SIGUSR1", number=1), "SIGUSR1"),
        (Happened(0, 7, "signal", "SIGSEGV, caught", number=12), "SIGSEGV, caught, 12 times"),
        (Happened(0, 7, "thread", number=1), "a thread"),
        (Happened(0, 7, "thread exit", number=3), "3 threads ended"),
        (Happened(0, 7, "note", "what is missing"), "what is missing"),
    ],
)
def test_words(happened: Happened, words: str) -> None:
    assert story_of(happened).happenings[-1].words == words


def test_what_goes_on_is_one_happening() -> None:
    story = story_of(
        *(Happened(1 + each / 100, 7, "resident", "", MIB) for each in range(10)),
        Happened(1.05, 7, "faults", "minor", number=1),
        Happened(1.06, 7, "resident", "", MIB),
        Happened(1.07, 7, "resident", "", -MIB),
        Happened(1.08, 8, "resident", "", MIB),
        Happened(1.25, 7, "resident", "", MIB),
        Happened(60.0, 7, "resident", "", MIB),
        Happened(61.0, 7, "resident", "", MIB),
        Happened(3600.0, 7, "resident", "", MIB),
        Happened(3604.0, 7, "resident", "", MIB),
        Happened(3606.0, 7, "resident", "", MIB),
    )
    told = [(each.at_s, each.pid, each.words) for each in story.happenings[1:]]
    assert told == [
        (1.0, 7, "resident +11.0 MiB"),
        (1.05, 7, "1 minor fault"),
        (1.07, 7, "resident -1.0 MiB"),
        (1.08, 8, "resident +1.0 MiB"),
        (1.25, 7, "resident +1.0 MiB"),
        (60.0, 7, "resident +2.0 MiB"),
        (3600.0, 7, "resident +2.0 MiB"),
        (3606.0, 7, "resident +1.0 MiB"),
    ]


def test_a_life() -> None:
    story = story_of(
        Became(0.5, 7, 99, "one", "one -a", 12),
        Looked(7, Figures(3 * MIB, 4 * MIB, 10, 2, 99, "one"), 5),
        Became(2.0, 7, 99, "two", "two", None),
        Looked(7, Figures(MIB, None, 11, 2, 99, "two"), 2),
        Ended(3.5, 7, 11 | 0x80),
        Over(3.6),
    )
    life = story.first
    assert life is not None and story.is_over
    assert (life.key, life.name, life.command) == (ProcessKey(7, 99), "two", "two")
    assert life.phases == [("start", 0.5), ("one", 1.5), ("two", 1.5)]
    assert (life.exit_status, life.signal, life.core_dumped) == (139, 11, True)
    assert (life.peak_rss_bytes, life.ended_with_bytes, life.threads) == (4 * MIB, MIB, 5)
    assert (life.minor_faults, life.major_faults) == (11, 2)
    words = [each.words for each in story.happenings]
    assert words[1:] == [
        "exec one (one -a), 12 mappings",
        "exec two (two)",
        "ended: SIGSEGV, core dumped",
    ]


def test_who_is_held_first_is_let_go_first() -> None:
    one, two = (
        Held(ProcessKey(pid, 1), pid, SigInfo(11, 1, 0), Gap("registers", "failed"))
        for pid in (7, 8)
    )
    story = story_of(Holding(1, one), Holding(1, two))
    assert story.held == one
    teller = Teller(story)
    teller.tell(Freed(7))
    assert story.held == two
    teller.tell(Freed(8))
    assert story.held is None


def test_messages_about_nobody_known_change_nothing() -> None:
    """Those before them were lost."""
    story = story_of()
    teller = Teller(story)
    for message in (
        Became(1, 9, 1, "x", "x", 1),
        Looked(9, Figures(), 1),
        Ended(1, 9, 0),
        Freed(9),
    ):
        teller.tell(message)
    assert list(story.lives) == [7] and len(story.happenings) == 1


def test_a_story_is_bounded() -> None:
    story = story_of(
        *(
            message
            for pid in range(8, 8 + 2 * LIVES_KEPT)
            for message in (Born(pid, pid, 7), Ended(pid, pid, 0))
        )
    )
    assert len(story.happenings) <= HAPPENINGS_KEPT
    assert len(story.happenings) + story.dropped == 1 + 4 * LIVES_KEPT
    assert len(story.lives) <= LIVES_KEPT and 7 in story.lives
    assert len(story.lives) + story.lives_dropped == 1 + 2 * LIVES_KEPT
    Teller(story).tell(Happened(1e9, 7, "resident", "", 1))
    assert story.happenings[-1].what == "resident"


def test_what_is_lacking_is_told_once() -> None:
    gap = Gap("ptrace", "denied", "no")
    assert story_of(Lacking(gap), Lacking(gap)).missing == [gap]


def test_a_reader_who_does_not_read_keeps_nobody_waiting() -> None:
    """What he has missed is counted; lives, who is held and the end are told all the same."""
    reading, writing = os.pipe()
    out, incoming = Outgoing(writing), Incoming(reading)
    try:
        out.tell(Born(0.0, 7, 1))
        for each in range(200_000):
            out.tell(Happened(each, 7, "mapped", "a name of some length", each))
            out.flush()
        out.tell(Ended(1.0, 7, 0))
        messages: list[Message] = []
        while out.has_more:
            messages += incoming.take(1 << 20)
            out.flush()
        out.tell(Over(1.1))
        out.flush()
        messages += incoming.take(1 << 24)
    finally:
        os.close(reading)
        os.close(writing)
    told = sum(isinstance(message, Happened) for message in messages)
    lost = sum(message.number for message in messages if isinstance(message, Lost))
    assert 0 < told < 200_000 and told + lost == 200_000
    assert messages[0] == Born(0.0, 7, 1)
    assert Ended(1.0, 7, 0) in messages and messages[-1] == Over(1.1)
    note = story_of(*messages).happenings
    assert any(each.what == "note" and "were not told" in each.words for each in note)


def test_a_program_does_not_wait_for_a_story_that_nobody_takes() -> None:
    """Its end is there, whatever stands in the pipe before it."""
    script = "i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done; exit 4"
    with running("sh", "-c", script) as run:
        os.waitid(os.P_PID, watcher_of(run.watch), os.WEXITED | os.WNOWAIT)
        run.finish()
        assert run.watch.exit_status == 4
        assert len(run.story.lives) == 201


def watcher_of(watch: object) -> int:
    pid = getattr(watch, "_watcher")  # noqa: B009
    assert isinstance(pid, int)
    return pid


def test_every_happening_has_words() -> None:
    run = finished("sh", "-c", "ls / | wc -l")
    whats: set[What] = {each.what for each in run.story.happenings}
    assert {"start", "exec", "fork", "resident", "faults", "exit"} <= whats
    assert all(each.words for each in run.story.happenings)


def test_what_is_held_does_not_run() -> None:
    held = Held(ProcessKey(7, 1), 7, SigInfo(11, 1, 0), Gap("registers", "failed"))
    story = story_of(
        Became(1.0, 7, 1, "one", "one", 9), Holding(3.0, held), Freed(7), Ended(63.0, 7, 11)
    )
    life = story.lives[7]
    assert (life.died_s, life.held_s, life.duration_s) == (63.0, 60.0, 3.0)
    assert life.phases == [("start", 1.0), ("one", 2.0)]


def test_when_it_is_over_no_life_is_open_but_those_that_went_on() -> None:
    """The end of one may not have been told, where more waits for a slow reader than is kept."""
    born = [Born(1.0, 8, 7), Born(1.0, 9, 7)]
    story = story_of(*born, Ended(2.0, 7, 0), Over(3.0, frozenset((9,))))
    assert [life.died_s for life in story.lives.values()] == [2.0, 3.0, None]
    assert story.lives[8].exit_status is None
    assert story.lives[8].phases == [("start", 2.0)]
