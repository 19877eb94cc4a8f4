"""`memtui explain` from the shell."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import pytest

from memtui.kernel.livefiles import LiveFiles
from memtui.model.explain import explain as explaining
from memtui.reports.explain import explain
from memtui.reports.output import Failure
from tests.conftest import HOSTS, open_host

LIVE = LiveFiles()
KEYS = [
    *("name", "title", "topic", "definition", "formula", "value", "unit", "source", "not"),
    *("differs", "older", "here", "see_also"),
]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "memtui", *words], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("host", ["live", *HOSTS])
def test_every_explanation_is_printed(host: str) -> None:
    files = LIVE if host == "live" else open_host(host)
    for name in explaining.names():
        text = "".join(explain(files, name, "text"))
        assert text.replace("\n", "").isprintable()
        assert max(map(len, text.splitlines())) <= 78, name
        assert text.startswith(name)
        found = json.loads("".join(explain(files, name, "json")))
        assert list(found) == KEYS
        assert found["name"] == name
        assert (found["unit"] is None) <= (found["value"] is None)
        for each in (*found["differs"], *found["older"]):
            assert list(each) == ["tool", "formula", "value", "unit"]


def test_the_list_of_names() -> None:
    text = "".join(explain(LIVE, None, "text"))
    assert max(map(len, text.splitlines())) <= 78
    words = " ".join(text.split())
    for name in explaining.names():
        assert name in words
    listed = json.loads("".join(explain(LIVE, None, "json")))
    assert [row["name"] for row in listed] == explaining.names()
    rows = list(csv.reader(io.StringIO("".join(explain(LIVE, None, "csv")))))
    assert rows[0] == ["topic", "name", "title"]
    assert [row[1] for row in rows[1:]] == explaining.names()


def test_an_explanation_is_no_table() -> None:
    with pytest.raises(Failure, match="no table") as failure:
        list(explain(LIVE, "used", "csv"))
    assert failure.value.status == 2


def test_from_the_shell() -> None:
    done = run("explain", "oom", "killer")
    assert done.returncode == 0
    assert done.stdout.startswith("OOM killer\n")
    done = run("explain", "swapines")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "memtui: nothing is explained under 'swapines'; nearest: swappiness, swap in, pswpin/s, swap"
    ]
    assert run("explain", "--csv", "used").returncode == 2
