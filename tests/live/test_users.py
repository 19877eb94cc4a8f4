"""Names of users: nobody waits for them, and those that are known are the system's."""

from __future__ import annotations

import os
import pwd
import threading
from collections.abc import Callable

import pytest

from memtui.live import users
from memtui.live.users import KnownUsers, user_name
from memtui.model.machine import Numbers


def until(condition: Callable[[], object]) -> None:
    done = threading.Event()
    for _ in range(2000):
        if condition():
            return
        done.wait(0.01)
    raise AssertionError("never")


def test_a_number_until_the_name_is_known() -> None:
    known = KnownUsers()
    uid = os.geteuid()
    assert known.name(uid) in (str(uid), pwd.getpwuid(uid).pw_name)
    until(lambda: known.name(uid) == pwd.getpwuid(uid).pw_name)


def test_who_asks_does_not_wait_for_a_slow_name_service(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, may_answer = threading.Event(), threading.Event()

    def slow(uid: int) -> str:
        asked.set()
        may_answer.wait(60)
        return "ada"

    monkeypatch.setattr(users, "user_name", slow)
    known = KnownUsers()
    assert known.name(1234) == "1234"
    assert asked.wait(60)
    assert [known.name(1234), known.name(1235), known.name(None)] == ["1234", "1235", "?"]
    may_answer.set()
    until(lambda: known.name(1234) == "ada")
    until(lambda: known.name(1235) == "ada")


def test_one_without_a_name_stays_a_number() -> None:
    uid = 3_999_999_999
    assert user_name(uid) == str(uid)
    assert Numbers().name(0) == "0" and Numbers().name(None) == "?"
