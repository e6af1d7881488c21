from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from offhook.errors import UpstreamError
from offhook.protocol.prompt import Prompt, ToolCall, Turn
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
