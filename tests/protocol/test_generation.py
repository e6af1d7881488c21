from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest

from offhook.protocol.generation import Generation
from offhook.protocol.usage import usage
from tests.official import problems
from tests.protocol.driver import Event, kinds

NOTHING = usage(text_in="", text_out="", audio_in_ms=0, audio_out_ms=0)


class Heap:
    """A generation, and everything that it said so far."""

    def __init__(
        self,
        *,
        modality: str = "audio",
        apart: bool = False,
        stream_audio: bool = True,
        **given: Any,
    ) -> None:
        numbers = itertools.count(1)
        self.sent: list[Event] = []
        self.added: list[Event] = []
        pcm = {"type": "audio/pcm", "rate": 24000}
        response = {
            "id": "resp_1",
            "conversation_id": None if apart else "conv_1",
            "output_modalities": [modality],
            "metadata": None,
            "max_output_tokens": "inf",
            "audio": {"output": {"format": pcm, "voice": "marin"}},
        }
        self.generation = Generation(
            self._emit,
            None if apart else self._add,
            response | given,
            stream_audio=stream_audio,
            make_id=lambda prefix: f"{prefix}_{next(numbers)}",
        )

    def begin(self) -> None:
        self.generation.speaking()

    def take(self) -> list[Event]:
        sent, self.sent = self.sent, []
        return sent

    def _emit(self, event: Event) -> None:
        event["event_id"] = "event_1"
        assert problems(event) == [], event
        self.sent.append(event)

    def _add(self, item: Event) -> str | None:
        self.added.append(item)
        return "item_0"


def test_it_is_announced_before_there_is_anything_to_say() -> None:
    heap = Heap(metadata={"topic": "x"}, max_output_tokens=100)
    assert heap.generation.message is None
    assert not heap.generation.begun
    [event] = heap.take()
    assert event["type"] == "response.created"
    response = event["response"]
    assert (response["status"], response["output"]) == ("in_progress", [])
    assert (response["metadata"], response["max_output_tokens"]) == (
        {"topic": "x"},
        100,
    )


def test_later_changes_do_not_reach_an_event_that_was_sent() -> None:
    heap = Heap()
    heap.begin()
    created, added = heap.take()[:2]
    heap.generation.say("One.")
    heap.generation.close("completed", usage=NOTHING)
    done = heap.take()[-1]["response"]
    assert created["response"]["status"] == "in_progress"
    assert added["item"] == {**added["item"], "status": "in_progress", "content": []}
    assert heap.generation.message is not None
    heap.generation.message.output.item["content"][0]["transcript"] = ""
    assert done["output"][0]["content"][0]["transcript"] == "One."


def test_the_item_stands_in_the_conversation_as_one_that_grows() -> None:
    heap = Heap()
    heap.begin()
    [item] = heap.added
    assert item is heap.generation.speaking().output.item
    # Who truncates finds speech there, while clients are told of an empty item.
    assert item["content"] == [{"type": "output_audio", "transcript": ""}]


@pytest.mark.parametrize(
    ("modality", "kind"),
    [("text", "output_text"), ("audio", "output_audio_transcript")],
)
def test_words_are_deltas_that_make_up_the_whole(modality: str, kind: str) -> None:
    heap = Heap(modality=modality)
    heap.begin()
    heap.take()
    heap.generation.say("One")
    heap.generation.say(" two.")
    heap.generation.close("completed", usage=NOTHING)
    events = heap.take()
    said = "".join(e["delta"] for e in events if e["type"] == f"response.{kind}.delta")
    done = next(e for e in events if e["type"] == f"response.{kind}.done")
    assert said == "One two." == heap.generation.text
    assert done.get("text", done.get("transcript")) == said


def test_speech_goes_out_in_pieces_of_a_tenth_of_a_second() -> None:
    heap = Heap()
    heap.begin()
    heap.take()
    pcm = bytes(range(250)) * 48  # 250 ms
    heap.generation.sound(pcm, 250)
    pieces = [base64.b64decode(event["delta"]) for event in heap.take()]
    assert [len(piece) for piece in pieces] == [4800, 4800, 2400]
    assert b"".join(pieces) == pcm
    assert heap.generation.audio_ms == 250


def test_where_a_track_carries_the_speech_it_is_only_counted() -> None:
    heap = Heap(stream_audio=False)
    heap.begin()
    heap.take()
    heap.generation.sound(b"", 250)
    assert heap.take() == []
    assert heap.generation.audio_ms == 250


@pytest.mark.parametrize("status", ["completed", "cancelled", "failed", "incomplete"])
def test_closing_pays_every_done_that_is_owed(status: Any) -> None:
    heap = Heap()
    heap.begin()
    heap.generation.say("One.")
    heap.generation.close(status, usage=NOTHING)
    events = heap.take()
    assert kinds(events)[-6:] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    item_status = "completed" if status == "completed" else "incomplete"
    response = events[-1]["response"]
    assert response["status"] == status
    assert (response["status_details"] is None) == (status == "completed")
    assert response["output"] == [events[-2]["item"]] == [events[-3]["item"]]
    assert response["output"][0]["status"] == item_status
    assert events[-3]["previous_item_id"] == "item_0"


def test_nothing_is_owed_for_what_never_began() -> None:
    heap = Heap()
    heap.take()
    error = {"type": "server_error", "code": "x"}
    heap.generation.close("failed", error=error, usage=NOTHING)
    [done] = heap.take()
    assert done["response"]["output"] == []
    details = {"type": "failed", "error": error}
    assert done["response"]["status_details"] == details


def test_out_of_band_the_conversation_is_left_alone() -> None:
    heap = Heap(apart=True, modality="text")
    heap.begin()
    heap.generation.close("completed", usage=NOTHING)
    assert heap.added == []
    assert not any(e["type"].startswith("conversation.") for e in heap.take())


def test_words_that_were_cut_off_stay_forgotten() -> None:
    heap = Heap()
    heap.begin()
    heap.generation.say("One.")
    heap.generation.speaking().truncated = True
    heap.generation.close("completed", usage=NOTHING)
    events = heap.take()
    assert events[-1]["response"]["output"][0]["content"][0]["transcript"] == ""
    spoken = next(e for e in events if e["type"].endswith("audio_transcript.done"))
    assert spoken["transcript"] == "One."


def test_a_call_stands_between_the_words_and_their_end() -> None:
    heap = Heap()
    heap.generation.say("Let me look.")
    heap.take()
    heap.generation.call("get_weather", '{"city":"Paris"}')
    called = heap.take()
    assert kinds(called) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
    ]
    assert {e["output_index"] for e in called if "output_index" in e} == {1}
    heap.generation.close("completed", usage=NOTHING)
    response = heap.take()[-1]["response"]
    assert [item["type"] for item in response["output"]] == ["message", "function_call"]
    assert {item["status"] for item in response["output"]} == {"completed"}


def test_a_call_of_a_server_s_tool_outlives_the_response() -> None:
    heap = Heap()
    heap.generation.call("roll", "{}", "dice")
    heap.generation.close("completed", usage=NOTHING)
    assert kinds(heap.take()) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.done",
    ]
    [call] = heap.generation.mcp_calls
    assert call.open


@pytest.mark.parametrize(("most", "kept"), [(1, "1234"), (2, "12345678")])
def test_words_end_where_the_tokens_do(most: int, kept: str) -> None:
    heap = Heap(max_output_tokens=most, modality="text")
    heap.generation.say("1234")
    assert not heap.generation.full
    heap.generation.say("567890")
    assert heap.generation.full
    assert heap.generation.text == kept


def test_speech_ends_where_the_tokens_do() -> None:
    heap = Heap(max_output_tokens=3)
    assert heap.generation.sound(b"\0" * 4800, 100) == 100
    assert heap.generation.sound(b"\0" * 4800, 100) == 50
    pieces = [base64.b64decode(e["delta"]) for e in heap.take() if "delta" in e]
    assert [len(piece) for piece in pieces] == [4800, 2400]
    assert (heap.generation.audio_ms, heap.generation.full) == (150, True)
