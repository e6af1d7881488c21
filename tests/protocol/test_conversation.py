from __future__ import annotations

import base64
from typing import Any

import pytest

from offhook.errors import InvalidRequest
from offhook.protocol import conversation as module
from offhook.protocol.conversation import Conversation, turns
from offhook.protocol.prompt import Turn


def item(item_id: str, role: str = "user", kind: str = "input_text") -> dict[str, Any]:
    words = "transcript" if kind.endswith("audio") else "text"
    content = [{"type": kind, words: f"says {item_id}"}]
    return {"id": item_id, "type": "message", "role": role, "content": content}


def order(conversation: Conversation) -> list[str]:
    return [i["id"] for i in conversation]


def test_items_go_where_the_client_wants_them() -> None:
    conversation = Conversation("conv")
    assert conversation.add(item("a")) is None
    assert conversation.add(item("b")) == "a"
    assert conversation.add(item("c"), "root") is None
    assert conversation.add(item("d"), "a") == "a"
    assert order(conversation) == ["c", "a", "d", "b"]


def test_an_id_is_given_once_and_a_place_must_exist() -> None:
    conversation = Conversation("conv")
    conversation.add(item("a"))
    with pytest.raises(InvalidRequest, match="already exists"):
        conversation.add(item("a"))
    with pytest.raises(InvalidRequest, match="'x' does not exist"):
        conversation.add(item("b"), "x")
    assert order(conversation) == ["a"]


def test_what_is_deleted_is_gone() -> None:
    conversation = Conversation("conv")
    conversation.add(item("a"))
    conversation.delete("a")
    with pytest.raises(InvalidRequest, match="Error deleting item"):
        conversation.delete("a")


def test_only_speech_of_the_assistant_can_be_truncated() -> None:
    conversation = Conversation("conv")
    conversation.add(item("text", "assistant", "output_text"))
    conversation.add(item("speech", "assistant", "output_audio"))
    conversation.keep_audio("speech", b"\1\0" * 24000)
    with pytest.raises(InvalidRequest, match="Only model output audio"):
        conversation.truncate("text", 0, 0)
    with pytest.raises(InvalidRequest, match="Only model output audio"):
        conversation.truncate("speech", 1, 0)
    with pytest.raises(InvalidRequest, match="1000ms is already shorter than 1001ms"):
        conversation.truncate("speech", 0, 1001)
    conversation.truncate("speech", 0, 400)
    with pytest.raises(InvalidRequest, match="400ms is already shorter"):
        conversation.truncate("speech", 0, 500)
    kept = conversation.retrieved("speech", with_audio=True)["content"][0]
    assert len(base64.b64decode(kept["audio"])) == 400 * 48
    assert turns(conversation) == (
        Turn("assistant", "says text"),
        Turn("assistant", ""),
    )


def test_the_audio_stays_away_from_where_it_would_not_fit() -> None:
    conversation = Conversation("conv")
    conversation.add(item("a", kind="input_audio"))
    conversation.keep_audio("a", b"\1\0")
    assert "audio" not in conversation.retrieved("a", with_audio=False)["content"][0]
    assert "audio" not in conversation.get("a", "retrieve")["content"][0]


def test_the_oldest_audio_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AUDIO_BYTES", 100)
    conversation = Conversation("conv")
    for name in ("a", "b"):
        conversation.add(item(name, kind="input_audio"))
        conversation.keep_audio(name, bytes(60))
    a, b = (conversation.retrieved(n, with_audio=True)["content"][0] for n in "ab")
    assert "audio" not in a
    assert "audio" in b
