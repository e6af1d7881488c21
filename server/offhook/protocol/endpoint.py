"""Server side of a Realtime session: the local endpoint's heart.

Sans-IO: client events, audio, voice activity and the parts of an answer go in;
effects come out of `drain`. Nothing here waits, and nothing reads a clock.
"""

from __future__ import annotations

import base64
import binascii
import copy
from typing import TYPE_CHECKING, Any

from offhook.errors import InvalidRequest, OffhookError
from offhook.events import Event, new_id
from offhook.protocol.answering import Answering
from offhook.protocol.client_events import checked
from offhook.protocol.conversation import Conversation, duplicate
from offhook.protocol.effects import Effect, Outbox
from offhook.protocol.hearing import Hearing
from offhook.protocol.items import Item, audio_of, parsed
from offhook.protocol.mcp_tools import Failure, McpTools
from offhook.protocol.playout import Playout
from offhook.protocol.session_config import Session, merged, shown
from offhook.protocol.turns import SpeechStarted, SpeechStopped, Turn
from offhook.protocol.wire_audio import WireAudio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Endpoint:
    """One session.

    Args:
        session: Effective, as `session_config.effective` makes it.
        playout: Whether we own the playing of the audio (WebRTC). Then answers wait
            for `pull`; otherwise they go out as `response.output_audio.delta`.
        make_id: Makes ids; a test may pass one that counts.
    """

    def __init__(
        self,
        session: Session,
        *,
        playout: bool,
        make_id: Callable[[str], str] = new_id,
    ) -> None:
        self.session = session
        self._webrtc = playout
        self._outbox = Outbox(make_id)
        self._conversation = Conversation(make_id("conv"))
        self._hearing = Hearing(self._outbox, self._conversation)
        self._mcp = McpTools(self._outbox, self._conversation)
        self._answering = Answering(
            self._outbox,
            self._conversation,
            self._mcp,
            Playout() if playout else None,
        )
        self._wire_in = WireAudio(session["audio"]["input"]["format"])
        self._hearing.configure(session["audio"]["input"])
        self._handlers: dict[str, Callable[[Any], None]] = {
            "session.update": self._session_update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": lambda _: self._hearing.clear(),
            "output_audio_buffer.clear": lambda _: self._answering.clear_playout(),
            "conversation.item.create": self._item_create,
            "conversation.item.retrieve": self._item_retrieve,
            "conversation.item.truncate": self._item_truncate,
            "conversation.item.delete": self._item_delete,
            "response.create": self._response_create,
            "response.cancel": self._response_cancel,
        }

    @property
    def unfinished(self) -> tuple[str, ...]:
        """The ids of the responses in progress."""
        return self._answering.unfinished

    def open(self) -> None:
        """Greet a primary connection with `session.created`."""
        self._outbox.emit({"type": "session.created", "session": shown(self.session)})
        self._mcp.configure(self.session.get("tools", []))

    def drain(self) -> list[Effect]:
        """Return what is to be done now, in order."""
        return self._outbox.drain()

    def receive(self, event: Event) -> None:
        """Take a client event; what is wrong with it becomes an `error` event."""
        try:
            checked_event = checked(event)
            self._handlers[event["type"]](checked_event)
        except OffhookError as error:
            self.refuse(error, event.get("event_id"))

    def refuse(self, error: OffhookError, event_id: Any = None) -> None:
        """Tell the client what is wrong; the session goes on."""
        body = error.body()["error"]
        # The SDKs release a refused response.create by the echoed id.
        body["event_id"] = event_id if isinstance(event_id, str) else None
        self._outbox.reply({"type": "error", "error": body})

    def hear(self, pcm: bytes) -> None:
        """Take the caller's audio: 24 kHz PCM."""
        self._hearing.append(pcm)

    def notice(self, activity: Iterable[tuple[int, float]]) -> None:
        """Take (end of frame in ms, probability of speech) of the caller's audio."""
        for at_ms, probability in activity:
            self._react(self._hearing.notice(at_ms, probability))
            if self._hearing.idle(at_ms, quiet=self._answering.quiet(at_ms)):
                self._react(SpeechStopped(at_ms))
        self._proceed()

    def heard(
        self, item_id: str, attempt: int, text: str, complete: bool = True
    ) -> None:
        """Take the words of a turn, and whether the caller sounds done."""
        self._react(self._hearing.heard(item_id, attempt, text, complete=complete))
        self._proceed()

    def unheard(self, item_id: str, attempt: int, message: str) -> None:
        """Take note that a turn could not be written down."""
        self._hearing.unheard(item_id, attempt, message)
        self._proceed()

    def say(self, response_id: str, delta: str) -> None:
        """Take words of an answer, as `Generate` asked."""
        self._answering.say(response_id, delta)

    def sound(self, response_id: str, pcm: bytes) -> None:
        """Take speech of an answer: 24 kHz PCM."""
        self._answering.sound(response_id, pcm)

    def call(self, response_id: str, name: str, arguments: str) -> None:
        """Take a call of a tool, as part of an answer; `arguments` is JSON."""
        self._answering.call(response_id, name, arguments)

    def listed(self, item_id: str, tools: list[dict[str, Any]]) -> None:
        """Take the tools of an MCP server, as `ListTools` asked."""
        self._mcp.listed(item_id, tools)
        self._proceed()

    def unlisted(self, item_id: str) -> None:
        """Take note that an MCP server did not tell its tools."""
        self._mcp.unlisted(item_id)
        self._proceed()

    def returned(self, item_id: str, output: str) -> None:
        """Take what a tool of an MCP server returned, as `CallTool` asked."""
        self._mcp.returned(item_id, output)

    def failed(self, item_id: str, error: Failure) -> None:
        """Take note that a tool of an MCP server failed."""
        self._mcp.failed(item_id, error)

    def expire(self, seconds: float) -> str:
        """Tell that the session has lasted too long; the shell then closes it.

        Args:
            seconds: How long it has lasted.

        Returns:
            The reason to close with.
        """
        minutes = round(seconds / 60)
        lasted = f"{minutes} minutes" if minutes else f"{round(seconds)} seconds"
        reason = f"Your session hit the maximum duration of {lasted}."
        error = InvalidRequest(reason, code="session_expired").body()["error"]
        self._outbox.emit({"type": "error", "error": {**error, "event_id": None}})
        return reason

    def finish(self, response_id: str) -> None:
        """Take note that an answer is complete."""
        self._answering.finish(
            response_id,
            heard_ms=self._hearing.heard_ms,
            now_ms=self._hearing.end_ms,
        )

    def fail(self, response_id: str, code: str) -> None:
        """Take note that an answer could not be made."""
        self._answering.fail(response_id, code)

    def pull(self, ms: int) -> bytes:
        """Take the next `ms` to play; short or empty when there is less."""
        return self._answering.pull(ms)

    def _react(self, turn: Turn | None) -> None:
        # A transcription session has neither setting: it answers nothing.
        detection = self.session["audio"]["input"]["turn_detection"] or {}
        if isinstance(turn, SpeechStarted) and detection.get("interrupt_response"):
            self._answering.interrupt()
        elif isinstance(turn, SpeechStopped) and detection.get("create_response"):
            # The caller may have spoken into an answer that nothing interrupts; and a
            # cough that passed for speech wants none.
            if self._answering.active is None and not self._hearing.wordless:
                self._answering.create(self.session, {})

    def _proceed(self) -> None:
        if not self._hearing.pending:
            self._answering.proceed()

    def _session_update(self, event: Any) -> None:
        before = self.session["audio"]["input"]["format"]
        servers = _labels(self.session)
        self.session = merged(
            self.session,
            event.session,
            spoken=self._conversation.spoken,
            speaking=self._answering.active is not None,
        )
        self._mcp.withdraw(servers - _labels(self.session))
        heard = self.session["audio"]["input"]
        # Only then: a resampler keeps the end of what it was given until more comes.
        if heard["format"] != before:
            self._wire_in = WireAudio(heard["format"])
        self._hearing.configure(heard)
        self._outbox.emit({"type": "session.updated", "session": shown(self.session)})
        self._mcp.configure(self.session.get("tools", []))

    def _append(self, event: Any) -> None:
        self.hear(_decoded(event.audio, self._wire_in, "audio"))

    def _commit(self, _: Any) -> None:
        format_ = self.session["audio"]["input"]["format"]
        rest, self._wire_in = self._wire_in.decode(b"", last=True), WireAudio(format_)
        if rest:
            self.hear(rest)
        self._hearing.commit()

    def _item_create(self, event: Any) -> None:
        item = parsed(event.item, self._outbox.make_id("item"))
        parts = (self._hearing, self._answering, self._mcp)
        if any(item["id"] in part.item_ids for part in parts):
            raise duplicate(item["id"])
        format_ = self.session["audio"]["input"]["format"]
        pcm = b"".join(
            _decoded(audio, WireAudio(format_), param, last=True)
            for param, audio in audio_of(event.item)
        )
        answers = item["type"] == "mcp_approval_response"
        if answers:
            self._mcp.check_approval(item)
        previous = self._conversation.add(item, event.previous_item_id)
        for moment in ("added", "done"):
            self._outbox.emit(
                {
                    "type": f"conversation.item.{moment}",
                    "previous_item_id": previous,
                    "item": copy.deepcopy(item),
                }
            )
        if pcm:
            self._hearing.write_down(item["id"], pcm)
        if answers:
            self._mcp.approve(item)

    def _item_retrieve(self, event: Any) -> None:
        # A data channel carries 256 KiB at most: about four seconds of audio.
        item: Item = self._conversation.retrieved(
            event.item_id, with_audio=not self._webrtc
        )
        self._outbox.emit({"type": "conversation.item.retrieved", "item": item})

    def _item_truncate(self, event: Any) -> None:
        self._answering.truncate(event.item_id, event.content_index, event.audio_end_ms)

    def _item_delete(self, event: Any) -> None:
        self._conversation.delete(event.item_id)
        deleted = {"type": "conversation.item.deleted", "item_id": event.item_id}
        self._outbox.emit(deleted)

    def _response_create(self, event: Any) -> None:
        if self.session["type"] == "transcription":
            raise InvalidRequest(
                "A transcription session answers nothing: response.create is for "
                "sessions of type realtime.",
                code="invalid_value",
                param="type",
            )
        params = event.response.model_dump(exclude_unset=True) if event.response else {}
        self._answering.create(self.session, params)
        self._proceed()

    def _response_cancel(self, event: Any) -> None:
        self._answering.cancel(event.response_id, "client_cancelled")


def _labels(session: Session) -> set[str]:
    tools = session.get("tools", ())
    return {tool["server_label"] for tool in tools if tool["type"] == "mcp"}


def _decoded(audio: str, wire: WireAudio, param: str, last: bool = False) -> bytes:
    try:
        return wire.decode(base64.b64decode(audio, validate=True), last)
    except (binascii.Error, ValueError):
        raise InvalidRequest(
            "Invalid 'audio'. Expected base64-encoded audio bytes in the "
            "session's input format.",
            code="invalid_value",
            param=param,
        ) from None
