"""What a caller may say and see, where the server's session stands.

What is not listed does not pass: new events and fields of the API stay out until they
are.
"""

from __future__ import annotations

from offhook.protocol.shapes import (
    ANY,
    FLAG,
    LABELS,
    LIST,
    NUMBER,
    TEXT,
    WORD,
    WORDS,
    Shape,
)

# What a caller may see of a session: what its client needs, and nothing that says
# how the agent works.
VISIBLE: Shape = {
    "model": ANY,
    "output_modalities": ANY,
    "max_output_tokens": ANY,
    "audio": {
        "input": {
            "format": ANY,
            "noise_reduction": ANY,
            "transcription": {"model": ANY, "language": ANY},
            "turn_detection": ANY,
        },
        "output": {"format": ANY, "voice": ANY, "speed": ANY},
    },
}
_FORMAT: Shape = {"type": WORD, "rate": NUMBER}
# What a caller may change of one: how it is heard, and how it wants to be answered.
CHANGEABLE: Shape = {
    "output_modalities": WORDS,
    "audio": {
        "input": {
            "format": _FORMAT,
            "noise_reduction": {"type": WORD, "strength": NUMBER},
            "turn_detection": {
                "type": WORD,
                "threshold": NUMBER,
                "prefix_padding_ms": NUMBER,
                "silence_duration_ms": NUMBER,
                "idle_timeout_ms": NUMBER,
                "create_response": FLAG,
                "interrupt_response": FLAG,
                "eagerness": WORD,
            },
        },
        "output": {"format": _FORMAT, "speed": NUMBER},
    },
}
# What is the server's, where it can only be watched. `tracing` is not: the official
# SDKs set it in every session, and it changes nothing of the call.
FIXED: Shape = {
    "model": ANY,
    "instructions": ANY,
    "prompt": ANY,
    "tools": ANY,
    "tool_choice": ANY,
    "parallel_tool_calls": ANY,
    "reasoning": ANY,
    "max_output_tokens": ANY,
    "truncation": ANY,
    "include": ANY,
    "audio": {"input": {"transcription": ANY}, "output": {"voice": ANY}},
}
MESSAGE: Shape = {
    "id": WORD,
    "type": WORD,
    "role": WORD,
    "status": WORD,
    "content": LIST,
}
CONTENT: Shape = {
    "type": WORD,
    "text": TEXT,
    "audio": TEXT,
    "transcript": TEXT,
    "image_url": TEXT,
    "detail": WORD,
}
OF_CALLERS = ("input_text", "input_audio", "input_image")
# What of client events passes; the objects in them by their own shapes.
CLIENT: dict[str, Shape] = {
    "session.update": {"session": ANY},
    "input_audio_buffer.append": {"audio": TEXT},
    "input_audio_buffer.commit": {},
    "input_audio_buffer.clear": {},
    "output_audio_buffer.clear": {},
    "conversation.item.create": {"item": ANY, "previous_item_id": WORD},
    "conversation.item.retrieve": {"item_id": WORD},
    "conversation.item.truncate": {
        "item_id": WORD,
        "content_index": NUMBER,
        "audio_end_ms": NUMBER,
    },
    "conversation.item.delete": {"item_id": WORD},
    "response.create": {"response": ANY},
    "response.cancel": {"response_id": WORD},
}
OVERRIDES: Shape = {
    "output_modalities": WORDS,
    "metadata": LABELS,
    "conversation": WORD,
    "input": LIST,
    "audio": {"output": {"format": _FORMAT}},
}
RESPONSE: Shape = {
    "object": ANY,
    "id": ANY,
    "status": ANY,
    "output": ANY,
    "conversation_id": ANY,
    "output_modalities": ANY,
    "max_output_tokens": ANY,
    "audio": {"output": {"format": ANY, "voice": ANY}},
    "usage": ANY,
    "metadata": ANY,
}
# Server events about a failure, and what of them is shown beside `disclosure.told`.
FAILURES: dict[str, Shape] = {
    "error": {},
    "conversation.item.input_audio_transcription.failed": {
        "item_id": WORD,
        "content_index": NUMBER,
    },
}
# Server events that say nothing of how the agent works: they pass unread.
PLAIN = frozenset(
    {
        "conversation.created",
        "conversation.item.deleted",
        "conversation.item.truncated",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.input_audio_transcription.segment",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "input_audio_buffer.cleared",
        "input_audio_buffer.timeout_triggered",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "output_audio_buffer.cleared",
        "rate_limits.updated",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_text.delta",
        "response.output_text.done",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
    }
)
ITEMS = frozenset(
    {
        "conversation.item.created",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.retrieved",
        "response.output_item.added",
        "response.output_item.done",
    }
)
