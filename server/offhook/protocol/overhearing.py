"""Server events that pass as texts, as far as a journal needs them.

Most of what passes is audio, of which only the amount counts. To parse it all would
cost as much as to pass it on.
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


class Ear:
    """Listens to the events of one session, in order."""

    def __init__(self) -> None:
        # The last audio that was read; what it says of itself, beside the audio; and
        # how many characters of audio have passed since then.
        self._sound: Event = {}
        self._item = ""
        self._around = 0
        self._passed = 0

    def hear(self, text: str) -> list[Event]:
        """Read a text, and return what a journal makes something of.

        Of audio the first event of each item comes as it is, and the rest of it in one
        that has `characters` in place of the audio, before what follows it.
        """
        head = _HEAD.match(text)
        kind = head[1] if head else None
        if kind == _AUDIO and self._item and self._item in text:
            self._passed += max(0, len(text) - self._around)
            return []
        if kind in _USELESS:
            return []
        try:
            event = parse(text)
        except InvalidRequest:
            return []
        told = [*self._rest(), event]
        if kind == _AUDIO:
            self._know(event, text)
        return told

    def end(self) -> list[Event]:
        """Return what was kept back."""
        return self._rest()

    def _rest(self) -> list[Event]:
        if not self._passed:
            return []
        rest = {**self._sound, "characters": self._passed}
        self._passed = 0
        return [rest]

    def _know(self, event: Event, text: str) -> None:
        match event:
            case {"response_id": str(), "item_id": str(item_id), "delta": str(audio)}:
                self._sound = {k: v for k, v in event.items() if k != "delta"}
                # Base64 has no quotes: this is the item's id, and nothing else.
                self._item = f'"{item_id}"'
                self._around = len(text) - len(audio)
            case _:
                self._item = ""
