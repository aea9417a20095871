"""One text for one value, as RFC 8785 asks, and a refusal of all that could be written in two ways."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raxx_bcp.evidence.canonical import LARGEST_INTEGER, canonical, digest, parse

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
WHOLE = st.integers(min_value=-LARGEST_INTEGER, max_value=LARGEST_INTEGER)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | WHOLE | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=25,
)


@given(VALUES)
def test_reading_it_back_gives_the_value_and_the_same_text(value: Any) -> None:
    text = canonical(value)
    assert parse(text) == value
    assert canonical(parse(text)) == text


@given(st.dictionaries(TEXTS, VALUES, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert canonical(dict(items)) == canonical(value)
    assert digest(dict(items)) == digest(value)


@given(VALUES, VALUES)
def test_two_values_share_a_text_only_when_they_are_one(first: Any, second: Any) -> None:
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (canonical(first) == canonical(second)) is same


@given(VALUES, st.integers(min_value=0, max_value=5))
def test_other_layouts_of_the_same_value_lead_to_the_same_text(value: Any, indent: int) -> None:
    for ascii_only in (True, False):
        assert canonical(parse(json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode())) == canonical(value)


def test_the_rfcs_own_example_of_strings_and_literals() -> None:
    value = {"string": '€$\u000f\nA\'B"\\\\"/', "literals": [None, True, False]}
    text = '{"literals":[null,true,false],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    assert canonical(value) == text.encode()


def test_the_rfcs_own_example_of_sorting() -> None:
    value = {
        "€": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "😀": "Emoji: Grinning Face",
        "\x80": "Control",
        "ö": "Latin Small Letter O With Diaeresis",
    }
    assert [parse(canonical(value))[key] for key in parse(canonical(value))] == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_no_spaces_and_plain_utf8() -> None:
    assert canonical({"b": [1, {"ä": "ß"}], "a": ()}) == '{"a":[],"b":[1,{"ä":"ß"}]}'.encode()
    assert digest({}) == hashlib.sha256(b"{}").hexdigest()


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        1.0,
        float("nan"),
        float("inf"),
        2**53,
        -(2**53),
        "\ud800",
        {1: "a"},
        {"a": b"bytes"},
        object(),
        {"\udfff": 1},
    ],
)
def test_what_two_writers_may_print_differently_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical({"value": value} if not isinstance(value, dict) else value)


@pytest.mark.parametrize("body", [b"1.0", b"1e3", b"NaN", b"-Infinity", b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_such_text_is_not_read(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(body)
