"""What may pass between a caller and the upstream, event by event.

Where the server fixes the session, a caller talks and listens, and changes how it is
heard; it neither changes nor sees how the agent works. What `permitted`
does not list does not pass, in either direction.

An event that passes is the one that was judged: all but plain audio is read whole and
written anew, of what is listed. So it does not matter whether the upstream takes the
first or the last of two equal keys, or takes `Type` for `type`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from offhook.errors import InvalidRequest
from offhook.events import Event, new_id, parse, serialise
from offhook.protocol.disclosure import outcome, told
from offhook.protocol.permitted import (
    CHANGEABLE,
    CLIENT,
    CONTENT,
    FAILURES,
    ITEMS,
    MESSAGE,
    OF_CALLERS,
    OVERRIDES,
    PLAIN,
    RESPONSE,
    VISIBLE,
)
from offhook.protocol.shapes import WORD, Shape, misfit, picked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Session = dict[str, Any]

# Errors of the upstream that are noted, in one session: a caller can make them.
_MOST_NOTED = 20
_COMMON: Shape = {"type": WORD, "event_id": WORD}
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_S = r"[ \t\r\n]*"
_ID = rf'"event_id"{_S}:{_S}"[^"\\\x00-\x1f]{{0,128}}"{_S}'
# The beginning of an audio event, up to the audio; and what may follow it. A frame
# with both, and nothing but base64 between them, reads in one way only.
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

    def __init__(
        self, *, fixed: bool, note: Callable[[str], None] | None = None
    ) -> None:
        """Begin.

        Args:
            fixed: Whether the server's session stands; otherwise the caller may
                configure its own, and everything passes.
            note: Told the words of the upstream's errors, which a caller does not get.
        """
        self._fixed = fixed
        self._note = note
        self._noted = 0

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
        if head and head[1] in PLAIN:
            return Verdict(frame)
        try:
            event = parse(frame)
        except InvalidRequest:
            return _DROP
        shown = self._seen(event)
        return Verdict(serialise(shown)) if shown else _DROP

    def farewell(self, reason: str) -> str:
        """Give of the reason with which the upstream closed what the caller may see."""
        if self._fixed:
            self._hear({"message": reason})
        return "" if self._fixed else reason

    def _judged(self, event: Event) -> Verdict:
        kind = event.get("type")
        if not isinstance(kind, str) or kind not in CLIENT:
            raise _unknown(kind)
        kept = _own(event, {**_COMMON, **CLIENT[kind]})
        if kind == "session.update":
            return self._update(kept)
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
        session = {"type": "realtime", **_own(wanted, CHANGEABLE, "session")}
        return Verdict(serialise({**event, "session": session}))

    def _seen(self, event: Event) -> Event | None:
        kind = event.get("type")
        if kind in PLAIN:
            return event
        if kind in ITEMS:
            return event if _is_message(event.get("item")) else None
        if kind in ("session.created", "session.updated"):
            session = self._shown(_object(event, "session"))
            return {**picked(event, _COMMON), "session": session}
        if kind in ("response.created", "response.done"):
            response = self._answered(_object(event, "response"))
            return {**picked(event, _COMMON), "response": response}
        if kind in FAILURES:
            error = _object(event, "error")
            self._hear(error)
            return {
                **picked(event, {**_COMMON, **FAILURES[kind]}),
                "error": told(error),
            }
        return None

    def _answered(self, response: Event) -> Event:
        shown = picked(response, RESPONSE)
        output = shown.get("output")
        items = output if isinstance(output, list) else []
        shown["output"] = [item for item in items if _is_message(item)]
        if "status_details" in response:
            shown["status_details"] = outcome(response["status_details"])
            self._hear(_object(_object(response, "status_details"), "error"))
        return shown

    def _hear(self, error: Event) -> None:
        message = error.get("message")
        if not self._note or not message or not isinstance(message, str):
            return
        self._noted += 1
        if self._noted <= _MOST_NOTED:
            self._note(message)

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
    } | picked(session, VISIBLE)


def _is_audio(text: str) -> bool:
    """Whether this is audio and nothing else, without a look at the audio."""
    begin = _APPEND.match(text)
    if begin is None:
        return False
    at = begin.end()
    end = text.find('"', at)
    if end < 0 or _REST.fullmatch(text, end) is None:
        return False
    audio = text[at:end]
    # The fastest that there is: 2,560 characters in less than a microsecond.
    return audio.isascii() and not audio.encode().translate(None, _BASE64)


def _own(value: Mapping[str, Any], shape: Shape, at: str = "") -> Event:
    """Keep of what a caller sent what it may send.

    Raises:
        InvalidRequest: A field of that is of another kind.
    """
    if found := misfit(value, shape):
        path = f"{at}.{found[0]}" if at else found[0]
        raise _invalid(f"Invalid value for '{path}': expected {found[1]}.", path)
    return picked(value, shape)


def _own_item(item: Any, at: str) -> Event:
    """Keep what a caller may say in its own name.

    Raises:
        InvalidRequest: It is somebody else's to say.
    """
    given = item if isinstance(item, dict) else {}
    content = given.get("content")
    parts = content if isinstance(content, list) else []
    mine = given.get("type") == "message" and given.get("role") == "user"
    if not mine or any(_type_of(part) not in OF_CALLERS for part in parts):
        raise _invalid(
            "Only messages of the user may be added here: the rest of the "
            "conversation is the server's.",
            at,
        )
    kept = _own(given, MESSAGE, at)
    kept["content"] = [
        _own(part, CONTENT, f"{at}.content[{number}]")
        for number, part in enumerate(parts)
    ]
    return kept


def _own_response(response: Any) -> Event:
    if not isinstance(response, dict):
        raise _invalid("The response must be an object.", "response")
    kept = _own(response, OVERRIDES, "response")
    if kept.get("input") is not None:
        kept["input"] = [
            _own_item(item, f"response.input[{number}]")
            for number, item in enumerate(kept["input"])
        ]
    return kept


def _type_of(part: Any) -> Any:
    return part.get("type") if isinstance(part, dict) else None


def _is_message(item: Any) -> bool:
    """Whether an item may be seen: calls of tools and their outputs may not."""
    if not isinstance(item, dict) or item.get("type") != "message":
        return False
    return item.get("role") in ("user", "assistant")


def _object(event: Event, key: str) -> Event:
    value = event.get(key)
    return value if isinstance(value, dict) else {}


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
    supported = ", ".join(f"'{name}'" for name in CLIENT)
    return _invalid(
        f"Invalid value: {named}. Supported values are: {supported}.", "type"
    )


def _invalid(message: str, param: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_value", param=param)
