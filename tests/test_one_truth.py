"""Every figure of one moment is the same wherever it is told: in views, reports and explanations."""

from __future__ import annotations

import contextlib
import io
import json
import re
from typing import Any

import pytest

from memtui import units
from memtui.cli import main
from memtui.kernel.files import Gap
from memtui.live.machine import page_bytes_of
from memtui.live.plan import Plan
from memtui.live.readers import FIELDS
from memtui.live.sampler import Sampler
from memtui.model.explain.context import Context
from memtui.model.explain.explain import explain
from memtui.model.sample import Sample
from memtui.model.system.balance import UNACCOUNTED, balance_of
from memtui.model.system.free import free_figures
from memtui.model.system.metrics import METRICS
from memtui.reports.explain import explain as explain_report
from tests.conftest import HOSTS, open_host
from tests.interface import app_of, captured, press, running, screen, screen_text

HOST = "debian-6.18"


def whole(host: str) -> Sample:
    return Sampler(open_host(host)).sample(plan=Plan(fields=FIELDS))


def report(host: str, *words: str) -> Any:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main([*words, "--json", "--root", str(open_host(host).root)]) == 0
    return json.JSONDecoder().raw_decode(said.getvalue())[0]


@pytest.mark.parametrize("host", HOSTS)
def test_figures_and_their_explanations(host: str) -> None:
    """Of a gauge the explanation has the figure's value, and the report says the explanation's."""
    now, files = whole(host), open_host(host)
    context = Context(now, page_bytes=page_bytes_of(files))
    for name, metric in METRICS.items():
        told = explain(name, context)
        value = metric.value(now, None)
        if value is None or told.value is None:
            assert (value is None) >= (told.value is None), name
            continue
        assert told.value == pytest.approx(value, rel=1e-6, abs=1024), name
        (line,) = explain_report(files, name, "json")
        assert json.loads(line)["value"] == pytest.approx(told.value, rel=1e-6), name


@pytest.mark.parametrize("host", HOSTS)
def test_the_balance_and_what_explains_its_lines(host: str) -> None:
    now = whole(host)
    sheet = balance_of(now.system)
    metric = METRICS["unaccounted_bytes"].value(now, None)
    assert sheet.line(UNACCOUNTED).bytes == metric
    context = Context(now, page_bytes=page_bytes_of(open_host(host)))
    assert explain("unaccounted", context).value == metric
    lists = sheet.line("free_lists")
    if lists.bytes is not None and not lists.cut_bytes:
        assert explain("free, on CPU lists", context).value == lists.bytes


@pytest.mark.parametrize("host", HOSTS)
def test_free_and_sar_have_the_moments_figures(host: str) -> None:
    now = whole(host)
    free, told = free_figures(now.system.meminfo), report(host, "free")
    for name in ("total", "used", "free", "shared", "available"):
        assert told["mem"][name] == getattr(free, name), name
    sar = report(host, "sar", "-r")
    row = sar[0] if isinstance(sar, list) else sar
    meminfo = now.system.meminfo
    # sar(1) shows MemAvailable as it stands, even where a container has more of it than memory.
    if not isinstance(meminfo, Gap) and "MemAvailable" in meminfo:
        assert row["kbavail"] == meminfo["MemAvailable"] // 1024
        if meminfo["MemAvailable"] <= meminfo["MemTotal"]:
            assert free.available == meminfo["MemAvailable"]


@pytest.mark.parametrize("host", HOSTS)
def test_means_since_boot_are_by_one_clock(host: str) -> None:
    """An explanation divided by a container's uptime what sar divided by the machine's."""
    files = open_host(host)
    vmstat = whole(host).system.vmstat
    if (
        isinstance(vmstat, Gap)
        or "pgfault" not in vmstat
        or isinstance(files.read("proc/uptime"), Gap)
    ):
        return
    sar = report(host, "sar", "-B")
    row = sar[0] if isinstance(sar, list) else sar
    (line,) = explain_report(files, "pgfault", "json")
    assert json.loads(line)["value"] == pytest.approx(row["fault/s"], rel=1e-3)


async def test_the_screens_have_the_moments_figures() -> None:
    now = whole(HOST)
    free = free_figures(now.system.meminfo)
    lost = balance_of(now.system).line(UNACCOUNTED).bytes
    assert lost is not None
    app = app_of([now], {})
    async with running(app, (200, 60)) as pilot:
        head = screen_text(app)[1]
        assert f"available {units.size(free.available)} {units.percent(free.available_pct)}" in head
        overview = screen(app)
        for line in balance_of(now.system).lines:
            # The wide Overview has the largest lines only.
            if found := re.search(
                rf"{re.escape(line.label)} {{2,}}([\d.]+ [KMG]iB) +[\d.]+ %", overview
            ):
                assert found[1] == units.size(line.bytes), line.label
        await press(pilot, "5")
        assert f"unaccounted {units.size(lost)}" in screen(app)
        await press(pilot, "4")
        available = METRICS["mem_available_bytes"]
        text = re.escape(available.text(free.available))
        assert re.search(rf"{available.label} +{text} ", screen(app))


def test_processes_and_their_maps() -> None:
    """PSS apart, which smaps rounds down for each mapping and smaps_rollup does not."""
    compared = 0
    for row in report(HOST, "procs"):
        if row["pss_bytes"] is None:
            continue
        found = report(HOST, "maps", str(row["pid"]))
        totals, rounding = found["totals"], 1024 * len(found["mappings"])
        if totals["rss_bytes"] is None:  # a capture of maps alone
            continue
        assert totals["rss_bytes"] == row["rss_bytes"]
        # VmSwap is without shared memory that is swapped out, which smaps tells for each mapper.
        assert totals["swap_bytes"] >= row["swap_bytes"]
        assert 0 <= row["pss_bytes"] - totals["pss_bytes"] <= rounding, row["name"]
        private = totals["private_clean_bytes"] + totals["private_dirty_bytes"]
        assert private == row["uss_bytes"], row["name"]
        compared += 1
    assert compared > 5


async def test_the_screens_have_the_reports_figures_of_a_process() -> None:
    (row,) = (each for each in report(HOST, "procs") if each["name"] == "java")
    now, maps = captured(HOST)
    app = app_of([now], maps)
    async with running(app, (200, 60)) as pilot:
        await press(pilot, "2")
        line, *_ = (each for each in screen_text(app) if re.match(rf"[▌ ] *{row['pid']} ", each))
        for name in ("rss_bytes", "rss_anon_bytes", "pss_bytes", "uss_bytes"):
            assert f" {units.size(row[name], short=True)} " in line, name
        await press(pilot, "3")
        head = screen_text(app)[1]
        assert f"RSS {units.size(row['rss_bytes'])} " in head
        assert f"PSS {units.size(row['pss_bytes'])} " in head
