"""What a client saw: judged by OpenAI's models, and by the order of its traffic."""

from __future__ import annotations

import base64
import itertools
from typing import TYPE_CHECKING, Any

from offhook.audio import resample, ulaw_encode
from tests.official import problems
from tests.official_order import disorder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Speak = Callable[[str], Awaitable[bytes]]

Event = dict[str, Any]

# Long enough for the most patient ear: a microphone never stops.
SILENCE = bytes(5 * 48000)
# Takes long enough to say that there is time to stop it.
LONG = "The train leaves at noon. " * 20

_SENTENCES = {
    "sum": "What is seven times eight?",
    "weather": "What's the weather in Paris?",
    "billing": "Please transfer me to billing.",
}

# Recorded traffic of OpenAI, runs of one type folded into one.
TEXT_TURN = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]
SPOKEN_TURN = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]
TOOL_TURN = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]
CALLER_TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]
_AUDIO_DELTAS = {
    "response.output_audio.delta",
    "response.output_audio_transcript.delta",
}
_WORDS = "conversation.item.input_audio_transcription."


async def scripted(speak: Speak) -> dict[str, Any]:
    """Return what callers in JavaScript say: as base64, and what they write."""
    voice = {name: await speak(text) + SILENCE for name, text in _SENTENCES.items()}
    voice["telephone"] = ulaw_encode(resample(voice["sum"], 24000, 8000))
    return {
        "voice": {name: base64.b64encode(it).decode() for name, it in voice.items()},
        "long": f"Repeat after me: {LONG}",
    }


def check(events: list[Event], *, settled: bool = True) -> None:
    """Fail if OpenAI's clients would stumble over any of these."""
    assert events
    assert [(e["type"], found) for e in events if (found := problems(e))] == []
    assert disorder(events, settled=settled) == []


def course(events: list[Event]) -> list[str]:
    """Return the types: without speech and words, that come while others go on."""
    kinds = (event["type"] for event in events)
    steady = (
        kind
        for kind in kinds
        if kind not in _AUDIO_DELTAS and not kind.startswith(_WORDS)
    )
    return [kind for kind, _ in itertools.groupby(steady)]


def of(events: list[Event], kind: str) -> list[Event]:
    """Return the events of a type."""
    return [event for event in events if event["type"] == kind]


def errors(events: list[Event]) -> list[str]:
    """Return what the errors say."""
    return [event["error"]["message"] for event in of(events, "error")]


def speech(events: list[Event]) -> bytes:
    """Return all that was said, as it came."""
    deltas = of(events, "response.output_audio.delta")
    return b"".join(base64.b64decode(event["delta"]) for event in deltas)


def said(events: list[Event]) -> str:
    """Return the words of all answers, in lower case."""
    done = of(events, "response.output_audio_transcript.done")
    return " ".join(event["transcript"] for event in done).lower()
