from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import (
    HandshakeRefused,
    InvalidRequest,
    OffhookError,
    UpstreamError,
    WireClosed,
)
from offhook.wire.fetched import fetch_websocket, usable_fetch
from tests.wire.conformance import LONG, Conformance, until_closed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.wire.conformance import Pair

pytestmark = pytest.mark.anyio

URL = "wss://host/v1/realtime?model=any"
KEY = "hunter2-0123456789"


class End:
    """One end of a pair of JavaScript's WebSockets."""

    peer: End

    def __init__(self) -> None:
        self.listeners: dict[str, list[Callable[[Any], None]]] = {}
        self.accepted = False
        self.said: list[tuple[int, str]] = []

    def accept(self) -> None:
        self.accepted = True

    def addEventListener(self, name: str, callback: Callable[[Any], None]) -> None:
        assert self.accepted
        self.listeners.setdefault(name, []).append(callback)

    def removeEventListener(self, name: str, callback: Callable[[Any], None]) -> None:
        self.listeners[name].remove(callback)

    def send(self, text: str) -> None:
        if self.said:
            raise RuntimeError("InvalidStateError")
        self._later("message", data=text)

    def close(self, code: int, reason: str) -> None:
        if not self.said:
            self._later("close", code=code, reason=reason)
        self.said.append((code, reason))

    def dispatch(self, name: str, event: Any) -> None:
        for callback in tuple(self.listeners.get(name, ())):
            callback(event)

    def _later(self, name: str, **fields: Any) -> None:
        event = SimpleNamespace(**fields)
        asyncio.get_running_loop().call_soon(self.peer.dispatch, name, event)


def ends() -> tuple[End, End]:
    left, right = End(), End()
    left.peer, right.peer = right, left
    return left, right


def fetching(socket: Any) -> Callable[[str, dict[str, Any]], Any]:
    async def fetch(url: str, options: dict[str, Any]) -> Any:
        return SimpleNamespace(status=101, webSocket=socket)

    return fetch


@pytest.fixture
async def wires() -> AsyncIterator[Pair]:
    left, right = ends()
    async with (
        fetch_websocket(URL, fetch=fetching(left)) as near,
        fetch_websocket(URL, fetch=fetching(right)) as far,
    ):
        yield near, far


class TestFetched(Conformance):
    async def test_sending_waits_for_a_slow_reader(self, wires: Pair) -> None:
        """It cannot: in JavaScript nothing waits, so too much ends the connection."""
        near, far = wires
        for _ in range(33):
            await near.send(LONG)
        closed = await until_closed(near)
        assert (closed.close_code, closed.reason) == (4008, "too much is unread")
        assert len([text async for text in far]) == 33
        assert (await until_closed(far)).close_code == 4008

    async def test_many_short_texts_may_be_too_much(self, wires: Pair) -> None:
        near, far = wires
        for _ in range(4097):
            await near.send("")
        assert (await until_closed(near)).close_code == 4008
        assert len([text async for text in far]) == 4097

    async def test_texts_of_many_senders_keep_the_order_of_the_calls(
        self, wires: Pair
    ) -> None:
        near, far = wires
        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(near.send(str(number)))
        assert [await far.receive() for _ in range(40)] == [*map(str, range(40))]

    async def test_a_close_wakes_who_waits_to_send(self, wires: Pair) -> None:
        """Nobody waits; who sends after the close is told."""
        near, _ = wires
        await near.send(LONG)
        await near.close()
        with pytest.raises(WireClosed):
            await near.send(LONG)


async def test_a_close_is_answered_and_nothing_listens_any_more() -> None:
    left, _ = ends()
    async with fetch_websocket(URL, fetch=fetching(left)) as wire:
        left.dispatch("close", SimpleNamespace(code=1005, reason=""))
        assert left.said == [(1000, "")]
        assert left.listeners == {"message": [], "close": [], "error": []}
        assert (await until_closed(wire)).close_code == 1005
    assert left.said == [(1000, "")]


async def test_an_error_breaks_the_connection() -> None:
    left, _ = ends()
    async with fetch_websocket(URL, fetch=fetching(left)) as wire:
        left.dispatch("error", SimpleNamespace(message="lost"))
        assert (await until_closed(wire)).close_code == 1006


async def test_a_socket_that_does_not_send_is_broken() -> None:
    left, _ = ends()
    async with fetch_websocket(URL, fetch=fetching(left)) as wire:
        left.said.append((1000, ""))
        with pytest.raises(WireClosed):
            await wire.send("late")
        assert (await until_closed(wire)).close_code == 1006


async def test_what_is_no_text_is_left_out() -> None:
    left, _ = ends()
    async with fetch_websocket(URL, fetch=fetching(left)) as wire:
        left.dispatch("message", SimpleNamespace(data=b"\0"))
        left.dispatch("message", SimpleNamespace(data="text"))
        assert await wire.receive() == "text"


async def failure(answer: Any, url: str = URL, **options: Any) -> OffhookError:
    """Open with a key, and get what it fails with; that must not have the key."""

    async def fetch(url: str, options: dict[str, Any]) -> Any:
        return await answer() if callable(answer) else answer

    headers = {"Authorization": f"Bearer {KEY}"}
    with pytest.raises(OffhookError) as caught:
        async with fetch_websocket(url, fetch=fetch, headers=headers, **options):
            pass
    assert KEY not in f"{caught.value!r} {caught.value}"
    assert caught.value.__cause__ is None
    return caught.value


def response(status: int, body: str) -> Any:
    async def text() -> str:
        return body

    headers = {"Retry-After": "7"}
    return SimpleNamespace(status=status, webSocket=None, headers=headers, text=text)


async def test_a_refusal_says_what_the_server_said() -> None:
    body = f'{{"error": {{"message": "The key {KEY} is wrong."}}}}'
    error = await failure(response(401, body))
    assert isinstance(error, HandshakeRefused)
    assert error.http_status == 401
    assert "(401): The key [redacted] is wrong." in str(error)
    late = await failure(response(429, "busy"))
    assert (late.status, late.retry_after) == (503, "7")


async def test_what_does_not_speak_websocket_is_refused() -> None:
    error = await failure(response(200, "<html>"))
    assert error.code == "upstream_malformed"
    error = await failure(SimpleNamespace(status=200))
    assert error.code == "upstream_malformed"


async def test_a_fetch_that_fails_is_told_without_the_key() -> None:
    async def broken() -> Any:
        raise RuntimeError(f"TypeError: {KEY} at wrong header")

    error = await failure(broken)
    assert isinstance(error, UpstreamError)
    assert "(TypeError: [redacted] at wrong header)" in str(error)


async def test_a_fetch_has_its_time() -> None:
    async def never() -> Any:
        await asyncio.Event().wait()

    error = await failure(never, open_timeout=0.01)
    assert (error.code, error.status) == ("upstream_timeout", 504)


@pytest.mark.parametrize("url", ["", "host", "wss://", "wss:///path", "ftp://host"])
async def test_a_wrong_url_is_the_callers_fault(url: str) -> None:
    error = await failure(None, url)
    assert isinstance(error, InvalidRequest)
    assert error.code == "invalid_url"


# In Pyodide: tests/transports/test_cloudflare.py.
def test_outside_pyodide_there_is_no_fetch() -> None:
    assert usable_fetch(None) is None
