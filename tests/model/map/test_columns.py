"""Columns, filters, orders and exports of a map: against the kernel's lines, pmap and the report."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.maps import parse_maps, read_mappings
from memtui.kernel.process import parse_stat
from memtui.live.looker import read_map
from memtui.model.keys import ProcessKey
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.arrange import arrange, export_csv, export_json, next_match
from memtui.model.map.change import Trail, gain
from memtui.model.map.columns import COLUMNS, available, column, fields, named, value
from memtui.model.map.labels import label
from memtui.model.query import Term, Value, parse_query
from memtui.reports.mappings import maps
from tests.conftest import HOSTS, may_read, open_host
from tests.oracles import until_alike

KEY = ProcessKey(7, 1)
CAPTURED = [
    (host, pid)
    for host in HOSTS
    for pid in sorted(open_host(host).pids())
    if may_read(open_host(host), f"proc/{pid}/smaps")
]
REPORTED = (
    "start end size perms offset dev inode path kind rss pss shared_clean shared_dirty "
    "private_clean private_dirty referenced anonymous swap swap_pss locked vm_flags label"
).split()


@cache
def captured(host: str, pid: int, source: str = "smaps") -> AddressMap:
    files = open_host(host)
    stat = files.parsed(f"proc/{pid}/stat", parse_stat)
    assert not isinstance(stat, Gap)
    map_ = read_map(files, ProcessKey(pid, stat.starttime or 0), source).map
    assert not isinstance(map_, Gap)
    return map_


def smaps(*mappings: tuple[str, dict[str, str]]) -> AddressMap:
    """A map of `range perms name` lines, each with its own lines of smaps."""
    lines = []
    for head, usage in mappings:
        range_, perms, *name = head.split(None, 2)
        lines.append(f"{range_} {perms} 00000000 08:01 9 {''.join(name)}\n")
        lines += [f"{key}: {text}\n" for key, text in usage.items()]
    return AddressMap(KEY, parse_maps("".join(lines).encode()))


def resident(*rss: int | None, names: str = "") -> AddressMap:
    """A map of a page each, so many kB of it in memory; None: the kernel does not say."""
    words = names.split() or [""] * len(rss)
    return smaps(
        *(
            (
                f"{0x1000 * at + 0x10000:x}-{0x1000 * at + 0x11000:x} rw-p {name}",
                {"Size": "4 kB"} if kib is None else {"Size": "4 kB", "Rss": f"{kib} kB"},
            )
            for at, (kib, name) in enumerate(zip(rss, words, strict=True))
        )
    )


def found(map_: AddressMap, text: str, sort: str | None = None, down: bool = False) -> list[int]:
    return list(arrange(map_, parse_query(text, fields(map_)), sort, down))


# The table ------------------------------------------------------------------------------------


def test_every_column_has_a_name_of_its_own_and_says_what_it_is() -> None:
    for names in (
        [each.name for each in COLUMNS.values()],
        [each.json_name for each in COLUMNS.values()],
        [each.title for each in COLUMNS.values()],
        [each.words for each in COLUMNS.values()],
    ):
        assert len(set(names)) == len(names)
        assert all(names)
    for each in COLUMNS.values():
        assert each.json_name.endswith("_bytes") == (each.type in ("bytes", "change"))


def test_every_column_can_be_filtered_by_and_none_is_hidden_by_another() -> None:
    operands = {"text": ":x", "address": ">1000", "percent": ">50"}
    for each in COLUMNS.values():
        text = each.name + (":anon" if each.name == "kind" else operands.get(each.type, ">1"))
        (term,) = parse_query(text, fields(None))
        assert term.field == each.name


@pytest.mark.parametrize(("host", "pid"), CAPTURED)
def test_all_of_smaps_is_there_row_by_row_and_column_by_column(host: str, pid: int) -> None:
    map_ = captured(host, pid)
    columns = {each.key: each for each in available(map_) if each.key}
    mappings = map_.mappings
    assert {*mappings.usage, *mappings.texts} == set(columns)
    for row in range(len(map_)):
        vma = mappings.vma(row)
        for key, each in columns.items():
            own = vma.texts.get(key) if each.type == "text" else vma.usage[key]
            assert value(map_, row, each.name) == own
    for each in (*available(map_), *COLUMNS.values()):
        own_values = [value(map_, row, each.name) for row in range(len(map_))]
        assert list(column(map_, each.name)) == own_values
        if each not in available(map_):
            assert set(own_values) <= {None}


@pytest.mark.parametrize(("host", "pid"), CAPTURED)
def test_what_is_derived_adds_up(host: str, pid: int) -> None:
    map_ = captured(host, pid)

    def total(name: str) -> int | None:
        known = [each for each in column(map_, name) if each is not None]
        return sum(map(int, known)) if known else None

    if len(map_):
        totals = map_.totals
        assert total("size") == totals.size
        for name in ("rss", "pss", "private", "shared", "huge", "swap", "locked", "anonymous"):
            assert total(name) == getattr(totals, name)
    names = ("rss", "private", "shared", "resident_pct")
    for row, (rss, private, shared, share) in enumerate(
        zip(*(column(map_, name) for name in names), strict=True)
    ):
        assert isinstance(share, float) and 0 <= share <= 100
        assert (share == 0) == (map_.mappings.in_memory(row) == 0)
        assert isinstance(private, int) and isinstance(shared, int)
        assert private + shared == rss


def test_lines_that_nobody_has_heard_of_become_columns() -> None:
    usage = {"Size": "4 kB", "Rss": "4 kB", "HugePFNMap": "8 kB", "rss": "12 kB"}
    map_ = smaps(
        ("10000-11000 rw-p", usage | {"Odd<key>": "of a vendor"}),
        ("11000-12000 r--p", {"Size": "4 kB", "Rss": "0 kB"}),
    )
    extras = available(map_)[-3:]
    assert [(each.name, each.title, each.type) for each in extras] == [
        ("huge_pfn_map", "HugePFNMap", "bytes"),
        ("rss_", "rss", "bytes"),
        ("odd_key", "Odd<key>", "text"),
    ]
    assert [list(column(map_, each.name)) for each in extras] == [
        [8192, None],
        [12288, None],
        ["of a vendor", None],
    ]
    assert [value(map_, 0, each.name) for each in extras] == [8192, 12288, "of a vendor"]
    assert found(map_, "hugepfnmap>=8K odd:VENDOR") == [0]
    assert named(map_, "huge_pfn_map") is extras[0]
    assert named(resident(4), "huge_pfn_map") is None
    assert list(column(resident(4), "huge_pfn_map")) == [None]


def test_a_text_where_a_number_belongs_is_not_known() -> None:
    map_ = smaps(("10000-11000 rw-p", {"Size": "4 kB", "KSM": "lots", "VmFlags": "7"}))
    assert value(map_, 0, "ksm") is value(map_, 0, "vm_flags") is None
    assert [*column(map_, "ksm"), *column(map_, "vm_flags")] == [None, None]
    assert found(map_, "ksm>=0", "ksm") == found(map_, "vmflags:7", "vm_flags") == []


def test_huge_pages_are_those_that_the_kernel_counts() -> None:
    map_ = smaps(
        ("10000-11000 rw-p", {"Size": "4 kB", "AnonHugePages": "8 kB", "Shared_Hugetlb": "2 kB"}),
        ("11000-12000 rw-p", {"Size": "4 kB"}),
    )
    assert column(map_, "huge") == [10240, None]


def test_gains_since_each_earlier_reading() -> None:
    trail = Trail()
    for kib, time_s in ((4, 0.0), (8, 100.0), (16, 110.0)):
        trail.add(resident(kib, 0), time_s)
        if not time_s:
            trail.set_mark()
    now = resident(20, 0)
    trail.add(now, 112.0)
    names = ("rss_gain", "rss_gain_minute", "rss_gain_mark")
    assert [value(now, 0, name, trail) for name in names] == [4096, 12288, 16384]
    assert [column(now, name, trail) for name in names] == [[4096, 0], [12288, 0], [16384, 0]]
    assert [value(now, 0, name) for name in names] == [None] * 3
    assert column(now, "rss_gain", Trail()) == [None, None]
    assert value(now, 0, "pss_gain", trail) is None
    (term,) = parse_query("rss_gain>0", fields(now))
    assert list(arrange(now, [term], trail=trail)) == [0]
    assert list(arrange(now, sort="rss_gain", trail=trail)) == [1, 0]
    assert next_match(now, range(2), [term], 1, trail=trail) == 0


def test_gains_of_a_column_are_those_of_its_rows() -> None:
    trail = Trail()
    trail.add(captured("leaking", 4711), 0.0)
    map_ = captured("leaking-later", 4711)
    trail.add(map_, 1.0)
    then = trail.previous
    assert then
    for name, key in (("rss_gain", "Rss"), ("pss_gain", "Pss"), ("swap_gain", "Swap")):
        own = [gain(then, map_.mappings, row, key) for row in range(len(map_))]
        assert list(column(map_, name, trail)) == own
        assert [value(map_, row, name, trail) for row in range(len(map_))] == own


def test_before_usage_is_read_there_are_no_columns_of_it_but_filters_may_name_them() -> None:
    map_ = captured("debian-6.18", 688, "maps")
    names = [each.name for each in available(map_)]
    assert names == "start end size perms offset dev inode path kind label".split()
    assert found(map_, "rss>=0") == found(map_, "-rss>=0") == found(map_, "-vmflags:lo") == []
    assert found(map_, "", "rss", True) == list(range(len(map_)))


@pytest.mark.skipif(not shutil.which("pmap"), reason="procps is not installed")
def test_columns_agree_with_pmap(stopped_pid: int) -> None:
    """Those that do not move with other processes, of one that holds still."""
    until_alike(lambda: pmap_agrees(stopped_pid))


def pmap_agrees(stopped_pid: int) -> None:
    mappings = read_mappings(LiveFiles(), stopped_pid)
    assert not isinstance(mappings, Gap)
    map_ = AddressMap(ProcessKey(stopped_pid, 1), mappings)
    done = subprocess.run(
        ["pmap", "-XX", str(stopped_pid)], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    heads = lines[1].split()
    rows = [line.split() for line in lines[2 : 2 + len(map_)]]
    still = "Rss Anonymous Swap Locked AnonHugePages LazyFree KernelPageSize MMUPageSize".split()
    compared = [each for each in available(map_) if each.key in {*still, "ProtectionKey"}]
    assert len(compared) >= len(still)
    for each in compared:
        at, unit = heads.index(each.key), 1024 if each.type == "bytes" else 1
        assert list(column(map_, each.name)) == [int(row[at]) * unit for row in rows]
    assert list(column(map_, "start")) == [int(row[0], 16) for row in rows]
    assert sum(map(bool, column(map_, "rss"))) > 20


# Filters and orders ---------------------------------------------------------------------------


def test_nothing_filtered_nor_sorted_costs_nothing() -> None:
    map_ = resident(4, 8)
    assert arrange(map_) == range(2)
    assert isinstance(arrange(map_), range)
    assert arrange(map_, sort="start", downwards=True) == range(1, -1, -1)


def test_equal_values_keep_their_addresses_order_and_the_unknown_come_last() -> None:
    map_ = resident(4, None, 8, 4, 8, None, 0)
    assert found(map_, "", "rss") == [6, 0, 3, 2, 4, 1, 5]
    assert found(map_, "", "rss", True) == [2, 4, 0, 3, 6, 1, 5]
    assert found(map_, "rss>=4K", "rss", True) == [2, 4, 0, 3]
    assert found(map_, "-rss>=4K") == [6]  # turned round, the unknown are still unknown


def test_words_are_looked_for_in_names_and_labels() -> None:
    map_ = resident(4, 4, 4, names="/usr/lib/LIBC.so [heap] [stack]")
    told = [label(map_, row).words for row in range(3)]
    assert "brk" in told[1] and "stack" in told[2]
    assert found(map_, "libc") == [0]
    assert found(map_, "brk") == found(map_, "label:brk") == [1]
    assert found(map_, "path:brk") == []
    assert found(map_, "-brk") == found(map_, "-label:brk") == [0, 2]
    assert found(map_, "-heap -stack") == [0]
    assert found(map_, f'label="{told[2]}"') == [2]
    assert found(map_, "heap stack") == []
    assert found(map_, '""') == [0, 1, 2]


QUERIES = [
    "rss>0",
    "-rss>100K",
    "swap!=0",
    "size>=64K",
    "perm:w",
    "-perm:x",
    "kind:text,data,bss",
    "kind!=file",
    "path:LIB",
    'path=""',
    "vmflags:mw",
    "private>0 shared=0",
    "resident>=99.5",
    "lib -perm:x",
    "-stack",
    "inode>0 offset>4K",
]


def naive(map_: AddressMap, terms: tuple[Term, ...], row: int) -> bool:
    """Whether a row fulfils all terms, asked one by one."""

    def asked(term: Term) -> bool:
        if term.field:
            own = value(map_, row, term.field)
            return own is not None and term.holds(own)
        texts = [value(map_, row, name) for name in ("path", "label")]
        held = [term.holds(text) for text in texts if text is not None]
        return all(held) if term.operator == "!:" else any(held)

    return all(map(asked, terms))


def naively_sorted(rows: list[int], values: list[Any], downwards: bool) -> list[int]:
    known = [row for row in rows if values[row] is not None]
    known.sort(key=values.__getitem__, reverse=downwards)
    return known + [row for row in rows if values[row] is None]


@pytest.mark.parametrize(("host", "pid"), [("debian-6.18", 688), ("hostile", 1000012)])
@pytest.mark.parametrize("query", QUERIES)
def test_filters_choose_what_asking_row_by_row_does(host: str, pid: int, query: str) -> None:
    map_ = captured(host, pid)
    terms = parse_query(query, fields(map_))
    expected = [row for row in range(len(map_)) if naive(map_, terms, row)]
    assert found(map_, query) == expected


@pytest.mark.parametrize("downwards", [False, True])
def test_every_column_sorts(downwards: bool) -> None:
    map_ = captured("debian-6.18", 688)
    assert len(map_) > 128  # several rows for each bucket that they are sorted in
    rows = found(map_, "perm:r")
    for each in available(map_):
        values = [value(map_, row, each.name) for row in range(len(map_))]
        expected = naively_sorted(rows, values, downwards)
        assert found(map_, "perm:r", each.name, downwards) == expected, each.name


@given(st.lists(st.none() | st.integers(0, 40), max_size=400), st.booleans())
def test_any_values_are_sorted(values: list[int | None], downwards: bool) -> None:
    map_ = resident(*values)
    assert found(map_, "", "rss", downwards) == naively_sorted(
        list(range(len(values))), [None if kib is None else kib << 10 for kib in values], downwards
    )


# Next and previous ----------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.data())
def test_the_next_match_goes_round_in_the_shown_order(rss: list[int], data: st.DataObject) -> None:
    map_ = resident(*rss)
    terms = parse_query("rss=1K", fields(map_))
    rows = found(map_, "", "rss", data.draw(st.booleans()))
    position = data.draw(st.integers(0, len(rows) - 1))
    step = data.draw(st.sampled_from([1, -1]))
    expected = None
    for distance in range(1, len(rows) + 1):
        at = (position + step * distance) % len(rows)
        if rss[rows[at]] == 1:
            expected = at
            break
    assert next_match(map_, rows, terms, position, step) == expected


def test_matches_are_among_the_rows_shown_and_by_word_too() -> None:
    map_ = resident(4, 4, 4, 4, names="[heap] /a [stack] /b")
    stack = parse_query("stack", fields(map_))
    assert next_match(map_, range(4), stack, 0) == 2
    assert next_match(map_, range(4), stack, 2) == 2
    assert next_match(map_, [3, 2, 0], stack, 0) == 1
    assert next_match(map_, [3, 1, 0], stack, 0) is None
    assert next_match(map_, [], stack, 0) is None
    assert next_match(map_, [3, 1, 0], (), 2) == 0


# Exports --------------------------------------------------------------------------------------


def cells(pieces: Iterator[str]) -> list[list[str]]:
    text = "".join(pieces)
    assert text.endswith("\n")
    return list(csv.reader(io.StringIO(text, newline="")))


def as_cell(name: str, own: Value) -> str:
    if own is None:
        return ""
    return hex(int(own)) if name in ("start", "end") else str(own)


@pytest.mark.parametrize(("host", "pid"), CAPTURED)
def test_csv_holds_the_shown_rows_and_columns_in_their_order(host: str, pid: int) -> None:
    map_ = captured(host, pid)
    names = [each.name for each in available(map_)][::-1]
    rows = arrange(map_, sort="size", downwards=True)
    heads, *lines = cells(export_csv(map_, rows, names))
    assert heads == [each.json_name for each in available(map_)][::-1]
    assert lines == [[as_cell(name, value(map_, row, name)) for name in names] for row in rows]


def test_csv_quotes_by_the_book_and_leaves_names_as_they_are() -> None:
    names = [b"/a,b", b'/say "x"', b"/cr\rcr", b"/ends ", b"=1+1", b"/\xff\xe9", b""]
    lines = [
        b"%x-%x r--p 00000000 08:01 9 %s\n" % (at << 12, (at + 1) << 12, name)
        for at, name in enumerate(names, 1)
    ]
    map_ = AddressMap(KEY, parse_maps(b"".join(lines)))
    pieces = "".join(export_csv(map_, range(len(map_)), ["path", "rss", "no_such_column"]))
    written = pieces.encode("utf-8", "surrogateescape")
    assert written.split(b"\n")[:3] == [b"path,rss_bytes", b'"/a,b",', b'"/say ""x""",']
    read = cells(iter([written.decode("utf-8", "surrogateescape")]))[1:]
    assert [line[0].encode("utf-8", "surrogateescape") for line in read] == names


@pytest.mark.parametrize(("host", "pid"), CAPTURED)
def test_json_is_what_the_report_says(host: str, pid: int) -> None:
    """With the report's columns in their order it is the report's mappings, keys and all."""
    map_ = captured(host, pid)
    more = [each.name for each in available(map_) if each.key and each.name not in REPORTED]
    text = "".join(export_json(map_, range(len(map_)), [*REPORTED, *more]))
    assert text.isascii()
    reported = json.loads("".join(maps(open_host(host), str(pid), "json")))["mappings"]
    assert [list(row.items()) for row in json.loads(text)] == [
        list(row.items()) for row in reported
    ]


def test_json_of_every_column_is_the_shown_rows() -> None:
    map_ = captured("debian-6.18", 688)
    trail = Trail()
    trail.add(map_, 0.0)
    trail.add(map_, 2.0)
    rows = arrange(map_, sort="rss", downwards=True)[:50]
    names = [each.name for each in available(map_) if each.name not in ("start", "end", "vm_flags")]
    objects = json.loads("".join(export_json(map_, rows, names, trail)))
    assert objects == [
        {COLUMNS[name].json_name: value(map_, row, name, trail) for name in names} for row in rows
    ]
    assert objects[0]["rss_gain_bytes"] == 0
    assert json.loads("".join(export_json(map_, [], names))) == []


def test_long_exports_come_in_pieces() -> None:
    map_ = resident(*[4] * 5000)
    for export in (export_csv, export_json):
        pieces = list(export(map_, range(5000), ["start", "rss"]))
        assert max(map(len, pieces)) < len("".join(pieces)) / 2
    assert len(cells(export_csv(map_, range(5000), ["start"]))) == 5001
    assert len(json.loads("".join(export_json(map_, range(5000), ["start"])))) == 5000
