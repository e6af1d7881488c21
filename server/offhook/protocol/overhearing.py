"""Server events that pass as texts, as far as a journal needs them.

Most of what passes is audio, of which only the length counts: it is not parsed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from offhook.errors import InvalidRequest
from offhook.events import parse

if TYPE_CHECKING:
    from offhook.events import Event

_AUDIO = "response.output_audio.delta"
# A journal makes nothing of them; some are long, many are frequent.
_USELESS = frozenset(
    {
        "conversation.item.done",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.retrieved",
        "rate_limits.updated",
        "response.content_part.added",
        "response.content_part.done",
        "response.function_call_arguments.delta",
        "response.output_audio.done",
    }
)
_S = r"[ \t\r\n]*"
_HEAD = re.compile(
    rf'{_S}\{{{_S}(?:"event_id"{_S}:{_S}"[^"\\]{{0,128}}"{_S},{_S})?'
    rf'"type"{_S}:{_S}"([a-z_.]+)"'
)
_DELTA = re.compile(rf'"delta"{_S}:{_S}"')
_ID = re.compile(rf'"(response_id|item_id)"{_S}:{_S}"([^"\\]{{1,128}})"')
# The names stand around the audio, not far from it.
_NEAR = 512


def overheard(text: str) -> Event | None:
    """Read a text, if there is anything in it."""
    head = _HEAD.match(text)
    kind = head[1] if head else None
    if kind in _USELESS:
        return None
    if kind == _AUDIO and (event := _sound(text)):
        return event
    try:
        return parse(text)
    except InvalidRequest:
        return None


def _sound(text: str) -> Event | None:
    """Read of an audio event what it is of, and take its audio as it is."""
    begin = _DELTA.search(text)
    end = text.find('"', begin.end()) if begin else -1
    if begin is None or end < 0:
        return None
    ids = _ID.findall(text[: begin.start()][-_NEAR:] + text[end : end + _NEAR])
    audio = text[begin.end() : end]
    return {"type": _AUDIO, "delta": audio, **dict(ids)}
