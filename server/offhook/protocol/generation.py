"""One response: from `response.created` to exactly one `response.done`.

It is made of words, sound and calls; `output` knows the events of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from offhook.protocol.output import (
    Add,
    Emit,
    Message,
    Modality,
    Output,
    Place,
    call_function,
    call_tool,
)
from offhook.protocol.prompt import ToolCall
from offhook.protocol.usage import CHARS_PER_TOKEN, MS_PER_TOKEN_OUT, text_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

Status = Literal["completed", "cancelled", "failed", "incomplete"]


class Generation:
    """A response in progress.

    Args:
        emit: Sends an event.
        add: Puts an item into the conversation; None for a response beside it.
        response: What the response object says, without its fixed fields.
        stream_audio: Whether the audio goes out in events.
        make_id: Makes ids.

    Attributes:
        response_id: `resp_…`.
        message: What is being said, once it has begun.
        mcp_calls: Calls that go on after the response: the tool runs then.
        full: Whether `max_output_tokens` was reached; what came after is dropped.
    """

    def __init__(
        self,
        emit: Emit,
        add: Add | None,
        response: dict[str, Any],
        *,
        stream_audio: bool,
        make_id: Callable[[str], str],
    ) -> None:
        self.response_id: str = response["id"]
        self.message: Message | None = None
        self.mcp_calls: list[Output] = []
        self.full = False
        self._emit = emit
        self._add = add
        self._stream_audio = stream_audio
        self._make_id = make_id
        self._outputs: list[Output] = []
        self._called: list[str] = []
        most = response["max_output_tokens"]
        self._room: int | None = None if most == "inf" else most
        self._response = {
            "object": "realtime.response",
            "status": "in_progress",
            "status_details": None,
            "output": [],
            "usage": None,
            **response,
        }
        emit({"type": "response.created", "response": dict(self._response)})

    @property
    def in_conversation(self) -> bool:
        """False for a response beside the conversation (`conversation: none`)."""
        return self._add is not None

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The ids of what it has made so far."""
        return tuple(output.item["id"] for output in self._outputs)

    @property
    def calls(self) -> int:
        """How many tools it has called."""
        return len(self._called)

    @property
    def begun(self) -> bool:
        """Whether there is anything of it yet."""
        return bool(self._outputs)

    @property
    def text(self) -> str:
        """What was said and asked for so far."""
        said = [self.message.text] if self.message else []
        return " ".join([*said, *self._called])

    @property
    def audio_ms(self) -> int:
        """How much audio has been generated."""
        return self.message.audio_ms if self.message else 0

    def say(self, delta: str) -> None:
        """Add text: the transcript of the speech, or the answer itself."""
        kept = delta[: self._take(text_tokens(delta)) * CHARS_PER_TOKEN]
        self.speaking().say(kept)

    def sound(self, encoded: bytes, ms: int) -> int:
        """Add audio, as it goes onto the wire, and return how many ms were kept."""
        kept = min(self._take(-(-ms // MS_PER_TOKEN_OUT)) * MS_PER_TOKEN_OUT, ms)
        if kept < ms:
            # Whole samples: G.711 has one byte for each, PCM two.
            encoded = encoded[: len(encoded) * kept // ms // 2 * 2]
        self.speaking().sound(encoded, kept)
        return kept

    def call(self, name: str, arguments: str, server_label: str | None = None) -> None:
        """Call a function of the client's, or a tool of an MCP server."""
        self._called.append(f"{name} {arguments}")
        self._take(text_tokens(self._called[-1]))
        item_id = self._make_id("item")
        if server_label is not None:
            call = ToolCall(name, arguments)
            output = call_tool(self._place(), item_id, server_label, call)
            self.mcp_calls.append(output)
        else:
            call = ToolCall(name, arguments, self._make_id("call"))
            output = call_function(self._place(), item_id, call)
        self._outputs.append(output)

    def speaking(self) -> Message:
        """Return the message, which begins with the first word or sound."""
        if self.message is None:
            modality: Modality = self._response["output_modalities"][0]
            self.message = Message(
                self._place(),
                self._make_id("item"),
                modality,
                stream_audio=self._stream_audio,
            )
            self._outputs.append(self.message.output)
        return self.message

    def close(
        self,
        status: Status,
        *,
        reason: str | None = None,
        error: dict[str, str] | None = None,
        usage: dict[str, Any] | None = None,
    ) -> None:
        """Emit every `.done` that is owed, whatever the reason."""
        if self.message:
            self.message.close("completed" if status == "completed" else "incomplete")
        details = {"type": status, "reason": reason, "error": error}
        self._response |= {
            "status": status,
            "status_details": None
            if status == "completed"
            else {key: value for key, value in details.items() if value is not None},
            "output": [output.snapshot() for output in self._outputs],
            "usage": usage,
        }
        self._emit({"type": "response.done", "response": self._response})

    def _place(self) -> Place:
        index = len(self._outputs)
        return Place(self._emit, self.response_id, index, self._add)

    def _take(self, tokens: int) -> int:
        """Spend tokens; returns how many there were."""
        if self._room is None:
            return tokens
        taken = min(tokens, self._room)
        self._room -= taken
        self.full |= taken < tokens
        return taken
