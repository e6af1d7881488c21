from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.errors import InvalidRequest
from offhook.events import new_id, parse, serialise

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def test_ids_look_like_the_services_own() -> None:
    assert re.fullmatch(r"item_[0-9A-Za-z]{21}", new_id("item"))


def test_no_two_ids_are_alike() -> None:
    assert len({new_id("x") for _ in range(1000)}) == 1000


@pytest.mark.parametrize("as_bytes", [False, True])
def test_an_event_is_read_from_text_and_from_bytes(as_bytes: bool) -> None:
    text = '{"type":"x","who":"Zoë"}'
    assert parse(text.encode() if as_bytes else text) == {"type": "x", "who": "Zoë"}


def test_what_is_unknown_is_kept() -> None:
    event = {"type": "never.heard.of", "deep": [{"a": None}, 1.5, True]}
    assert parse(json.dumps(event)) == event


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("{'type': 'x'}", "invalid_json"),
        ('{"type":"x"} {}', "invalid_json"),
        (b"\xff", "invalid_json"),
        (b'{"type":"\xff"}', "invalid_json"),
        ("\ufeff{}", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ('{"type":' * 100_000, "invalid_json"),
        ('{"type":"x","n":' + "9" * 5000 + "}", "invalid_json"),
        ("[]", "invalid_event"),
        ("null", "invalid_event"),
        ("3", "invalid_event"),
        ('"type"', "invalid_event"),
    ],
)
def test_anything_else_is_refused(message: str | bytes, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(message)
    assert caught.value.code == code


@given(st.binary() | st.text())
def test_any_message_is_an_event_or_refused(message: str | bytes) -> None:
    try:
        event = parse(message)
    except InvalidRequest:
        return
    assert isinstance(event["type"], str)


@given(st.dictionaries(st.text(), JSON))
def test_what_is_written_is_read_again(fields: dict[str, Any]) -> None:
    event = {**fields, "type": "x"}
    assert parse(serialise(event)) == event


def test_events_are_written_without_waste() -> None:
    assert serialise({"type": "x", "list": [1, 2]}) == '{"type":"x","list":[1,2]}'


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_in_json_is_refused(number: str) -> None:
    with pytest.raises(InvalidRequest, match="not valid JSON"):
        parse(f'{{"type":"a","n":{number}}}')


def test_half_a_surrogate_pair_goes_back_as_it_came() -> None:
    event = parse('{"type":"\\ud800"}')
    assert serialise(event).encode() == b'{"type":"\\ud800"}'


def test_an_event_has_a_bottom() -> None:
    assert parse('{"type":"a","x":' + "[" * 60 + "]" * 60 + "}")
    with pytest.raises(InvalidRequest, match="levels deep"):
        parse('{"type":"a","x":' + "[" * 70 + "]" * 70 + "}")
