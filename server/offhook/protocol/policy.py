"""What may pass between a caller and the upstream, event by event.

Where the server fixes the session, a caller talks and listens, and changes how it is
heard; it neither changes nor sees how the agent works. What is not listed here does not
pass, in either direction: new events and fields of the API stay out until they are.

An event that passes is the one that was judged: all but plain audio is read whole and
written anew, of what is listed. So it does not matter whether the upstream takes the
first or the last of two equal keys, or takes `Type` for `type`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from offhook.errors import InvalidRequest, redact
from offhook.events import Event, new_id, parse, serialise

if TYPE_CHECKING:
    from collections.abc import Mapping

Session = dict[str, Any]
# The parts of an object that are kept: whole (True), or again by a shape.
Shape = dict[str, Any]

# What a caller may see of a session: what its client needs, and nothing that says
# how the agent works.
_VISIBLE: Shape = {
    "model": True,
    "output_modalities": True,
    "max_output_tokens": True,
    "audio": {
        "input": {
            "format": True,
            "noise_reduction": True,
            "transcription": {"model": True, "language": True},
            "turn_detection": True,
        },
        "output": {"format": True, "voice": True, "speed": True},
    },
}
_FORMAT: Shape = {"type": True, "rate": True}
# What a caller may change of one: how it is heard, and how it wants to be answered.
_CHANGEABLE: Shape = {
    "output_modalities": True,
    "audio": {
        "input": {
            "format": _FORMAT,
            "noise_reduction": {"type": True, "strength": True},
            "turn_detection": {
                "type": True,
                "threshold": True,
                "prefix_padding_ms": True,
                "silence_duration_ms": True,
                "idle_timeout_ms": True,
                "create_response": True,
                "interrupt_response": True,
                "eagerness": True,
            },
        },
        "output": {"format": _FORMAT, "speed": True},
    },
}
_MESSAGE: Shape = {
    "id": True,
    "type": True,
    "role": True,
    "status": True,
    "content": True,
}
_CONTENT: Shape = {
    "type": True,
    "text": True,
    "audio": True,
    "transcript": True,
    "image_url": True,
    "detail": True,
}
_OF_CALLERS = ("input_text", "input_audio", "input_image")
_REFERENCE: Shape = {"type": True, "id": True}
# What else of client events passes: all with `type` and `event_id`.
_CLIENT: dict[str, Shape] = {
    "session.update": {"session": True},
    "input_audio_buffer.append": {"audio": True},
    "input_audio_buffer.commit": {},
    "input_audio_buffer.clear": {},
    "output_audio_buffer.clear": {},
    "conversation.item.create": {"item": True, "previous_item_id": True},
    "conversation.item.retrieve": {"item_id": True},
    "conversation.item.truncate": {
        "item_id": True,
        "content_index": True,
        "audio_end_ms": True,
    },
    "conversation.item.delete": {"item_id": True},
    "response.create": {"response": True},
    "response.cancel": {"response_id": True},
}
_OVERRIDES: Shape = {
    "output_modalities": True,
    "metadata": True,
    "conversation": True,
    "input": True,  # see _own_response
    "audio": {"output": {"format": _FORMAT}},
}
_RESPONSE: Shape = {
    "object": True,
    "id": True,
    "status": True,
    "status_details": True,
    "output": True,
    "conversation_id": True,
    "output_modalities": True,
    "max_output_tokens": True,
    "audio": {"output": {"format": True, "voice": True}},
    "usage": True,
    "metadata": True,
}
# Server events that say nothing of how the agent works: they pass unread.
_PLAIN = frozenset(
    {
        "conversation.created",
        "conversation.item.deleted",
        "conversation.item.truncated",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.input_audio_transcription.failed",
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
_ITEMS = frozenset(
    {
        "conversation.item.created",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.retrieved",
        "response.output_item.added",
        "response.output_item.done",
    }
)
_S = r"[ \t\r\n]*"
_ID = rf'"event_id"{_S}:{_S}"[^"\\\x00-\x1f]{{0,128}}"{_S}'
# The beginning of an audio event, up to the audio; and what may follow it. A frame
# with both, and neither a quote nor a backslash between them, reads in one way only.
_APPEND = re.compile(
    rf'{_S}\{{{_S}(?:{_ID},{_S})?"type"{_S}:{_S}"input_audio_buffer\.append"{_S},{_S}'
    rf'(?:{_ID},{_S})?"audio"{_S}:{_S}"'
)
_REST = re.compile(rf'"{_S}(?:,{_S}{_ID})?\}}{_S}')
_HEAD = re.compile(rf'\{{{_S}(?:{_ID},{_S})?"type"{_S}:{_S}"([a-z_.]+)"')


class Verdict(NamedTuple):
    """What becomes of an event: forwarded, rewritten, dropped, refused or answered.

    Attributes:
        onward: What goes on to the other side: the event, another in its place, or
            nothing.
        back: What goes back to its sender, if anything does.
    """

    onward: str | None = None
    back: str | None = None


_DROP = Verdict()


class Policy:
    """Judges the events of one session."""

    def __init__(self, *, fixed: bool) -> None:
        """Begin.

        Args:
            fixed: Whether the server's session stands; otherwise the caller may
                configure its own, and everything passes.
        """
        self._fixed = fixed

    def opened(self, session: Session) -> str:
        """Make the caller's first event of the session that the upstream opened."""
        event = {"type": "session.created", "event_id": new_id("event")}
        return serialise({**event, "session": self._shown(session)})

    def from_caller(self, frame: str | bytes) -> Verdict:
        """Judge what the caller sent."""
        try:
            text = frame if isinstance(frame, str) else frame.decode()
        except UnicodeDecodeError:
            return Verdict(back=_error(_unreadable(), None))
        if not self._fixed or _is_audio(text):
            return Verdict(text)
        event: Event = {}
        try:
            event = parse(text)
            return self._judged(event)
        except InvalidRequest as error:
            return Verdict(back=_error(error, event.get("event_id")))

    def from_upstream(self, frame: str) -> Verdict:
        """Judge what the upstream sent."""
        if not self._fixed:
            return Verdict(frame)
        head = _HEAD.match(frame)
        if head and head[1] in _PLAIN:
            return Verdict(frame)
        try:
            event = parse(frame)
        except InvalidRequest:
            return _DROP
        shown = self._seen(event)
        return Verdict(serialise(shown)) if shown else _DROP

    def _judged(self, event: Event) -> Verdict:
        kind = event.get("type")
        if not isinstance(kind, str) or kind not in _CLIENT:
            raise _unknown(kind)
        kept = _picked(event, {"type": True, "event_id": True, **_CLIENT[kind]})
        if kind == "session.update":
            return self._update(kept)
        if "audio" in kept and not isinstance(kept["audio"], str):
            raise _invalid("The audio must be a string.", "audio")
        if kind == "conversation.item.create":
            kept["item"] = _own_item(kept.get("item"), "item")
        if kind == "response.create" and kept.get("response") is not None:
            kept["response"] = _own_response(kept["response"])
        return Verdict(serialise(kept))

    def _update(self, event: Event) -> Verdict:
        wanted = event.get("session")
        if not isinstance(wanted, dict):
            raise _invalid("The session must be an object.", "session")
        if wanted.get("type") != "realtime":
            raise _invalid("This session's type is 'realtime'.", "session.type")
        # Even with nothing left to change: the upstream says what there is.
        session = {"type": "realtime", **_picked(wanted, _CHANGEABLE)}
        return Verdict(serialise({**event, "session": session}))

    def _seen(self, event: Event) -> Event | None:
        kind = event.get("type")
        if kind in _PLAIN:
            return event
        if kind in _ITEMS:
            return event if _is_message(event.get("item")) else None
        if kind in ("session.created", "session.updated"):
            return {**event, "session": self._shown(_object(event, "session"))}
        if kind in ("response.created", "response.done"):
            response = _picked(_object(event, "response"), _RESPONSE)
            output = response.get("output") or []
            response["output"] = [item for item in output if _is_message(item)]
            return {**event, "response": response}
        if kind == "error":
            error = _object(event, "error")
            return {**event, "error": {**error, "message": _redacted(error)}}
        return None

    def _shown(self, session: Session) -> Session:
        if not self._fixed:
            return session
        shown = visible(session, session_id=session.get("id"))
        shown["expires_at"] = session.get("expires_at", 0)
        return shown


def visible(session: Mapping[str, Any], *, session_id: str | None = None) -> Session:
    """Show a session to its caller, without instructions and tools."""
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id or new_id("sess"),
        "expires_at": 0,  # as OpenAI's answer to a mint has it
        "output_modalities": ["audio"],
    } | _picked(session, _VISIBLE)


def _is_audio(text: str) -> bool:
    """Whether this is audio and nothing else, without a look at the audio."""
    begin = _APPEND.match(text)
    if begin is None:
        return False
    end = text.find('"', begin.end())
    return (
        end >= 0
        and text.find("\\", begin.end(), end) < 0
        and _REST.fullmatch(text, end) is not None
    )


def _own_item(item: Any, at: str) -> Event:
    """Keep what a caller may say in its own name.

    Raises:
        InvalidRequest: It is somebody else's to say.
    """
    kept = _picked(item, _MESSAGE)
    content = kept.get("content")
    parts = [_picked(part, _CONTENT) for part in content] if _is_list(content) else []
    mine = kept.get("type") == "message" and kept.get("role") == "user"
    if not mine or any(part.get("type") not in _OF_CALLERS for part in parts):
        raise _invalid(
            "Only messages of the user may be added here: the rest of the "
            "conversation is the server's.",
            at,
        )
    return {**kept, "content": parts}


def _own_response(response: Any) -> Event:
    if not isinstance(response, dict):
        raise _invalid("The response must be an object.", "response")
    kept = _picked(response, _OVERRIDES)
    if kept.get("input") is not None and not isinstance(kept["input"], list):
        raise _invalid("The input must be an array.", "response.input")
    if _is_list(items := kept.get("input")):
        kept["input"] = [
            _picked(item, _REFERENCE)
            if isinstance(item, dict) and item.get("type") == "item_reference"
            else _own_item(item, f"response.input[{number}]")
            for number, item in enumerate(items)
        ]
    return kept


def _is_message(item: Any) -> bool:
    """Whether an item may be seen: calls of tools and their outputs may not."""
    if not isinstance(item, dict) or item.get("type") != "message":
        return False
    return item.get("role") in ("user", "assistant")


def _picked(value: Any, shape: Shape) -> Event:
    """Keep of an object what the shape names; of anything else, nothing."""
    picked: Event = {}
    if not isinstance(value, dict):
        return picked
    for key, part in shape.items():
        inner = value.get(key)
        if isinstance(part, dict) and isinstance(inner, dict):
            picked[key] = _picked(inner, part)
        elif key in value and (part is True or inner is None):
            picked[key] = inner
    return picked


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _object(event: Event, key: str) -> Event:
    value = event.get(key)
    return value if isinstance(value, dict) else {}


def _redacted(error: Event) -> str:
    message = error.get("message")
    return redact(message) if isinstance(message, str) else ""


def _error(error: InvalidRequest, event_id: Any) -> str:
    said = {**error.body()["error"], "event_id": None}
    if isinstance(event_id, str):
        said["event_id"] = event_id
    return serialise({"type": "error", "event_id": new_id("event"), "error": said})


def _unreadable() -> InvalidRequest:
    return InvalidRequest("The message is not valid JSON.", code="invalid_json")


def _unknown(kind: Any) -> InvalidRequest:
    if kind is None:
        return InvalidRequest("The 'type' field is missing.", code="invalid_event")
    named = f"'{kind[:64]}'" if isinstance(kind, str) else "no string"
    supported = ", ".join(f"'{name}'" for name in _CLIENT)
    return _invalid(
        f"Invalid value: {named}. Supported values are: {supported}.", "type"
    )


def _invalid(message: str, param: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_value", param=param)
