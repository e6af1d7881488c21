"""The server's voice: responses in progress, and what of them was heard."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from offhook.errors import InvalidRequest
from offhook.protocol.conversation import turns
from offhook.protocol.effects import Abandon, Generate, Outbox
from offhook.protocol.generation import Generation, usage
from offhook.protocol.items import Item, parsed
from offhook.protocol.playout import Playout, Started
from offhook.protocol.prompt import Prompt, Turn

if TYPE_CHECKING:
    from offhook.protocol.conversation import Conversation
    from offhook.protocol.session_config import Session

_TOKENS_PER_MINUTE = 40_000


class Answering:
    """Runs responses: one in the conversation at a time, others beside it.

    Args:
        outbox: Where events and effects go.
        conversation: What is answered.
        playout: Holds the audio where we own the playing of it (WebRTC); without
            one the audio goes out as events.
    """

    def __init__(
        self, outbox: Outbox, conversation: Conversation, playout: Playout | None
    ) -> None:
        self._outbox = outbox
        self._conversation = conversation
        self._playout = playout
        self._running: dict[str, Generation] = {}
        self._waiting: list[tuple[Generate, list[Item] | None]] = []
        self._text_in: dict[str, str] = {}

    @property
    def active(self) -> Generation | None:
        """The response in the default conversation, if one is in progress."""
        return next((g for g in self._running.values() if g.in_conversation), None)

    @property
    def unfinished(self) -> tuple[str, ...]:
        """The ids of all responses in progress."""
        return tuple(self._running)

    def create(self, session: Session, params: dict[str, Any]) -> None:
        """Begin a response; it is made once `proceed` is called.

        Args:
            session: The effective session.
            params: The `response` of a `response.create`.

        Raises:
            InvalidRequest: One is in progress already, or an input item is bad.
        """
        apart = params.get("conversation") == "none"
        if not apart and (active := self.active):
            raise InvalidRequest(
                "Conversation already has an active response in progress: "
                f"{active.response_id}. Wait until the response is finished before "
                "creating a new one.",
                code="conversation_already_has_active_response",
            )
        items = self._context(params.get("input"))
        output = _output(session, params)
        modality = _modality(session, params)
        generation = Generation(
            self._outbox.emit,
            response_id=self._outbox.make_id("resp"),
            item_id=self._outbox.make_id("item"),
            conversation_id=None if apart else self._conversation.id,
            modality=modality,
            metadata=params.get("metadata"),
            max_output_tokens=params.get("max_output_tokens")
            or session["max_output_tokens"],
            audio_output={"format": output["format"], "voice": output["voice"]},
            stream_audio=self._playout is None,
        )
        self._running[generation.response_id] = generation
        instructions = params.get("instructions")
        request = Generate(
            response_id=generation.response_id,
            prompt=Prompt(
                session["instructions"] if instructions is None else instructions, ()
            ),
            modality=modality,
            voice=output["voice"] if isinstance(output["voice"], str) else "",
            speed=output["speed"],
        )
        self._waiting.append((request, items))

    def proceed(self) -> None:
        """Start what has waited for the caller's words."""
        waiting, self._waiting = self._waiting, []
        for request, items in waiting:
            said = turns(self._conversation if items is None else items)
            prompt = replace(request.prompt, turns=said)
            self._text_in[request.response_id] = _text_of(prompt)
            self._outbox.request(replace(request, prompt=prompt))

    def say(self, response_id: str, delta: str) -> None:
        """Take words of an answer."""
        if generation := self._begun(response_id):
            generation.say(delta)

    def sound(self, response_id: str, pcm: bytes, encoded: bytes) -> None:
        """Take speech of an answer.

        Args:
            response_id: Which answer.
            pcm: As 24 kHz PCM.
            encoded: The same in the session's output format.
        """
        if not (generation := self._begun(response_id)):
            return
        generation.sound(encoded, len(pcm) // 48)
        if generation.in_conversation:
            self._conversation.keep_audio(generation.item_id, pcm)
        if self._playout:
            self._playout.put(response_id, generation.item_id, pcm)

    def finish(self, response_id: str, heard_ms: int) -> None:
        """Close an answer that is complete.

        Args:
            response_id: Which answer.
            heard_ms: How much speech of the caller is in the context.
        """
        if self._begun(response_id):
            self._close(response_id, "completed", heard_ms=heard_ms)

    def fail(self, response_id: str, code: str) -> None:
        """Close an answer that could not be made."""
        if response_id in self._running:
            self._close(
                response_id, "failed", error={"type": "server_error", "code": code}
            )

    def cancel(self, response_id: str | None, reason: str) -> None:
        """Close an answer that is not wanted any more.

        Raises:
            InvalidRequest: There is none.
        """
        generation = self._running.get(response_id) if response_id else self.active
        if generation is None:
            raise InvalidRequest(
                "Cancellation failed: no active response found",
                code="response_cancel_not_active",
            )
        self._waiting = [
            (request, items)
            for request, items in self._waiting
            if request.response_id != generation.response_id
        ]
        self._outbox.request(Abandon(generation.response_id))
        self._close(generation.response_id, "cancelled", reason=reason)

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
        for generation in self._running.values():
            generation.truncated |= generation.item_id == item_id
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

    def _begun(self, response_id: str) -> Generation | None:
        generation = self._running.get(response_id)
        if generation and generation.item is None:
            generation.begin(self._conversation.add)
        return generation

    def _close(
        self,
        response_id: str,
        status: Literal["completed", "cancelled", "failed"],
        *,
        reason: str | None = None,
        error: dict[str, str] | None = None,
        heard_ms: int = 0,
    ) -> None:
        generation = self._running.pop(response_id)
        if self._playout:
            self._playout.finish(response_id)
        used = usage(
            text_in=self._text_in.pop(response_id, ""),
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

    def _context(self, given: list[Any] | None) -> list[Item] | None:
        if given is None:
            return None
        items = []
        for index, item in enumerate(given):
            at = f"response.input[{index}]"
            if isinstance(item, dict) and item.get("type") == "item_reference":
                items.append(self._conversation.get(str(item.get("id")), "retrieve"))
            else:
                items.append(parsed(item, self._outbox.make_id("item"), at))
        return items


def _text_of(prompt: Prompt) -> str:
    said = (turn.text for turn in prompt.turns if isinstance(turn, Turn))
    return " ".join([prompt.instructions, *said])


def _modality(session: Session, params: dict[str, Any]) -> Literal["text", "audio"]:
    modalities = params.get("output_modalities") or session["output_modalities"]
    return "text" if modalities == ["text"] else "audio"


def _output(session: Session, params: dict[str, Any]) -> dict[str, Any]:
    given = (params.get("audio") or {}).get("output") or {}
    # The format is the session's: it belongs to the connection, not to one answer.
    present = {
        key: value
        for key, value in given.items()
        if value is not None and key != "format"
    }
    return {**session["audio"]["output"], **present}
