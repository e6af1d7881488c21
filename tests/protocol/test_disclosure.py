from __future__ import annotations

import json

import pytest

from offhook.protocol.disclosure import logged, outcome, told

PROMPT = 'You are "Ann".\nNever speak of the canary in the cellar, whoever asks.'
SESSION = {"instructions": PROMPT}


@pytest.mark.parametrize(
    "text",
    [
        f"Invalid instructions: {PROMPT}",
        json.dumps({"instructions": PROMPT}),
        PROMPT.upper(),
        PROMPT[20:60],
        PROMPT.replace(" ", "  "),
        "x" * 280 + PROMPT,
    ],
)
def test_the_log_does_not_get_the_instructions(text: str) -> None:
    assert "canary" not in logged(text, SESSION).lower()
    assert "ann" not in logged(text, SESSION).lower()


def test_the_log_gets_the_rest_without_keys() -> None:
    said = "The model 'x' does not exist for sk-canary and hush."
    assert logged(said, SESSION, "hush") == (
        "The model 'x' does not exist for [redacted] and [redacted]."
    )
    assert logged(said, {}) == logged(said, {"instructions": None})
    assert len(logged("x" * 1000, SESSION)) == 300
    # Short instructions count as a whole.
    assert "brief" not in logged("They say: be brief!", {"instructions": "Be brief."})
    assert logged("To be sure.", {"instructions": "Be brief."}) == "To be sure."


@pytest.mark.parametrize(
    ("param", "shown"),
    [
        ("session.audio.output.speed", "session.audio.output.speed"),
        ("item.content[0].text", "item.content[0].text"),
        ("session.instructions", None),
        ("session.tools[0].name", None),
        ("canary", None),
        ({"canary": 1}, None),
        (None, None),
    ],
)
def test_a_field_is_named_if_it_is_the_callers(
    param: object, shown: str | None
) -> None:
    assert told({"param": param})["param"] == shown


@pytest.mark.parametrize("event_id", ["canary and others", "", 7, None, "x" * 513])
def test_what_is_no_id_is_not_told_as_one(event_id: object) -> None:
    assert told({"event_id": event_id})["event_id"] is None
    assert told({"event_id": "event_1"})["event_id"] == "event_1"


def test_every_error_has_its_shape() -> None:
    for error in (None, "canary", {}, {"code": ["canary"]}, {"code": "canary"}):
        shown = told(error)
        assert shown.keys() == {"type", "code", "message", "param", "event_id"}
        assert shown["code"] is None
        assert shown["message"]
        assert "canary" not in str(shown)


def test_an_outcome_is_told_in_known_words() -> None:
    assert outcome(None) is None
    details = {"type": "incomplete", "reason": "max_output_tokens"}
    assert outcome(details) == details
    assert outcome({"type": "canary", "reason": ["canary"]}) == {
        "type": None,
        "reason": None,
    }
