from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from offhook.errors import UpstreamError
from offhook.protocol.prompt import Prompt, Tool, ToolCall, ToolOutput, Turn
from offhook.speech.chat import Chat

pytestmark = pytest.mark.anyio

PROMPT = Prompt(
    "Be brief.",
    (Turn("user", "Hi."), Turn("assistant", "Hello."), Turn("user", "Bye.")),
)


def event(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


FIRST = b'data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"total_tokens":9}}\n\n'
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


class Server:
    """A chat server on a loopback port: keeps the request, sends what it is given."""

    def __init__(self, body: bytes, status: str = "200 OK", cut: bool = False) -> None:
        self.request = b""
        self._status = status
        self._body = body
        self._length = len(body) + cut  # one byte more never comes

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split()[0])
        self.request = head + await reader.readexactly(length)
        writer.write(
            f"HTTP/1.1 {self._status}\r\nContent-Type: text/event-stream\r\n"
            f"Content-Length: {self._length}\r\nConnection: close\r\n\r\n".encode()
        )
        for at in range(0, len(self._body), 7):
            writer.write(self._body[at : at + 7])
            await writer.drain()
        writer.close()
        await writer.wait_closed()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def chat(handler: Handler, seconds: float = 10) -> AsyncIterator[Chat]:
    async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/v1",
            headers={"Authorization": "Bearer secret"},
            timeout=seconds,
        ) as client:
            yield Chat(client, "small")


async def test_answer_arrives_in_sentences() -> None:
    server = Server(
        FIRST + event("Good") + event("bye. See") + event(" you!") + STOP + USAGE + DONE
    )
    async with chat(server.answer) as responder:
        replies = [sentence async for sentence in responder.reply(PROMPT)]
    assert replies == ["Goodbye.", "See you!"]


async def test_request_carries_everything() -> None:
    server = Server(DONE)
    async with chat(server.answer) as responder:
        assert [sentence async for sentence in responder.reply(PROMPT)] == []
    head, _, body = server.request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions ")
    assert b"bearer secret" in head.lower()
    assert json.loads(body) == {
        "model": "small",
        "stream": True,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi."},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "Bye."},
        ],
    }


async def test_a_server_may_end_without_done() -> None:
    async with chat(Server(event("Yes.") + STOP).answer) as responder:
        assert [sentence async for sentence in responder.reply(PROMPT)] == ["Yes."]


@pytest.mark.parametrize(
    ("server", "spoken"),
    [
        (Server(b'{"error":{"message":"secret"}}', "401 Unauthorized"), []),
        (Server(b"secret", "500 Internal Server Error"), []),
        (Server(event("One. Two."), cut=True), ["One."]),
        (Server(event("One. Two.")), ["One."]),
        (Server(event("One. ") + b"data: {secret\n\n" + DONE), ["One."]),
        (Server(event("One. ") + b'data: {"error":"secret"}\n\n'), ["One."]),
    ],
    ids=["401", "500", "cut", "unfinished", "no JSON", "no completion"],
)
async def test_failures_are_the_upstream_s(server: Server, spoken: list[str]) -> None:
    sentences: list[str | ToolCall] = []
    async with chat(server.answer) as responder:
        with pytest.raises(UpstreamError) as failure:
            async for sentence in responder.reply(PROMPT):
                sentences.append(sentence)  # noqa: PERF401 (kept when it raises)
    assert sentences == spoken
    assert "secret" not in str(failure.value)
    assert failure.value.status == 502


async def test_nobody_there() -> None:
    async with httpx.AsyncClient(base_url="http://127.0.0.1:9/v1") as client:
        with pytest.raises(UpstreamError, match="connection"):
            await anext(Chat(client, "small").reply(PROMPT))


async def test_silence_is_a_timeout() -> None:
    asked, over = asyncio.Event(), asyncio.Event()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await over.wait()
        writer.close()

    async with chat(never, seconds=0.05) as responder:
        with pytest.raises(UpstreamError) as failure:
            await anext(responder.reply(PROMPT))
        over.set()
    assert asked.is_set()
    assert failure.value.status == 504


async def test_an_abandoned_answer_closes_its_connection() -> None:
    closed = asyncio.Event()

    async def endless(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + event("One. Tw")
        )
        while await reader.read(65536):
            pass
        closed.set()
        writer.close()

    async with chat(endless) as responder:
        answer = responder.reply(PROMPT)
        assert await anext(answer) == "One."
        await answer.aclose()
        await asyncio.wait_for(closed.wait(), 5)


WEATHER = Tool("get_weather", "The weather.", {"type": "object", "properties": {}})
BARE = Tool("now")


def pieces(*calls: dict[str, Any]) -> bytes:
    """An event with pieces of tool calls."""
    choice = {"index": 0, "delta": {"tool_calls": calls}, "finish_reason": None}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def piece(
    index: int | None, id_: str | None = None, name: str | None = None, text: str = ""
) -> dict[str, Any]:
    """A piece of a call; servers leave out what they like."""
    function = {"name": name, "arguments": text}
    fields = {"index": index, "id": id_, "function": function}
    return {key: value for key, value in fields.items() if value is not None}


CALLED = b'data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}\n\n'


async def sent(prompt: Prompt) -> dict[str, Any]:
    """The body of the request for a prompt."""
    server = Server(DONE)
    async with chat(server.answer) as responder:
        assert [part async for part in responder.reply(prompt)] == []
    body: dict[str, Any] = json.loads(server.request.partition(b"\r\n\r\n")[2])
    return body


async def test_tools_are_passed_on() -> None:
    body = await sent(replace(PROMPT, tools=(WEATHER, BARE)))
    empty = {"type": "object", "properties": {}}
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "The weather.",
                "parameters": empty,
            },
        },
        {
            "type": "function",
            "function": {"name": "now", "description": "", "parameters": empty},
        },
    ]
    assert body.keys() == {"model", "stream", "messages", "tools"}


@pytest.mark.parametrize(
    ("prompt", "choice"),
    [
        (replace(PROMPT, tools=(WEATHER, BARE), must_call=True), "required"),
        (
            replace(PROMPT, tools=(BARE,), must_call=True),
            {"type": "function", "function": {"name": "now"}},
        ),
        (replace(PROMPT, tools=(BARE,)), None),
        (replace(PROMPT, must_call=True, parallel=False), None),
    ],
)
async def test_what_has_to_be_called_is_passed_on(prompt: Prompt, choice: Any) -> None:
    body = await sent(prompt)
    assert body.get("tool_choice") == choice
    assert "parallel_tool_calls" not in body


async def test_one_at_a_time_is_passed_on() -> None:
    body = await sent(replace(PROMPT, tools=(BARE,), parallel=False))
    assert body["parallel_tool_calls"] is False


USER, HI = Turn("user", "Hi."), Turn("assistant", "Hi.")
A, B = ToolCall("a", '{"x":1}', "1"), ToolCall("b", "", "2")
A_OUT, B_OUT = ToolOutput("1", "one"), ToolOutput("2", "two")
A_SENT: dict[str, Any] = {
    "id": "1",
    "type": "function",
    "function": {"name": "a", "arguments": '{"x":1}'},
}
B_SENT: dict[str, Any] = {
    "id": "2",
    "type": "function",
    "function": {"name": "b", "arguments": "{}"},
}
A_BACK = {"role": "tool", "tool_call_id": "1", "content": "one"}
B_BACK = {"role": "tool", "tool_call_id": "2", "content": "two"}
SAID = {"role": "user", "content": "Hi."}


def assistant(content: str | None, *calls: dict[str, Any]) -> dict[str, Any]:
    """An assistant's message with calls."""
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


@pytest.mark.parametrize(
    ("turns", "messages"),
    [
        ((USER, A, A_OUT), [SAID, assistant(None, A_SENT), A_BACK]),
        ((USER, HI, A, A_OUT), [SAID, assistant("Hi.", A_SENT), A_BACK]),
        (
            (USER, A, B, B_OUT, A_OUT),
            [SAID, assistant(None, A_SENT, B_SENT), A_BACK, B_BACK],
        ),
        (
            (USER, A, A_OUT, B, B_OUT),
            [SAID, assistant(None, A_SENT), A_BACK, assistant(None, B_SENT), B_BACK],
        ),
        ((USER, A, USER, A_OUT), [SAID, assistant(None, A_SENT), A_BACK, SAID]),
        ((A_OUT, USER), [SAID]),
        ((USER, A), [SAID]),
        ((USER, A, B, B_OUT), [SAID, assistant(None, B_SENT), B_BACK]),
        ((A_OUT, A), [assistant(None, A_SENT), A_BACK]),
    ],
    ids=["call", "merged", "two", "in turn", "late", "orphan", "open", "half", "early"],
)
async def test_history_has_the_shape_that_servers_demand(
    turns: tuple[Turn | ToolCall | ToolOutput, ...], messages: list[dict[str, Any]]
) -> None:
    assert (await sent(Prompt("", turns)))["messages"] == messages


@pytest.mark.parametrize(
    "events",
    [
        [
            pieces(piece(0, "c1", "get_weather")),
            pieces(piece(0, text='{"city":')),
            pieces(piece(0, text='"Rome"}'), piece(1, "c2", "now")),
        ],
        [
            pieces(piece(0, "c1", "get_weather", '{"city":"Rome"}')),
            pieces(piece(0, "c2", "now")),
        ],
        [
            pieces(piece(None, None, "get_weather", '{"city":"Rome"}')),
            pieces(piece(None, None, "now", "{}")),
        ],
        [
            pieces(piece(0, "c1", "get_weather", '{"city":')),
            pieces(piece(0, "c1", "get_weather", '"Rome"}')),
            pieces(piece(1, "c2", "now")),
        ],
    ],
    ids=["in pieces", "one index", "no index", "repeated"],
)
async def test_calls_are_put_together(events: list[bytes]) -> None:
    body = event("One. Two.") + b"".join(events) + CALLED + DONE
    async with chat(Server(body).answer) as responder:
        answer = [part async for part in responder.reply(PROMPT)]
    assert answer == [
        "One.",
        "Two.",
        ToolCall("get_weather", '{"city":"Rome"}'),
        ToolCall("now", "{}"),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        pieces(piece(0, "c1", "now", "{secret")),
        pieces(piece(0, "c1", "now", "[1]")),
        pieces(piece(0, "c1", "ok", "{}"), piece(1, "c2", "now", "{")),
        pieces(piece(0, "c1", None, "{}")),
        b'data: {"choices":[{"delta":{"tool_calls":["secret"]}}]}\n\n',
        b'data: {"choices":[{"delta":{"tool_calls":5}}]}\n\n',
        b'data: {"choices":[{"delta":"secret"}]}\n\n',
    ],
)
async def test_calls_that_nobody_can_read_are_the_upstream_s_fault(
    broken: bytes,
) -> None:
    parts: list[str | ToolCall] = []
    async with chat(Server(broken + CALLED + DONE).answer) as responder:
        with pytest.raises(UpstreamError) as failure:
            async for part in responder.reply(PROMPT):
                parts.append(part)  # noqa: PERF401 (kept when it raises)
    assert parts == []
    assert "secret" not in str(failure.value)


async def test_calls_of_an_answer_that_breaks_off_are_not_made() -> None:
    body = pieces(piece(0, "c1", "now", "{}"))
    async with chat(Server(body).answer) as responder:
        with pytest.raises(UpstreamError, match="broke off"):
            await anext(responder.reply(PROMPT))
