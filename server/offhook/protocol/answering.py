"""The server's voice: responses in progress, and what of them was heard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from offhook.errors import InvalidRequest
from offhook.protocol.conversation import turns
from offhook.protocol.effects import Abandon, Generate, Outbox
from offhook.protocol.generation import Generation, Status
from offhook.protocol.items import Item, ItemReference, parsed
from offhook.protocol.playout import Playout, Started
from offhook.protocol.prompt import Prompt, ToolOutput, Turn
from offhook.protocol.request import Request
from offhook.protocol.usage import usage
from offhook.protocol.validation import check
from offhook.protocol.wire_audio import WireAudio

if TYPE_CHECKING:
    from offhook.protocol.conversation import Conversation
    from offhook.protocol.mcp_tools import McpTools
    from offhook.protocol.session_config import Session

_TOKENS_PER_MINUTE = 40_000
_REFERENCE = TypeAdapter(ItemReference)


@dataclass
class _Answer:
    """A response in progress, and what it was asked to be.

    Attributes:
        items: What to answer; None for the conversation.
        wire: Encodes the audio; None where a track carries it.
        waiting: Whether the caller's words are still to come.
    """

    generation: Generation
    request: Request
    items: list[Item] | None
    wire: WireAudio | None
    waiting: bool = True
    text_in: str = ""


class Answering:
    """Runs responses: one in the conversation at a time, others beside it.

    Args:
        outbox: Where events and effects go.
        conversation: What is answered.
        mcp: The tools of MCP servers.
        playout: Holds the audio where we own the playing of it (WebRTC); without
            one the audio goes out as events.
    """

    def __init__(
        self,
        outbox: Outbox,
        conversation: Conversation,
        mcp: McpTools,
        playout: Playout | None,
    ) -> None:
        self._outbox = outbox
        self._conversation = conversation
        self._mcp = mcp
        self._playout = playout
        self._running: dict[str, _Answer] = {}
        self._audible_until_ms: int | None = None

    @property
    def active(self) -> Generation | None:
        """The response in the default conversation, if one is in progress."""
        generations = (answer.generation for answer in self._running.values())
        return next((g for g in generations if g.in_conversation), None)

    @property
    def unfinished(self) -> tuple[str, ...]:
        """The ids of all responses in progress."""
        return tuple(self._running)

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The ids of items that are being made, whether they are kept or not."""
        made = (answer.generation.item_ids for answer in self._running.values())
        return tuple(item_id for ids in made for item_id in ids)

    def quiet(self, now_ms: int) -> bool:
        """Whether an answer was given, and all of it should have been heard by now."""
        if self.active or (self._playout and self._playout.busy):
            return False
        return self._audible_until_ms is not None and now_ms >= self._audible_until_ms

    def create(self, session: Session, params: dict[str, Any]) -> None:
        """Begin a response; it is made once `proceed` is called.

        Args:
            session: The effective session.
            params: The `response` of a `response.create`.

        Raises:
            InvalidRequest: One is in progress already, or the request is bad.
        """
        request = Request(session, params)
        if not request.apart and (active := self.active):
            raise InvalidRequest(
                "Conversation already has an active response in progress: "
                f"{active.response_id}. Wait until the response is finished before "
                "creating a new one.",
                code="conversation_already_has_active_response",
            )
        request.check()
        items = self._context(params.get("input"))
        self._mcp.configure(params.get("tools") or [])
        response_id = self._outbox.make_id("resp")
        generation = Generation(
            self._outbox.emit,
            None if request.apart else self._conversation.add,
            request.response(response_id, self._conversation.id),
            stream_audio=self._playout is None,
            make_id=self._outbox.make_id,
        )
        wire = None if self._playout else WireAudio(request.output["format"])
        self._running[response_id] = _Answer(generation, request, items, wire)

    def proceed(self) -> None:
        """Start what has waited for the caller's words, or for its own tools."""
        for response_id, answer in self._running.items():
            # OpenAI: a server named by the session is not waited for.
            own = answer.request.params.get("tools") or []
            if not answer.waiting or self._mcp.listing(own):
                continue
            answer.waiting = False
            items = self._conversation if answer.items is None else answer.items
            prompt = answer.request.prompt(turns(items), self._mcp)
            answer.text_in = _text_of(prompt)
            output = answer.request.output
            self._outbox.request(
                Generate(
                    response_id=response_id,
                    prompt=prompt,
                    modality=answer.request.modality,
                    voice=output["voice"],
                    speed=output["speed"],
                )
            )

    def say(self, response_id: str, delta: str) -> None:
        """Take words of an answer."""
        if answer := self._running.get(response_id):
            answer.generation.say(delta)
            self._stop_if_full(answer)

    def sound(self, response_id: str, pcm: bytes) -> None:
        """Take speech of an answer: 24 kHz PCM."""
        answer = self._running.get(response_id)
        if answer is None or answer.request.modality == "text":
            return
        encoded = answer.wire.encode(pcm) if answer.wire else b""
        kept = answer.generation.sound(encoded, len(pcm) // 48)
        pcm = pcm if kept == len(pcm) // 48 else pcm[: kept * 48]
        item_id = answer.generation.speaking().output.item["id"]
        if answer.generation.in_conversation:
            self._conversation.keep_audio(item_id, pcm)
        if self._playout:
            self._playout.put(response_id, item_id, pcm)
        self._stop_if_full(answer)

    def call(self, response_id: str, name: str, arguments: str) -> None:
        """Take a call of a tool; one that was not offered is left out."""
        answer = self._running.get(response_id)
        if answer is None or (answer.generation.calls and not answer.request.parallel):
            return
        try:
            label = answer.request.server_of(name, self._mcp)
        except KeyError:
            return
        answer.generation.call(name, arguments, label)
        self._stop_if_full(answer)

    def finish(self, response_id: str, *, heard_ms: int = 0, now_ms: int = 0) -> None:
        """Close an answer that is complete.

        Args:
            response_id: Which answer.
            heard_ms: How much speech of the caller is in the context.
            now_ms: When it is, on the clock of the caller's audio.
        """
        if answer := self._running.get(response_id):
            if not answer.generation.begun:
                answer.generation.speaking()
            if answer.wire and answer.generation.audio_ms:
                answer.generation.sound(answer.wire.encode(b"", last=True), 0)
            self._close(answer, "completed", heard_ms=heard_ms)
            if answer.generation.in_conversation:
                # OpenAI: the time of `response.done` and as long as the audio plays.
                self._audible_until_ms = now_ms + answer.generation.audio_ms

    def fail(self, response_id: str, code: str) -> None:
        """Close an answer that could not be made."""
        if answer := self._running.get(response_id):
            error = {"type": "server_error", "code": code}
            self._close(answer, "failed", error=error)

    def cancel(self, response_id: str | None, reason: str) -> None:
        """Close an answer that is not wanted any more.

        Raises:
            InvalidRequest: There is none.
        """
        active = self.active
        wanted = response_id or (active.response_id if active else "")
        answer = self._running.get(wanted)
        if answer is None:
            raise InvalidRequest(
                "Cancellation failed: no active response found",
                code="response_cancel_not_active",
            )
        self._outbox.request(Abandon(wanted))
        self._close(answer, "cancelled", reason=reason)

    def interrupt(self) -> None:
        """Stop answering because the caller speaks."""
        if self.active:
            self.cancel(None, "turn_detected")
        if self._playout and self._playout.busy:
            self.clear_playout()

    def clear_playout(self) -> None:
        """Stop what is being played, and cut the items where playing stopped.

        Raises:
            InvalidRequest: We do not own the playing of it.
        """
        if self._playout is None:
            raise InvalidRequest(
                "There is no output audio buffer on this connection: "
                "output_audio_buffer.clear is for WebRTC.",
                code="invalid_value",
                param="type",
            )
        cuts = self._playout.clear()
        for response_id in dict.fromkeys(cut.response_id for cut in cuts):
            cleared = {"type": "output_audio_buffer.cleared"}
            self._outbox.emit({**cleared, "response_id": response_id})
        for cut in cuts:
            if cut.item_id in self._conversation:
                self.truncate(cut.item_id, 0, cut.played_ms)

    def truncate(self, item_id: str, content_index: int, end_ms: int) -> None:
        """Forget what the caller did not hear.

        Raises:
            InvalidRequest: Not speech of the assistant, or shorter than that.
        """
        self._conversation.truncate(item_id, content_index, end_ms)
        for answer in self._running.values():
            message = answer.generation.message
            if message and message.output.item["id"] == item_id:
                message.truncated = True
        self._outbox.emit(
            {
                "type": "conversation.item.truncated",
                "item_id": item_id,
                "content_index": content_index,
                "audio_end_ms": end_ms,
            }
        )

    def pull(self, ms: int) -> bytes:
        """Take the next `ms` of audio to play; short or empty when there is less."""
        if self._playout is None:
            return b""
        pcm, notices = self._playout.pull(ms)
        for notice in notices:
            moment = "started" if isinstance(notice, Started) else "stopped"
            event = {"type": f"output_audio_buffer.{moment}"}
            self._outbox.emit({**event, "response_id": notice.response_id})
        return pcm

    def _stop_if_full(self, answer: _Answer) -> None:
        if answer.generation.full:
            self._outbox.request(Abandon(answer.generation.response_id))
            self._close(answer, "incomplete", reason="max_output_tokens")

    def _close(
        self,
        answer: _Answer,
        status: Status,
        *,
        reason: str | None = None,
        error: dict[str, str] | None = None,
        heard_ms: int = 0,
    ) -> None:
        generation = answer.generation
        del self._running[generation.response_id]
        if self._playout:
            self._playout.finish(generation.response_id)
        used = usage(
            text_in=answer.text_in,
            text_out=generation.text,
            audio_in_ms=heard_ms,
            audio_out_ms=generation.audio_ms,
        )
        generation.close(status, reason=reason, error=error, usage=used)
        left = max(0, _TOKENS_PER_MINUTE - used["total_tokens"])
        limit = {"name": "tokens", "limit": _TOKENS_PER_MINUTE, "remaining": left}
        reset = round((_TOKENS_PER_MINUTE - left) / _TOKENS_PER_MINUTE * 60, 3)
        limits = [{**limit, "reset_seconds": reset}]
        self._outbox.emit({"type": "rate_limits.updated", "rate_limits": limits})
        for output in generation.mcp_calls:
            self._mcp.run(output, cancelled=status != "completed")

    def _context(self, given: list[Any] | None) -> list[Item] | None:
        if given is None:
            return None
        items = []
        for index, item in enumerate(given):
            at = f"response.input[{index}]"
            if isinstance(item, dict) and item.get("type") == "item_reference":
                item_id = check(_REFERENCE, item, at).id
                items.append(self._conversation.get(item_id, "retrieve"))
            else:
                items.append(parsed(item, self._outbox.make_id("item"), at))
        return items


def _text_of(prompt: Prompt) -> str:
    said = (turn.text for turn in prompt.turns if isinstance(turn, Turn))
    returned = (t.output for t in prompt.turns if isinstance(t, ToolOutput))
    return " ".join([prompt.instructions, *said, *returned])
