"""A responder that asks any chat server which speaks OpenAI's chat completions."""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from offhook.errors import UpstreamError
from offhook.protocol.prompt import ToolCall, ToolOutput, Turn
from offhook.speech.sentences import Splitter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from offhook.protocol.prompt import Prompt


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
        calls = _Calls()
        async with aclosing(self._deltas(prompt)) as deltas:
            async for delta in deltas:
                calls.feed(delta.get("tool_calls") or [])
                for sentence in splitter.feed(str(delta.get("content") or "")):
                    yield sentence
        for sentence in splitter.flush():
            yield sentence
        for call in calls.complete():
            yield call

    async def _deltas(self, prompt: Prompt) -> AsyncGenerator[dict[str, Any]]:
        body = {"model": self._model, "stream": True, **_request(prompt)}
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
                    delta, ends = _read(line)
                    finished |= ends
                    if delta:
                        yield delta
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


@dataclass
class _Call:
    """A call of which more may come."""

    index: Any
    id: str
    name: str = ""
    arguments: str = ""


class _Calls:
    """Puts the calls of an answer together from their pieces."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []

    def feed(self, pieces: Any) -> None:
        """Take the next pieces of any of the calls."""
        try:
            for piece in pieces:
                function = piece.get("function") or {}
                name = function.get("name") or ""
                call = self._call(piece.get("index"), piece.get("id") or "", name)
                call.name = call.name or str(name)
                call.arguments += str(function.get("arguments") or "")
        except (TypeError, AttributeError):
            raise _not_a_completion() from None

    def _call(self, index: Any, id_: str, name: str) -> _Call:
        """The call that a piece belongs to; servers forget indexes, or repeat them."""
        known = [c for c in self._calls if index is None or c.index == index]
        begins = (index is None and name) or (known and id_ not in ("", known[-1].id))
        if begins or not known:
            self._calls.append(_Call(index, id_))
            return self._calls[-1]
        return known[-1]

    def complete(self) -> list[ToolCall]:
        """The calls, in the order in which they began."""
        return [ToolCall(call.name, _checked(call)) for call in self._calls]


def _checked(call: _Call) -> str:
    """The arguments of a call, which have to be an object."""
    text = call.arguments or "{}"
    try:
        is_object = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        is_object = False
    if is_object and call.name:
        return text
    raise UpstreamError(
        "The chat server called a tool in a way that nobody can read.",
        code="chat_failed",
    )


def _request(prompt: Prompt) -> dict[str, Any]:
    """What depends on the prompt; nothing about tools where there are none."""
    request: dict[str, Any] = {"messages": _messages(prompt)}
    if not prompt.tools:
        return request
    request["tools"] = [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters or {"type": "object", "properties": {}},
            },
        }
        for tool in prompt.tools
    ]
    if prompt.must_call and len(prompt.tools) == 1:
        function = {"name": prompt.tools[0].name}
        request["tool_choice"] = {"type": "function", "function": function}
    elif prompt.must_call:
        request["tool_choice"] = "required"
    if not prompt.parallel:
        request["parallel_tool_calls"] = False
    return request


def _messages(prompt: Prompt) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if prompt.instructions:
        messages.append({"role": "system", "content": prompt.instructions})
    outputs = {t.call_id: t for t in prompt.turns if isinstance(t, ToolOutput)}
    open_calls: list[ToolCall] = []
    for turn in (*prompt.turns, None):
        # A call without its output is refused, as is an output without its call, of
        # which nobody could tell what it answers.
        if isinstance(turn, ToolCall) and turn.call_id in outputs:
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": None})
            messages[-1].setdefault("tool_calls", []).append(_function_call(turn))
            open_calls.append(turn)
        elif not isinstance(turn, ToolCall):
            # All outputs follow their calls at once, however late they came.
            messages += [_returned(outputs[call.call_id]) for call in open_calls]
            open_calls.clear()
        if isinstance(turn, Turn):
            messages.append({"role": turn.role, "content": turn.text})
    return messages


def _returned(output: ToolOutput) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": output.call_id, "content": output.output}


def _function_call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": call.call_id, "type": "function", "function": function}


def _read(line: str) -> tuple[dict[str, Any], bool]:
    """What one line of the event stream adds, and whether it ends the answer."""
    field, _, value = line.partition(":")
    value = value.strip()
    if field != "data" or not value:
        return {}, False
    if value == "[DONE]":
        return {}, True
    try:
        choices: list[Any] = json.loads(value)["choices"]
        # Usage comes without a choice; some servers end without a [DONE].
        choice = choices[0] if choices else {}
        delta = choice.get("delta") or {}
        return dict(delta), choice.get("finish_reason") is not None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise _not_a_completion() from None


def _not_a_completion() -> UpstreamError:
    return UpstreamError(
        "The chat server sent something that is not a completion.", code="chat_failed"
    )
