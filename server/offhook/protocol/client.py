"""Client side of a session: server events in, typed events and client events out.

Sans-IO: what is to be sent and what is to be told gather in order and come out of
`drain`. The order in which events are told is that of @openai/agents-realtime 0.20.
"""

from __future__ import annotations

import base64
import binascii
import copy
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offhook.protocol import transport_events as told
from offhook.protocol.history import History
from offhook.protocol.history_edits import replay
from offhook.protocol.history_requests import HistoryRequests
from offhook.protocol.playback import AudioPart, PlaybackLedger, duration_ms
from offhook.protocol.responses import ResponseSequencer
from offhook.protocol.server_faults import MALFORMED, malformed, unlisted
from offhook.protocol.session_requests import SessionRequests, output_format
from offhook.protocol.truncations import Truncations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from offhook.events import Event
    from offhook.protocol.items import Item


@dataclass(frozen=True)
class Transmit:
    """Send this client event."""

    event: Event


@dataclass(frozen=True)
class Tell:
    """Emit this to who listens."""

    name: str
    payload: tuple[Any, ...] = ()


class Client:
    """One session, seen from the client.

    Args:
        ledger: Knows how much was heard, where we play the audio; None where the server
            does (WebRTC), which then cuts its answers itself.
    """

    def __init__(self, ledger: PlaybackLedger | None) -> None:
        self.history = History()
        self._ledger = ledger
        self._responses = ResponseSequencer()
        self._rewriting = HistoryRequests()
        self._session = SessionRequests()
        self._truncations = Truncations()
        # By response, as it was when the response began.
        self._formats: dict[str, Any] = {}
        self._out: list[Transmit | Tell] = []
        self._handlers: dict[str, Callable[[Event, float], None]] = {
            "session.created": self._session_told,
            "session.updated": self._session_told,
            "response.created": self._response_created,
            "response.done": self._response_done,
            "response.output_audio.delta": self._audio,
            "response.output_audio.done": self._audio_done,
            "response.output_audio_transcript.delta": self._delta,
            "response.output_text.delta": self._delta,
            "response.output_item.done": self._output_done,
            "conversation.item.done": self._item_done,
            "mcp_list_tools.failed": self._unlisted,
            "input_audio_buffer.speech_started": self._speech_started,
        }

    def drain(self) -> list[Transmit | Tell]:
        """Return what is to be done now, in order."""
        out, self._out = self._out, []
        return out

    def reset(self) -> None:
        """Forget what belongs to a connection; the history stays."""
        self._responses.reset()
        self._rewriting.reset()
        if self._ledger:
            self._ledger.reset()
        self._formats.clear()

    def open(
        self,
        config: Mapping[str, Any] | None,
        model: str | None = None,
        *,
        joined: bool = False,
    ) -> list[str]:
        """Begin a connection: ask for the session that the user wants.

        What the configuration leaves open is as in the JavaScript SDK. A call that is
        joined keeps its own settings; with no configuration it is asked for nothing.

        Args:
            config: The user's, in any vocabulary.
            model: Goes along where the configuration names none.
            joined: Whether the session is somebody else's call.

        Returns:
            What is wrong with the configuration and was put right.

        Raises:
            InvalidRequest: `audio` or a part of it is not an object.
        """
        self.history.replace()
        self._truncations.reset()
        events, warnings = self._session.open(config, model, joined=joined)
        self._transmit(*events)
        return warnings

    def configure(self, config: Mapping[str, Any]) -> list[str]:
        """Send a `session.update`; what is not given stays as it was sent before.

        Returns:
            What is wrong with the configuration and was put right.

        Raises:
            InvalidRequest: `audio` or a part of it is not an object.
        """
        events, warnings = self._session.change(config)
        self._transmit(*events)
        return warnings

    def resume(self) -> list[str]:
        """Give a new session the configuration and the history of the last one.

        Returns:
            What of the history it cannot have.
        """
        self._transmit(*self._session.again())
        heard = self._truncations.applied(self.history.items)
        events, warnings = replay(heard)
        self._transmit(*events)
        return warnings

    def send(self, event: Event) -> None:
        """Send an event as it is; a `response.create` waits for its turn."""
        match event.get("type"):
            case "response.create":
                self._transmit(*self._responses.create(event))
            case "response.cancel":
                self._responses.cancel(event.get("response_id"))
                self._transmit(event)
            case _:
                self._transmit(event)

    def request(self, response: Mapping[str, Any] | None = None) -> None:
        """Ask for a response, once none is being made."""
        if response is None:
            self._transmit(*self._responses.request())
        else:
            event = {"type": "response.create", "response": dict(response)}
            self._transmit(*self._responses.create(event))

    def say(
        self,
        content: str | Sequence[Mapping[str, Any]],
        extra: Mapping[str, Any] | None = None,
        *,
        respond: bool = True,
    ) -> None:
        """Send a message of the user's.

        Args:
            content: A text, or content parts; an `input_image` has `image` or
                `image_url`.
            extra: Goes into the event, for example `previous_item_id`.
            respond: Whether to ask for an answer.
        """
        parts = (
            [{"type": "input_text", "text": content}]
            if isinstance(content, str)
            else [_part(part) for part in content]
        )
        item = {"type": "message", "role": "user", "content": parts}
        event = {"type": "conversation.item.create", "item": item}
        self._transmit({**event, **(extra or {})})
        if respond:
            self.request()

    def hear(self, audio: bytes, *, commit: bool = False) -> None:
        """Send audio in the session's input format."""
        encoded = base64.b64encode(audio).decode()
        self._transmit({"type": "input_audio_buffer.append", "audio": encoded})
        if commit:
            self._transmit({"type": "input_audio_buffer.commit"})

    def give_output(self, call_id: str, output: str, *, respond: bool = True) -> None:
        """Return what a function gave."""
        item = {"type": "function_call_output", "call_id": call_id, "output": output}
        self._transmit({"type": "conversation.item.create", "item": item})
        if respond:
            self.request()

    def approve(self, request_id: str, approve: bool, reason: str | None) -> None:
        """Answer an approval request of an MCP server's tool."""
        item: Item = {
            "type": "mcp_approval_response",
            "approval_request_id": request_id,
            "approve": approve,
        }
        if reason is not None:
            item["reason"] = reason
        event = {"type": "conversation.item.create", "previous_item_id": request_id}
        self._transmit({**event, "item": item})

    def interrupt(self, now_ms: float, *, cancel: bool = True) -> None:
        """Stop the answer: what was not heard of it is cut.

        Args:
            now_ms: When it is, on any clock that does not go back.
            cancel: Whether to cancel it, too; the server does that by itself where
                `interrupt_response` is on.
        """
        ongoing = self._responses.ongoing
        if self._ledger is None:
            if cancel:
                self._transmit(*self._responses.cancel())
            self._transmit({"type": "output_audio_buffer.clear"})
            self._tell("audio_interrupted", told.AudioInterrupted())
            return
        current = self._ledger.current(now_ms)
        cuts = self._ledger.interrupt(now_ms, ongoing)
        if cancel:
            self._transmit(*self._responses.cancel())
        if current is None:
            return
        first = next((c for c in cuts if c.item_id == current.item_id), None)
        end_ms = first.audio_end_ms if first else None
        interrupted = (current.item_id, current.content_index, end_ms)
        self._tell("audio_interrupted", told.AudioInterrupted(*interrupted))
        for cut in cuts:
            self._transmit(
                {
                    "type": "conversation.item.truncate",
                    "item_id": cut.item_id,
                    "content_index": cut.content_index,
                    "audio_end_ms": cut.audio_end_ms,
                }
            )

    def reset_history(self, old: Sequence[Item], new: Sequence[Item]) -> list[str]:
        """Make the server's conversation the new one.

        Returns:
            What cannot be made so.

        Raises:
            InvalidRequest: An item has no id, or two have the same.
        """
        events, warnings = self._rewriting.rewrite(old, new)
        self._transmit(*events)
        return warnings

    def take(self, event: Event, now_ms: float) -> None:
        """Take a server event, known or not."""
        self._tell("*", copy.deepcopy(event))
        if event["type"] == "error":
            error = event.get("error")
            fault = error if isinstance(error, dict) else {}
            self._tell("error", told.TransportError(fault, fault.get("event_id")))
        elif event["type"] not in told.OWN:
            self._tell(event["type"], event)
        self._rewriting.take(event)
        self._truncations.take(event)
        requests = self._responses.take(event)
        for change in self.history.take(event):
            if change.kind == "deleted":
                deleted = told.ItemDeleted(change.item["item_id"])
                self._tell("item_deleted", deleted)
            else:
                self._tell("item_update", told.ItemUpdate(change.item))
        if handler := self._handlers.get(event["type"]):
            # What a server that is not quite OpenAI's leaves out breaks nothing.
            try:
                handler(event, now_ms)
            except MALFORMED as error:
                self._tell("error", malformed(event, error))
        self._transmit(*requests)

    def _transmit(self, *events: Event) -> None:
        self._out.extend(Transmit(event) for event in events)

    def _tell(self, name: str, *payload: Any) -> None:
        self._out.append(Tell(name, payload))

    def _session_told(self, event: Event, _: float) -> None:
        self._transmit(*self._session.take(event))

    def _response_created(self, event: Event, _: float) -> None:
        response = event["response"]
        response_id = response.get("id") or ""
        format_ = output_format(response) or self._session.output_format
        self._formats[response_id] = format_
        self._tell("turn_started", told.TurnStarted(response_id, event))

    def _response_done(self, event: Event, _: float) -> None:
        response = event["response"]
        response_id = response.get("id") or ""
        self._formats.pop(response_id, None)
        if self._ledger:
            self._ledger.finish(response_id)
        used = response.get("usage") or {}
        usage = told.Usage(
            used.get("input_tokens") or 0,
            used.get("output_tokens") or 0,
            used.get("input_token_details") or {},
            used.get("output_token_details") or {},
        )
        self._tell("usage_update", usage)
        status, output = response.get("status") or "", response.get("output") or ()
        done = told.TurnDone(response_id, status, tuple(output), usage)
        self._tell("turn_done", done)

    def _audio(self, event: Event, now_ms: float) -> None:
        part = _spoken(event)
        if self._ledger is None:
            return
        try:
            data = base64.b64decode(event["delta"], validate=True)
        except binascii.Error as error:
            raise ValueError("audio that is not base64") from error
        format_ = self._formats.get(part.response_id) or self._session.output_format
        ms = duration_ms(len(data), format_)
        self._truncations.add(part, ms)
        if not self._ledger.ignores(part.response_id):
            self._ledger.add(part, ms, now_ms)
            self._tell("audio", told.Audio(data, *part))

    def _audio_done(self, event: Event, _: float) -> None:
        part = _spoken(event)
        if self._ledger:
            self._ledger.complete(part)
        self._tell("audio_done", told.AudioDone(*part))

    def _delta(self, event: Event, _: float) -> None:
        spoken = event["type"].startswith("response.output_audio")
        name = "audio_transcript_delta" if spoken else "output_text_delta"
        delta = (event["delta"], event["item_id"], event["response_id"])
        self._tell(name, told.Delta(*delta))

    def _output_done(self, event: Event, _: float) -> None:
        item = event["item"]
        if item["type"] == "function_call" and item.get("status") == "completed":
            call = told.FunctionCall(
                id=item["id"],
                call_id=item.get("call_id") or "",
                name=item["name"],
                arguments=item.get("arguments") or "",
                response_id=event["response_id"],
            )
            self._tell("function_call", call)

    def _item_done(self, event: Event, _: float) -> None:
        item = event["item"]
        match item["type"]:
            case "mcp_list_tools":
                listed = told.McpToolsListed(item["server_label"], tuple(item["tools"]))
                self._tell("mcp_tools_listed", listed)
            case "mcp_approval_request":
                arguments = json.loads(item.get("arguments") or "{}")
                named = (item["id"], item["server_label"], item["name"], arguments)
                self._tell("mcp_approval_request", told.McpApprovalRequest(*named))
            case "mcp_call" | "mcp_tool_call":
                kept = self.history.get(item["id"]) or item
                self._tell("mcp_tool_call_completed", told.McpToolCallCompleted(kept))

    def _unlisted(self, event: Event, _: float) -> None:
        listed = self.history.known(event.get("item_id"))
        self._tell("error", unlisted(listed.get("server_label")))

    def _speech_started(self, _: Event, now_ms: float) -> None:
        if self._ledger is None:
            return  # the server has cleared its own buffer
        self.interrupt(now_ms, cancel=not self._session.interrupts)


def _spoken(event: Event) -> AudioPart:
    return AudioPart(event["response_id"], event["item_id"], event["content_index"])


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part.get("type") != "input_image" or "image" not in part:
        return dict(part)
    rest = {k: v for k, v in part.items() if k not in ("image", "provider_data")}
    return {**rest, "image_url": part["image"], **(part.get("provider_data") or {})}
