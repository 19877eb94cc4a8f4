"""The file of settings: what goes before what, and what is said of nonsense in it."""

from __future__ import annotations

import os
import re
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.imported import imported
from memtui.model.shortage.alerts import ALERTS, Limit
from memtui.settings.file import BadConfig, default_file, line_of, read_settings
from memtui.settings.table import SETTINGS, THEMES
from memtui.settings.values import DEFAULTS, Settings, default_path
from memtui.tui.palettes import PALETTES
from memtui.tui.views.view import View
from memtui.views import VIEWS
from tests.conftest import HOSTS_DIR
from tests.terminal import PROJECT
from tests.test_cli import fails, prints, run

DEBIAN = str(HOSTS_DIR / "debian-6.18")
README = PROJECT / "README.md"


def settings(tmp_path: Path, text: str, **given_: Any) -> Settings:
    path = tmp_path / "a.toml"
    path.write_text(text)
    return read_settings(str(path), given_)


def complaint(tmp_path: Path, text: str | bytes) -> str:
    """What is said of a file, after its name."""
    path = tmp_path / "a.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(BadConfig) as caught:
        read_settings(str(path), {})
    words = str(caught.value)
    assert "\n" not in words
    assert words.startswith(str(path))
    return words.removeprefix(f"{path}:").strip()


def test_without_a_file_the_defaults_hold() -> None:
    assert not os.path.exists(default_path())
    assert read_settings(None, {}) == DEFAULTS
    assert DEFAULTS[:5] == (1.0, 300, "overview", "memtui", False)


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert settings(tmp_path, "") == DEFAULTS
    assert settings(tmp_path, "\ufeff# nothing\r\n[alerts]\r\n") == DEFAULTS


def test_a_file_goes_before_defaults_and_an_option_before_the_file(tmp_path: Path) -> None:
    text = 'interval = 0.5\nwindow = "15m"\ntheme = "light"\nview = "map"\nreadonly = true\n'
    assert settings(tmp_path, text)[:5] == (0.5, 900, "map", "light", True)
    found = settings(tmp_path, text, interval_s=2.0, theme="memtui", window_s=None, root="/x")
    assert found[:5] == (2.0, 900, "map", "memtui", True)


def test_alerts(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        '[alerts]\navailable_below = "1.5 GiB"\npsi_some_above = false\nverdict = "stalling"\n'
        'actions = ["bell"]\noom_kill_actions = []\n',
    ).alerts
    assert found.available_below == Limit(None, 1.5 * 2**30)
    assert found.psi_some_above is None
    assert found.psi_full_above == DEFAULTS.alerts.psi_full_above
    assert (found.verdict, found.actions) == ("stalling", ("bell",))
    assert found.own_actions == {"oom_kill": ()}
    assert settings(tmp_path, 'alerts.available_below = "500M"').alerts.available_below == Limit(
        None, 500 * 2**20
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("window = 60", 60),
        ('window = "60"', 60),
        ('window = "5m"', 300),
        ('window = "15 min"', 900),
        ('window = "1h"', 3600),
    ],
)
def test_ways_to_say_a_window(tmp_path: Path, text: str, expected: int) -> None:
    assert settings(tmp_path, text).window_s == expected


def test_the_default_file_says_what_holds_anyway(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "".join(default_file())
    found = settings(tmp_path, text)
    assert found._replace(said_of_alerts={}) == DEFAULTS
    assert found.alerts == DEFAULTS.alerts
    # Its comments are examples that may be taken in.
    found = settings(tmp_path, re.sub("^# (?=oom)", "", text, flags=re.MULTILINE))
    own = {"oom_kill": ("mark", "bell", "notify")}
    assert found.alerts == DEFAULTS.alerts._replace(own_actions=own)
    assert prints(capsys, "config") == text
    assert f"```toml\n{text}```" in README.read_text()
    for setting in (*SETTINGS, *ALERTS):
        assert not setting.name or f"\n{setting.name} = " in f"\n{text}" or not setting.default


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n\ninterval = 'x'", "3: interval: expected 0.1 to 3600 seconds, not 'x'"),
        ("interval = true", "1: interval: expected 0.1 to 3600 seconds, not true"),
        ("interval = nan", "1: interval: expected 0.1 to 3600 seconds, not nan"),
        ("interval = [1]", "1: interval: expected 0.1 to 3600 seconds, not a list"),
        ("interval = 0", "1: interval: expected 0.1 to 3600 seconds, not 0"),
        ("interval = 1979-05-27", "1: interval: expected 0.1 to 3600 seconds, not 1979-05-27"),
        ("interval = 1\nwindow = 7", "2: window: expected 1m, 5m, 15m or 60m, not 7"),
        ("theme = 'dark'", "1: theme: expected memtui, light or high-contrast, not 'dark'"),
        (
            "view = {}",
            "1: view: expected overview, processes, map, pressure, physical or lab, not a table",
        ),
        ("readonly = 1", "1: readonly: expected true or false, not 1"),
        ("# a\nintervall = 1", "2: intervall: no such setting; did you mean interval?"),
        ("interval_s = 1", "1: interval_s: no such setting; did you mean interval?"),
        ("[alert]\noom_kill = true", "1: alert: no such setting; did you mean alerts?"),
        (
            "json = true",
            "1: json: no such setting; there are interval, window, view, theme, readonly, alerts",
        ),
        ("root = '/'", "1: root: no such setting; there are interval, window, view, theme, "),
        ("alerts = 5", "1: alerts: expected a table, not 5"),
        ("[[alerts]]", "1: alerts: expected a table, not a list"),
        (
            "[alerts]\n\noom_kill = 'yes'",
            "3: alerts.oom_kill: expected true or false, not 'yes'",
        ),
        (
            "interval = 1\n[alerts]\navailable_below = '101%'",
            "3: alerts.available_below: expected a share such as '5%', a size such as '500M', "
            "or false, not '101%'",
        ),
        ("[alerts]\navailable_below = '5'", "2: alerts.available_below: expected a share such as"),
        ("[alerts]\navailable_below = 5", "2: alerts.available_below: expected a share such as"),
        ("[alerts]\npsi_some_above = 101", "2: alerts.psi_some_above: expected 0 to 100 per cent"),
        ("[alerts]\nstall_above_ms = 0", "2: alerts.stall_above_ms: expected milliseconds"),
        ("alerts.verdict = 'bad'", "1: alerts.verdict: expected comfortable, reclaiming, "),
        ("[alerts]\nactions = 'mark'", "2: alerts.actions: expected a list of 'mark', 'bell', "),
        ("[alerts]\nactions = ['mark', 'email']", "2: alerts.actions: expected a list of 'mark'"),
        ("[alerts]\nactions = [1]", "2: alerts.actions: expected a list of 'mark', 'bell', "),
        ("[alerts]\nactions = [\n['mark']\n]", "2: alerts.actions: expected a list of 'mark', "),
        ("interval = 1\ninterval = 2", "2: cannot overwrite a value"),
        ("interval = \n", "1: invalid value"),
        ("interval = 1\nwindow", "2: expected '='"),
        ("interval = '", "1: "),
        ("a = " + "[" * 5000, "nested too deeply"),
        ("a = " + "9" * 5000, "1: "),
        (b"interval = 1\n# \xff\n", "2: not UTF-8"),
        (b"#" * 70_000, "no file of settings is longer than 65536 bytes"),
    ],
)
def test_nonsense_is_told_with_its_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert complaint(tmp_path, text).startswith(said)


def test_lines_of_keys() -> None:
    text = (
        'interval = 1\n"window" = """\nalerts = 2\n[alerts]\n"""\n\n# view = 1\n'
        "alerts.actions = [\n  'view',\n]\nview = 'map'\n[theme]\nx.y = 1\n[[list]]\nz = 2\n"
    )
    places = {
        ("interval",): 1,
        ("window",): 2,
        ("alerts",): 8,
        ("alerts", "actions"): 8,
        ("view",): 11,
        ("theme",): 12,
        ("theme", "x"): 13,
        ("theme", "x", "y"): 13,
        ("list",): 14,
    }
    assert {path: line_of(text, path) for path in places} == places


KEYS = st.text(string.ascii_letters + "_-", min_size=1, max_size=6)
VALUES = st.sampled_from(
    ["1", "'x'", '"""\na = 1\n"""', "[\n 1,\n 2, # b = 1\n]", "{c = 1}", "'''\n[d]\n'''", "1.5"]
)


@given(st.dictionaries(KEYS, VALUES, max_size=6), st.dictionaries(KEYS, VALUES, max_size=4))
def test_every_key_is_found_in_the_line_it_was_written_in(
    top: dict[str, str], below: dict[str, str]
) -> None:
    written: dict[tuple[str, ...], int] = {}
    text = ""
    for table, values in ((), top), (("table!",), below):
        if table:
            text += '# comment\n["table!"]\n'
        for key, value in values.items():
            written[*table, key] = text.count("\n") + 1
            text += f"{key} = {value}\n\n"
    assert {path: line_of(text, path) for path in written} == written


@given(st.binary(max_size=200) | st.text(string.printable, max_size=200).map(str.encode))
def test_any_bytes_are_settings_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    try:
        read_settings(str(path), {})
    except BadConfig as error:
        assert str(error).startswith(str(path))


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none.toml"
    assert fails(capsys, 1, "--config", str(missing)) == f"memtui: {missing}: no such file\n"
    assert "Is a directory" in fails(capsys, 1, "--config", str(tmp_path), "free")
    assert "'7m'" in fails(capsys, 2, "--window", "7m")
    assert "not 'dark'" in fails(capsys, 2, "--theme", "dark")
    assert "lab, not 'top'" in fails(capsys, 2, "--view", "top")
    text = prints(capsys, "--help")
    for flag in ("--config FILE", "--window TIME", "--theme NAME", "--view NAME", "--readonly"):
        assert f"\n  {flag} " in text
    assert "~/.config/memtui/config.toml" in text


def test_an_unreadable_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.toml"
    path.symlink_to(path)  # whom no permissions stop
    assert f"{path}: Too many levels" in fails(capsys, 1, "--config", str(path))


def test_reports_do_not_read_what_was_not_named(tmp_path: Path) -> None:
    (tmp_path / "memtui").mkdir()
    path = tmp_path / "memtui/config.toml"
    path.write_text("nonsense = 1\n")
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert run("free", "--root", DEBIAN, **environment).returncode == 0
    for words in (["--root", DEBIAN], ["free", "--config", str(path)]):
        done = run(*words, **environment)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"memtui: {path}:1: nonsense: no such setting")


def test_a_home_is_said_as_one(tmp_path: Path) -> None:
    (tmp_path / ".config/memtui").mkdir(parents=True)
    (tmp_path / ".config/memtui/config.toml").write_text("\n\n\ninterval = 'x'\n")
    for base in ("", "relative/are/ignored"):
        done = run(HOME=str(tmp_path), XDG_CONFIG_HOME=base)
        assert done.stderr == (
            "memtui: ~/.config/memtui/config.toml:4: interval: "
            "expected 0.1 to 3600 seconds, not 'x'\n"
        )


def test_what_the_table_names_is_there() -> None:
    assert all(issubclass(imported(view.code), View) for view in VIEWS)
    assert set(PALETTES) == set(THEMES)
