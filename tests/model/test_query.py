"""The filter language: what people type, what they mean, and what they are told."""

from __future__ import annotations

import operator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memtui import units
from memtui.model.query import BadQuery, Choice, FieldType, Term, parse_address, parse_query

FIELDS: dict[str, FieldType] = {
    "start": "address",
    "size": "bytes",
    "rss": "bytes",
    "rss_gain": "change",
    "private_clean": "bytes",
    "private_dirty": "bytes",
    "inode": "count",
    "resident_pct": "percent",
    "perms": "text",
    "path": "text",
    "vm_flags": "text",
    "kind": Choice({"heap": "heap", "anon": "anon", "relro": "relro", "h": "heap", "R": "relro"}),
}

COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


def terms(text: str) -> list[tuple[object, ...]]:
    return [tuple(term) for term in parse_query(text, FIELDS)]


def complaint(text: str) -> str:
    with pytest.raises(BadQuery) as found:
        parse_query(text, FIELDS)
    message = str(found.value)
    assert units.printable(message) == message and len(message) < 200
    return message


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        ("4096", 4096),
        ("0", 0),
        ("10B", 10),
        ("4K", 4 << 10),
        ("4k", 4 << 10),
        ("4kB", 4 << 10),
        ("4KiB", 4 << 10),
        ("4Ki", 4 << 10),
        ("100M", 100 << 20),
        ("1.5GiB", 3 << 29),
        ("2t", 2 << 40),
        ("1P", 1 << 50),
        ("8E", 8 << 60),
        ("0x1000", 4096),
    ],
)
def test_sizes_are_powers_of_1024(text: str, bytes_: int) -> None:
    assert terms(f"rss>{text}") == [("rss", ">", bytes_)]


@pytest.mark.parametrize("sign", COMPARE)
def test_every_comparison_of_numbers_and_what_it_is_turned_round(sign: str) -> None:
    (plain,), (turned,), (shouted,) = (
        parse_query(f"{mark}size{sign}4K", FIELDS) for mark in ("", "-", "!")
    )
    assert plain == Term("size", sign, 4096)
    assert turned == shouted
    for value in (4095, 4096, 4097):
        assert plain.holds(value) is COMPARE[sign](value, 4096)
        assert plain.holds(value) is not turned.holds(value)


def test_a_colon_before_a_number_is_an_equals_sign() -> None:
    assert terms("rss:4K") == terms("rss=4096")


def test_texts_hold_their_part_in_whatever_case() -> None:
    (term,) = parse_query("path:LibC", FIELDS)
    assert term.holds("/usr/lib/libc.so.6")
    assert term.holds("/opt/LIBC")
    assert not term.holds("/usr/lib/libm.so.6")
    (turned,) = parse_query("-path:LibC", FIELDS)
    assert [turned.holds(path) for path in ("/opt/LIBC", "/x")] == [False, True]
    (exact,) = parse_query("path=/opt/LIBC", FIELDS)
    assert [exact.holds(path) for path in ("/opt/LIBC", "/opt/libc")] == [True, False]
    assert terms("-path=/x") == terms("path!=/x") == [("path", "!=", "/x")]
    assert terms('path=""') == [("path", "=", "")]


def test_quotes_keep_blanks_and_signs() -> None:
    assert terms('path:"with  blank" "rss>5" lib"a b"') == [
        ("path", ":", "with  blank"),
        ("", ":", "rss>5"),
        ("", ":", "liba b"),
    ]


def test_words_are_what_has_no_operator() -> None:
    assert terms(" heap  /usr/lib [anon:scudo] -Stack a-b -- ") == [
        ("", ":", "heap"),
        ("", ":", "/usr/lib"),
        ("", ":", "[anon:scudo]"),
        ("", "!:", "stack"),
        ("", ":", "a-b"),
        ("", "!:", "-"),
    ]
    assert terms("") == terms(" \t ") == []


def test_choices_by_name_by_letter_and_several() -> None:
    assert terms("kind:heap") == terms("kind=HEAP") == terms("kind:h")
    (term,) = parse_query("kind:h,anon", FIELDS)
    assert [term.holds(kind) for kind in ("heap", "anon", "relro")] == [True, True, False]
    for text in ("-kind:h,anon", "kind!=h,anon"):
        (turned,) = parse_query(text, FIELDS)
        assert [turned.holds(kind) for kind in ("heap", "anon", "relro")] == [False, False, True]
    assert terms("-kind!=heap") == terms("kind:heap")
    assert terms("kind:R") == [("kind", "in", frozenset({"relro"}))]


def test_addresses_are_in_hex_and_changes_have_signs() -> None:
    assert terms("start>=7f0000000000") == terms("start>=0x7f0000000000")
    assert terms("start>=0x7f0000000000") == [("start", ">=", 0x7F0000000000)]
    assert terms("rss_gain<-1M rss_gain>+4K rss_gain>4K") == [
        ("rss_gain", "<", -(1 << 20)),
        ("rss_gain", ">", 4096),
        ("rss_gain", ">", 4096),
    ]
    assert terms("inode=18446744073709551615") == [("inode", "=", (1 << 64) - 1)]
    assert terms("resident_pct>=99.5%") == [("resident_pct", ">=", 99.5)]


def test_a_column_by_so_much_of_its_name_as_no_other_has() -> None:
    assert terms("perm:w") == [("perms", ":", "w")]
    assert terms("vmflags:lo") == terms("VM_FLAGS:lo") == [("vm_flags", ":", "lo")]
    assert terms("rss>1") == [("rss", ">", 1)]  # and not rss_gain
    assert complaint("priv>1") == '"priv" may be private_clean, private_dirty'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("foo>1", 'no column "foo": start, size, rss, rss_gain, private_clean, private_dirty'),
        ("rsss>1", 'no column "rsss": did you mean rss'),
        ("kind:heep", 'no kind "heep": did you mean heap?'),
        ("kind:", "kind: wants a name"),
        ("kind:heap,", 'no kind "": heap, anon, relro'),
        ("kind>heap", "kind is a name: kind:heap"),
        ("rss>", "rss> wants a size, as in rss>100M"),
        ("heap rss>", "rss> wants a size"),
        ("rss >100M", 'no column before ">100M"'),
        ("rss>lots", '"lots" is not a size, as in rss>100M'),
        ("rss>12Q", '"12Q" is not a size'),
        ("rss>-1", '"-1" is not a size'),
        ("rss>4\N{KELVIN SIGN}", "is not a size"),
        ("rss>\N{ARABIC-INDIC DIGIT FOUR}", "is not a size"),
        ("rss>" + "9" * 5000, "is not a size"),
        ('rss_gain>""', '"" is not a change in size'),
        ("start>=zz", '"zz" is not an address in hex'),
        ("inode=1.5", '"1.5" is not a whole number'),
        ("resident>half", '"half" is not a percentage'),
        ("path>x", "path is a text: path:word for a part of it, path=word for all"),
        ("path:", "path: wants a text, as in path:word"),
        ('path:"with bl', 'no second " after "with bl'),
        ('"', 'no second " after "'),
        ("-", "no word after -"),
        ("rss>\x1b[2J\u202e", r'"\e[2J\u202e" is not a size'),
    ],
)
def test_what_is_wrong_is_said_in_a_line(text: str, said: str) -> None:
    assert said in complaint(text)


def test_everything_typed_on_the_way_to_a_filter_is_a_filter_or_a_line() -> None:
    whole = '-path:"a b" rss>=1.5GiB kind:heap,anon start<0x7f00 !stack'
    for length in range(len(whole) + 1):
        try:
            parse_query(whole[:length], FIELDS)
        except BadQuery as error:
            assert units.printable(str(error)) == str(error)
    assert len(terms(whole)) == 5


_PIECES = st.sampled_from(
    [*FIELDS, *"<>=:!-+,.%\"'@ \n", ">=", "!=", "0x", "1", "7f", "1.5", "GiB", "heap", "\u212a"]
)


@given(st.text() | st.lists(_PIECES, max_size=12).map("".join))
@example("rss>" + "1." + "9" * 400 + "E")
def test_any_text_gives_terms_or_a_complaint(text: str) -> None:
    try:
        found = parse_query(text, FIELDS)
    except BadQuery as error:
        assert str(error) and units.printable(str(error)) == str(error)
        return
    for term in found:
        type_ = FIELDS.get(term.field, "text")
        # Whatever was parsed can be asked of any value that such a column has.
        for value in ("", "heap") if type_ == "text" or isinstance(type_, Choice) else (0, -1, 0.5):
            assert isinstance(term.holds(value), bool)


@given(st.text(st.characters(exclude_characters='"'), max_size=20))
def test_a_word_in_quotes_is_found_in_whatever_holds_it(word: str) -> None:
    (term,) = parse_query(f'"{word}"', FIELDS)
    assert term == Term("", ":", word.casefold())
    assert term.holds(f"before{word}behind")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("@0x7f2d0c000000", 0x7F2D0C000000),
        ("@7f2d0c000000", 0x7F2D0C000000),
        ("@1000", 0x1000),
        ("0x1000", 0x1000),
        ("0X7F2D0C000000", 0x7F2D0C000000),
        (" 7f2d0c000000 ", 0x7F2D0C000000),
        ("00400000", 0x400000),
        ("7f2d0c000000-7f2d0c001000", 0x7F2D0C000000),
        ("7f2d0c000000–7f2d0c001000", 0x7F2D0C000000),
        ("0x1000-0x2000", 0x1000),
        ("@1000-2000", 0x1000),
        ("ffffffffff600000", 0xFFFFFFFFFF600000),
        ("1000", None),
        ("bad", None),
        ("7f2d 0c00 0000", None),
        ("10000000000000000", None),
        ("7f2d0c00000g", None),
        ("7f2d0c000000-", None),
        ("@", None),
        ("0x", None),
        ("", None),
        ("-1", None),
        ("7f2d_0c000000", None),
    ],
)
def test_an_address_as_people_have_it(text: str, address: int | None) -> None:
    assert parse_address(text) == address


@given(st.integers(0, (1 << 64) - 1))
def test_every_address_is_found_again(address: int) -> None:
    assert parse_address(f"@{address:x}") == parse_address(f"{address:#x}") == address
    assert parse_address(f"{address:012x}-{address + 1:012x}") in (address, None)
    assert parse_address(f"{address:012x}") == address


@given(st.text())
def test_no_text_breaks_the_reading_of_addresses(text: str) -> None:
    found = parse_address(text)
    assert found is None or 0 <= found < 1 << 64
