from __future__ import annotations

from typing import Any

import pytest

from offhook.errors import InvalidRequest
from offhook.protocol.items import parsed, spoken_by_caller, text_of


def test_an_item_gets_an_id_and_a_status() -> None:
    given = {"type": "function_call_output", "call_id": "c", "output": "4"}
    assert parsed(given, "item_1") == {**given, "id": "item_1", "status": "completed"}
    assert parsed({**given, "id": "mine"}, "item_1")["id"] == "mine"


def test_audio_is_not_repeated_and_its_transcript_is_a_key_even_when_unknown() -> None:
    audio = {"type": "input_audio", "audio": "AAAA"}
    message = parsed({"type": "message", "role": "user", "content": [audio]}, "i")
    assert message["content"] == [{"type": "input_audio", "transcript": None}]
    assert spoken_by_caller("i")["content"] == message["content"]


@pytest.mark.parametrize(
    ("item", "param"),
    [
        (
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_audio", "audio": "AAAA"}],
            },
            "item.content[0].text",
        ),
        ({"type": "message", "role": "user", "content": [{}]}, "item.content[0].type"),
        ({"type": "message", "role": "critic", "content": []}, "item.role"),
        ({"type": "function_call", "arguments": "{}"}, "item.name"),
        ({"type": "opera"}, "item.type"),
        ({}, "item.type"),
        ("words", "item"),
    ],
)
def test_what_a_client_may_not_create(item: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parsed(item, "i")
    assert caught.value.param == param


def test_what_an_item_says() -> None:
    content = [
        {"type": "input_text", "text": "Look:"},
        {"type": "input_image", "image_url": "data:,"},
        {"type": "input_audio", "transcript": "a bird"},
        {"type": "input_audio", "transcript": None},
    ]
    assert text_of({"content": content}) == "Look: a bird"
