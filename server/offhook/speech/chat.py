"""A responder that asks any chat server which speaks OpenAI's chat completions."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import httpx

from offhook.errors import UpstreamError
from offhook.protocol.prompt import Turn
from offhook.speech.sentences import Splitter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from offhook.protocol.prompt import Prompt, ToolCall


class Chat:
    """Asks a chat server, and passes its answer on sentence by sentence.

    Args:
        client: Its base URL is the server's, usually ending in `/v1`; whoever made
            it also closes it.
        model: The model to ask for.
    """

    def __init__(self, client: httpx.AsyncClient, model: str) -> None:
        self.name = f"{model} at {client.base_url.host}"
        self._client = client
        self._model = model

    async def reply(self, prompt: Prompt) -> AsyncGenerator[str | ToolCall]:
        """See Responder."""
        splitter = Splitter()
        async with aclosing(self._pieces(prompt)) as pieces:
            async for piece in pieces:
                for sentence in splitter.feed(piece):
                    yield sentence
        for sentence in splitter.flush():
            yield sentence

    async def _pieces(self, prompt: Prompt) -> AsyncGenerator[str]:
        body = {"model": self._model, "messages": _messages(prompt), "stream": True}
        try:
            async with self._client.stream(
                "POST", "chat/completions", json=body
            ) as answer:
                if not answer.is_success:
                    raise UpstreamError(
                        f"The chat server answered with status {answer.status_code}.",
                        code="chat_refused",
                    )
                finished = False
                async for line in answer.aiter_lines():
                    piece, ends = _read(line)
                    finished |= ends
                    if piece:
                        yield piece
        except httpx.TimeoutException:
            raise UpstreamError(
                "The chat server did not answer in time.",
                code="chat_timeout",
                status=504,
            ) from None
        except httpx.HTTPError:
            raise UpstreamError(
                "The connection to the chat server failed.", code="chat_failed"
            ) from None
        if not finished:
            raise UpstreamError(
                "The chat server broke off its answer.", code="chat_failed"
            )


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    instructions = (
        [{"role": "system", "content": prompt.instructions}]
        if prompt.instructions
        else []
    )
    return instructions + [
        {"role": turn.role, "content": turn.text}
        for turn in prompt.turns
        if isinstance(turn, Turn)
    ]


def _read(line: str) -> tuple[str, bool]:
    """The text in one line of the event stream, and whether it ends the answer."""
    field, _, value = line.partition(":")
    value = value.strip()
    if field != "data" or not value:
        return "", False
    if value == "[DONE]":
        return "", True
    try:
        choices: list[Any] = json.loads(value)["choices"]
        # Usage comes without a choice; some servers end without a [DONE].
        choice = choices[0] if choices else {}
        text = choice.get("delta", {}).get("content") or ""
        return str(text), choice.get("finish_reason") is not None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise UpstreamError(
            "The chat server sent something that is not a completion.",
            code="chat_failed",
        ) from None
