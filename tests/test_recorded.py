"""A machine that is bytes by name says the same as the tree they were taken from, in all that reads."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from memtui.imported import imported
from memtui.kernel.details import DETAIL_FILES, read_shares
from memtui.kernel.files import Gap, Malformed
from memtui.kernel.kmsg import LogPart, read_log
from memtui.live.deathsigns import DeathSigns
from memtui.live.looker import read_map
from memtui.live.machine import machine_of
from memtui.live.plan import Plan
from memtui.live.readers import FIELDS
from memtui.live.sampler import Sampler
from memtui.model.map.addressmap import AddressMap
from memtui.ondemand.context import context_of
from memtui.ondemand.elf import read_image
from memtui.ondemand.oom import read_outlook
from memtui.ondemand.pages import read_pages
from memtui.ondemand.place import read_place
from memtui.ondemand.sharers import find_sharers
from memtui.ondemand.walk import walk
from memtui.reports.output import Failure
from tests.commandwords import REPORTS, arguments_of
from tests.conftest import HOSTS, open_host
from tests.recorded import Recorded, recorded

EVERYTHING = Plan(every_detail=True, fields=FIELDS, details=DETAIL_FILES)


def pair(host: str) -> tuple[Recorded, Recorded]:
    tree = open_host(host)
    return recorded(tree.root), tree  # type: ignore[return-value]


@pytest.mark.parametrize("host", HOSTS)
def test_a_sample_of_everything(host: str) -> None:
    samples = []
    for files in pair(host):
        sampler = Sampler(files)
        sampler.sample()
        found = sampler.sample(plan=EVERYTHING)
        signs = DeathSigns(files, machine_of(files).page_bytes).read(
            found, frozenset(found.processes)
        )
        sampler.close()
        details = {key: each._replace(time_s=0.0) for key, each in found.details.items()}
        samples.append(
            found._replace(time_s=0.0, details=details, signs=signs._replace(known=signs.known))
        )
    assert samples[0] == samples[1]
    assert samples[0].processes


@pytest.mark.parametrize("host", HOSTS)
def test_what_is_read_of_each_process(host: str) -> None:
    mine, tree = pair(host)
    machine = machine_of(tree)
    assert machine_of(mine).page_bytes == machine.page_bytes
    sampler = Sampler(tree)
    sample = sampler.sample()
    sampler.close()
    for key in sample.processes:
        for source in ("smaps", "maps"):
            own, other = (read_map(files, key, source).map for files in (mine, tree))
            assert own == other if isinstance(own, Gap) else not isinstance(other, Gap)
        assert read_shares(mine, key.pid, 0.0) == read_shares(tree, key.pid, 0.0)
        assert read_place(mine, key) == read_place(tree, key)
        if not isinstance(own, AddressMap) or not isinstance(other, AddressMap) or not own.mappings:
            continue
        ours, theirs = own.mappings, other.mappings
        assert (ours.starts, ours.paths, ours.inodes) == (
            theirs.starts,
            theirs.paths,
            theirs.inodes,
        )
        start = ours.starts[0]
        assert walk(mine, machine, own, start) == walk(tree, machine, other, start)
        assert read_pages(mine, key, start, 1, machine.page_bytes, True) == read_pages(
            tree, key, start, 1, machine.page_bytes, True
        )
        images = [read_image(files, key, ours, 0) for files in (mine, tree)]
        assert images[0] == images[1] and isinstance(images[0], Gap)
        shared = (ours.devs[0], ours.inodes[0], ours.paths[0])
        assert find_sharers(mine, *shared) == find_sharers(tree, *shared)


@pytest.mark.parametrize("host", HOSTS)
def test_what_is_read_of_the_machine(host: str) -> None:
    mine, tree = pair(host)
    machine = machine_of(tree)
    page = machine.page_bytes
    sampler = Sampler(tree)
    sample = sampler.sample()
    sampler.close()
    assert read_outlook(mine, page) == read_outlook(tree, page)
    assert context_of(sample, mine, machine) == context_of(sample, tree, machine)


def printed(report: Iterable[str], root: str) -> str:
    try:
        return "".join(report).replace(root, "ROOT")
    except (Failure, Malformed) as failure:
        return str(failure).replace(root, "ROOT")


@pytest.mark.parametrize("host", HOSTS)
def test_every_report(host: str, tmp_path: Path) -> None:
    mine, tree = pair(host)
    (pid, *_) = sorted(tree.pids())
    for command in REPORTS:
        for form in ("text", "json"):
            own = {option.key: None for option in command.options}
            arguments = arguments_of(command, tmp_path / "written", str(pid))
            options = argparse.Namespace(
                **own,
                json=form == "json",
                csv=False,
                recording=None,
                roots=[],
                argument=arguments[0] if arguments else None,
                arguments=arguments,
            )
            said = []
            for files in (mine, tree):
                said.append(printed(imported(command.code)(files, options), files.root))
                if "FILE" in command.argument:
                    written = (tmp_path / "written").read_text().replace(files.root, "ROOT")
                    said[-1] = re.sub(r"\d{4}-\d\d-\d\dT[\d:+]+", "NOW", written)
                    (tmp_path / "written").unlink()
            assert said[0] == said[1] and said[0], command.name


def test_its_log_is_read_on() -> None:
    mine = Recorded({"dev/kmsg": b"3,1,1000,-;one\n"})
    part = read_log(mine)
    assert isinstance(part, LogPart) and [record.message for record in part.records] == [b"one"]
    assert isinstance(read_log(Recorded()), Gap)
