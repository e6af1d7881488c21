"""The default conversation of a session: its items in order, and their audio."""

from __future__ import annotations

import base64
import copy
from collections import OrderedDict
from typing import TYPE_CHECKING

from offhook.errors import InvalidRequest
from offhook.protocol.items import is_plain, text_of
from offhook.protocol.prompt import ToolCall, ToolOutput, Turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from offhook.protocol.items import Item

# Enough for 20 minutes of speech per call; the oldest audio is forgotten first.
AUDIO_BYTES = 56 * 2**20
# Clients take frames of 8 MiB (openai-agents), which are 6 MiB before base64.
_FRAME_BYTES = 5 * 2**20


class Conversation:
    """Items by id and in order; the audio of spoken ones beside them."""

    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self._order: list[str] = []
        self._items: dict[str, Item] = {}
        self._audio: OrderedDict[str, bytes] = OrderedDict()
        self._audio_bytes = 0

    def __iter__(self) -> Iterator[Item]:
        return (self._items[item_id] for item_id in self._order)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._items

    @property
    def spoken(self) -> bool:
        """Whether the assistant has spoken; from then on its voice is fixed."""
        return any(
            part["type"] == "output_audio"
            for item in self
            for part in item.get("content", ())
        )

    def last_id(self) -> str | None:
        """Return the id of the newest item."""
        return self._order[-1] if self._order else None

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Insert an item and return the id of the one before it.

        Args:
            item: With an `id` of its own.
            after: `root`, the id of an item, or None for the end.

        Raises:
            InvalidRequest: The id is taken, or `after` is unknown.
        """
        item_id = item["id"]
        if item_id in self._items:
            raise duplicate(item_id)
        if after in (None, "root"):
            index = 0 if after == "root" else len(self._order)
        elif after in self._items:
            index = self._order.index(str(after)) + 1
        else:
            raise InvalidRequest(
                f"Error adding item: the item with id '{after}' does not exist.",
                code="item_create_invalid_previous_item_id",
                param="previous_item_id",
            )
        self._order.insert(index, item_id)
        self._items[item_id] = item
        return self._order[index - 1] if index else None

    def get(self, item_id: str, verb: str) -> Item:
        """Return an item that a client named.

        Raises:
            InvalidRequest: There is none; `verb` names the event in the code.
        """
        try:
            return self._items[item_id]
        except KeyError:
            raise InvalidRequest(
                f"Error {verb.removesuffix('e')}ing item: "
                f"the item with id '{item_id}' does not exist.",
                code=f"item_{verb}_invalid_item_id",
                param="item_id",
            ) from None

    def delete(self, item_id: str) -> None:
        """Remove an item.

        Raises:
            InvalidRequest: There is none.
        """
        self.get(item_id, "delete")
        self._order.remove(item_id)
        del self._items[item_id]
        self._audio_bytes -= len(self._audio.pop(item_id, b""))

    def keep_audio(self, item_id: str, pcm: bytes) -> None:
        """Add 24 kHz PCM to an item, forgetting old audio past the limit."""
        self._audio[item_id] = self._audio.get(item_id, b"") + pcm
        self._audio_bytes += len(pcm)
        while self._audio_bytes > AUDIO_BYTES and len(self._audio) > 1:
            self._audio_bytes -= len(self._audio.popitem(last=False)[1])

    def truncate(self, item_id: str, content_index: int, end_ms: int) -> None:
        """Forget what the caller did not hear of a spoken answer.

        Raises:
            InvalidRequest: Not speech of the assistant, or shorter than that.
        """
        item = self.get(item_id, "truncate")
        content = item.get("content", [])
        part = content[content_index] if content_index < len(content) else {}
        if part.get("type") != "output_audio":
            raise InvalidRequest(
                "Only model output audio messages can be truncated",
                code="unsupported_content_type",
            )
        audio = self._audio.get(item_id, b"")
        length_ms = len(audio) // 48
        if end_ms > length_ms:
            raise InvalidRequest(
                f"Audio content of {length_ms}ms is already shorter than {end_ms}ms",
                code="invalid_value",
                param="audio_end_ms",
            )
        self._audio_bytes -= len(audio) - end_ms * 48
        self._audio[item_id] = audio[: end_ms * 48]
        # OpenAI: the transcript goes too, so that no unheard text stays in context.
        part["transcript"] = ""

    def retrieved(self, item_id: str, *, with_audio: bool) -> Item:
        """Return the full item for `conversation.item.retrieved`.

        Raises:
            InvalidRequest: There is none.
        """
        item = copy.deepcopy(self.get(item_id, "retrieve"))
        audio = self._audio.get(item_id, b"")
        fits = 0 < len(audio) <= _FRAME_BYTES
        for part in item.get("content", ()):
            if with_audio and fits and part["type"].endswith("_audio"):
                part["audio"] = base64.b64encode(audio).decode()
        return {"object": "realtime.item", **item} if is_plain(item) else item


def duplicate(item_id: str) -> InvalidRequest:
    """Make the error for a client's item whose id is taken."""
    return InvalidRequest(
        f"Error adding item: the item with id '{item_id}' already exists.",
        code="item_create_duplicate_id",
        param="item.id",
    )


def turns(items: Iterable[Item]) -> tuple[Turn | ToolCall | ToolOutput, ...]:
    """Return what was said, called and returned, as a responder reads it."""
    return tuple(turn for item in items for turn in _turns(item))


def _turns(item: Item) -> Iterator[Turn | ToolCall | ToolOutput]:
    match item["type"]:
        case "message":
            yield Turn(item["role"], text_of(item))
        case "function_call":
            yield ToolCall(item["name"], item["arguments"], item.get("call_id") or "")
        case "function_call_output":
            yield ToolOutput(item["call_id"], item["output"])
        case "mcp_call" if item["output"] is not None or item["error"]:
            yield ToolCall(item["name"], item["arguments"], item["id"])
            failed = item["error"] and item["error"]["message"]
            yield ToolOutput(item["id"], failed or item["output"])
