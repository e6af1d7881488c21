from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from offhook import __version__
from offhook.errors import (
    HandshakeRefused,
    InvalidRequest,
    OffhookError,
    SettingsError,
    UpstreamError,
    WireClosed,
)
from offhook.wire.frames import Direct
from offhook.wire.websocket import _WebSocket, connect_websocket
from tests.wire.conformance import LONG, Conformance, until_closed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

    from tests.wire.conformance import Pair

pytestmark = pytest.mark.anyio

SILENT = logging.getLogger("tests.wire.server")
SILENT.setLevel(logging.INFO)
KEY = "hunter2-0123456789"


@asynccontextmanager
async def served(
    handler: Callable[[ServerConnection], Any] | None = None, **options: Any
) -> AsyncIterator[str]:
    """Run a WebSocket server; without a handler it waits for the client to leave."""

    async def wait(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(
        handler or wait, "127.0.0.1", 0, logger=SILENT, close_timeout=0.1, **options
    ) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """Run a TCP server that says its answer, if any, and then nothing."""
    writers: list[asyncio.StreamWriter] = []

    def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(answer)
        if answer:
            writer.write_eof()

    async with await asyncio.start_server(serve_one, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for writer in writers:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()


def refuse(status: int, body: object, **headers: str) -> dict[str, Any]:
    def process(connection: ServerConnection, request: Request) -> Response:
        response = connection.respond(HTTPStatus(status), json.dumps(body))
        for name, value in headers.items():
            response.headers[name.replace("_", "-")] = value
        return response

    return {"process_request": process}


async def failure(url: str, **options: Any) -> OffhookError:
    with pytest.raises(OffhookError) as caught:
        async with connect_websocket(url, **options):
            pass
    assert caught.value.__cause__ is None
    return caught.value


@pytest.fixture
async def wires() -> AsyncIterator[Pair]:
    accepted: asyncio.Queue[ServerConnection] = asyncio.Queue(1)

    async def accept(connection: ServerConnection) -> None:
        await accepted.put(connection)
        await connection.wait_closed()

    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(served(accept, max_size=None))
        near = await stack.enter_async_context(connect_websocket(url))
        far: Any = await accepted.get()
        # Our own wrapper over the server's side, which has the same methods.
        yield near, _WebSocket(far, None)


class TestWebSocket(Conformance):
    pass


async def test_the_handshake_says_who_asks_and_what_for() -> None:
    seen: list[dict[str, str]] = []

    async def look(connection: ServerConnection) -> None:
        assert connection.request
        seen.append(dict(connection.request.headers.raw_items()))
        await connection.send(connection.request.path)

    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        served(look) as url,
        connect_websocket(f"{url}?model=m", headers=headers) as wire,
    ):
        assert await wire.receive() == "/v1/realtime?model=m"
    assert seen[0]["User-Agent"] == f"Offhook/{__version__}"
    assert seen[0]["Authorization"] == f"Bearer {KEY}"
    assert "Sec-WebSocket-Extensions" not in seen[0]
    assert "Sec-WebSocket-Protocol" not in seen[0]


@pytest.mark.parametrize("selectable", [["realtime"], None])
async def test_subprotocols_are_offered_and_need_not_be_selected(
    selectable: Any,
) -> None:
    async def look(connection: ServerConnection) -> None:
        assert connection.request
        await connection.send(connection.request.headers["Sec-WebSocket-Protocol"])

    offered = ["realtime", f"openai-insecure-api-key.{KEY}"]
    async with (
        served(look, subprotocols=selectable) as url,
        connect_websocket(url, subprotocols=offered) as wire,
    ):
        assert await wire.receive() == f"realtime, openai-insecure-api-key.{KEY}"


async def test_binary_frames_are_texts_or_nothing() -> None:
    async def send(connection: ServerConnection) -> None:
        for data in (b'{"type":"\xc3\xa4"}', b"\xff\xfe", "text"):
            await connection.send(data)

    async with served(send) as url, connect_websocket(url) as wire:
        assert [text async for text in wire] == ['{"type":"ä"}', "text"]


async def test_a_text_that_is_too_long_closes() -> None:
    async def send(connection: ServerConnection) -> None:
        await connection.send("x" * 101)
        await connection.wait_closed()

    async with served(send) as url, connect_websocket(url, max_size=100) as wire:
        assert (await until_closed(wire)).close_code == 1009


async def test_a_connection_that_breaks_says_so() -> None:
    async def break_off(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with served(break_off) as url, connect_websocket(url) as wire:
        closed = await until_closed(wire)
    assert (closed.close_code, closed.reason) == (1006, "")


async def stop_reading(connection: ServerConnection) -> None:
    connection.transport.pause_reading()
    await connection.wait_closed()


async def test_a_server_that_takes_no_text_is_given_up() -> None:
    async with (
        served(stop_reading, ping_interval=None) as url,
        connect_websocket(url, ping_interval=None, ping_timeout=0.1) as wire,
    ):
        with pytest.raises(WireClosed) as caught:
            while True:
                await wire.send(LONG)
    assert caught.value.close_code == 1006


async def test_a_server_that_answers_no_ping_is_given_up() -> None:
    async with (
        served(stop_reading, ping_interval=None) as url,
        connect_websocket(url, ping_interval=0.02, ping_timeout=0.02) as wire,
    ):
        closed = await until_closed(wire)
    assert (closed.close_code, closed.reason) == (1011, "keepalive ping timeout")


async def test_closing_does_not_wait_for_what_nobody_reads() -> None:
    full = asyncio.Event()

    async def pour(connection: ServerConnection) -> None:
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(0.1):
                    await connection.send(LONG)
        full.set()
        await connection.wait_closed()

    loop = asyncio.get_running_loop()
    async with served(pour) as url:
        async with connect_websocket(url) as wire:
            await full.wait()
            began = loop.time()
        assert loop.time() - began < 1.5
        assert wire.closed
        assert wire.closed.close_code == 1000


async def test_the_connection_is_closed_if_its_user_fails() -> None:
    left = asyncio.Event()

    async def wait(connection: ServerConnection) -> None:
        await connection.wait_closed()
        left.set()

    async with served(wait) as url:
        with pytest.raises(LookupError):
            async with connect_websocket(url):
                raise LookupError
        await left.wait()


async def test_connecting_can_be_cancelled() -> None:
    async with answering(b"") as address:
        opening = asyncio.create_task(failure(f"ws://{address}/"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await opening
        assert opening.cancelled()


async def test_a_refusal_carries_the_status_and_the_servers_words() -> None:
    body = {"error": {"message": f"Incorrect API key provided: {KEY}."}}
    async with served(**refuse(401, body)) as url:
        for options in (
            {"headers": {"Authorization": f"Bearer {KEY}"}},
            {"headers": {"api-key": KEY}},
            {"subprotocols": [f"openai-insecure-api-key.{KEY}"]},
        ):
            error = await failure(url, **options)
            assert isinstance(error, HandshakeRefused)
            assert error.http_status == 401
            assert "Incorrect API key provided: [redacted]" in str(error)
        error = await failure(f"{url}?api-key={KEY}&model=m")
        assert KEY not in str(error)


async def test_a_rate_limit_says_when_to_come_back() -> None:
    options = refuse(429, {"error": {"message": "Slow down"}}, Retry_After="7")
    async with served(**options) as url:
        error = await failure(url)
    assert (error.status, error.retry_after) == (503, "7")


async def test_a_redirect_is_not_followed() -> None:
    asked: list[str] = []

    async def note(connection: ServerConnection) -> None:
        asked.append("here")

    async with (
        served(note) as elsewhere,
        served(**refuse(307, {}, Location=elsewhere)) as url,
    ):
        error = await failure(url, headers={"api-key": KEY})
    assert error.code == "upstream_redirected"
    assert asked == []


async def test_where_nobody_listens() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        error = await failure(f"ws://127.0.0.1:{reserved.getsockname()[1]}/")
    assert isinstance(error, UpstreamError)
    assert error.code == "upstream_unreachable"


async def test_a_name_that_nobody_has() -> None:
    assert (await failure("ws://nobody.invalid/")).code == "upstream_unreachable"


async def test_a_server_that_says_nothing() -> None:
    async with answering(b"") as address:
        error = await failure(f"ws://{address}/", open_timeout=0.05)
    assert (error.code, error.status) == ("upstream_timeout", 504)
    assert "0.05 seconds" in str(error)


async def test_a_server_of_something_else() -> None:
    async with answering(b"SSH-2.0-OpenSSH_9.2\r\n") as address:
        assert (await failure(f"ws://{address}/")).code == "upstream_malformed"
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    async with answering(ok) as address:
        error = await failure(f"ws://{address}/")
    assert isinstance(error, HandshakeRefused)
    assert error.http_status == 200


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2000000\r\n\r\n"
        + bytes(2_000_000),
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 200\r\n\r\n<html>",
        b"HTTP/1.1 400 Bad Request\r\nContent-Le",
        b"HTTP/1.0 400 Bad Request\r\n\r\n",
    ],
)
async def test_a_status_is_named_though_its_body_cannot_be_read(answer: bytes) -> None:
    async with answering(answer) as address:
        error = await failure(f"ws://{address}/")
    assert isinstance(error, HandshakeRefused)
    assert error.http_status == 400
    assert "(400)" in str(error)


async def test_a_handshake_that_is_cut() -> None:
    async with answering(b"HTTP/1.1 101 Switching Protocols\r\nUpg") as address:
        error = await failure(f"ws://{address}/")
    assert error.code == "upstream_malformed"


async def test_a_server_without_tls() -> None:
    async with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        error = await failure(f"wss://{address}/")
    assert error.code == "upstream_tls"
    assert "SSL_CERT_FILE" in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://x.test/",
        "ws://",
        "ws:///path",
        "ws://x:99999999/",
        "ws://[/",
        f"ws://{'x' * 70}.test/",
    ],
)
async def test_urls_that_are_none(url: str) -> None:
    error = await failure(f"{url}?key={KEY}")
    assert isinstance(error, InvalidRequest)
    assert KEY not in str(error)


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"Authorization": f"Bearer {KEY}\r\nX-More: y"}},
        {"headers": {"Authorization": f"Bearer {KEY}ä"}},
        {"subprotocols": [f"openai-insecure-api-key.{KEY}/="]},
        {"subprotocols": [""]},
    ],
)
async def test_keys_that_are_none(options: dict[str, Any]) -> None:
    error = await failure("ws://127.0.0.1:9/", **options)
    assert isinstance(error, InvalidRequest)
    assert KEY not in str(error)


@pytest.mark.parametrize("proxy", ["gopher://x", "socks5h://127.0.0.1:9"])
async def test_a_proxy_that_cannot_be_used(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("wss_proxy", proxy)
    error = await failure("wss://somewhere.invalid/")
    assert isinstance(error, SettingsError)


async def test_the_proxy_is_asked_but_not_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    refused = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
    async with answering(refused) as proxy, served() as url:
        monkeypatch.setenv("ws_proxy", f"http://{proxy}")
        assert (await failure("ws://there.invalid/")).code == "upstream_unreachable"
        async with connect_websocket(url) as wire:
            assert wire.closed is None


async def test_no_key_and_no_word_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="websockets.client")
    caplog.set_level(logging.DEBUG, logger="offhook")
    headers = {"Authorization": f"Bearer {KEY}"}
    offered = [f"openai-insecure-api-key.{KEY}"]
    async with (
        served() as url,
        connect_websocket(url, headers=headers, subprotocols=offered) as wire,
    ):
        await wire.send("my secret")
    assert KEY not in caplog.text
    assert "my secret" not in caplog.text


def certificate(folder: Path) -> Path:
    """Make a certificate of this machine, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .sign(key, hashes.SHA256())
    )
    pem = Encoding.PEM
    secret = key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption())
    file = folder / "certificate.pem"
    file.write_bytes(secret + made.public_bytes(pem))
    return file


async def test_over_tls_long_texts_pass_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    texts = ["a", "b" * 50_000, "c" * 500_000, "d"]

    async def echo(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                await connection.send(await connection.recv())

    async with asyncio.timeout(10), served(echo, ssl=context) as url:
        there = url.replace("ws://127.0.0.1", "wss://localhost")
        async with connect_websocket(there) as wire:
            for text in texts:
                await wire.send(text)
            assert [await wire.receive() for _ in texts] == texts


async def test_texts_keep_their_order_over_both_ways() -> None:
    texts = [f"{'long' if n % 7 == 3 else 'short'} {n}" for n in range(298)]

    async def pour(connection: ServerConnection) -> None:
        for number, text in enumerate(texts):
            connection.protocol.send_text(text.encode())
            if number % 10 == 0:
                connection.send_data()
                await (await connection.ping())
        connection.send_data()
        await connection.wait_closed()

    seen: list[str] = []
    short: list[str] = []

    def take(text: str) -> bool:
        if text.startswith("long"):
            return False
        short.append(text)
        seen.append(text)
        return True

    async with asyncio.timeout(10), served(pour) as url, connect_websocket(url) as wire:
        assert isinstance(wire, Direct)
        wire.divert(take)
        while len(seen) < len(texts):
            # The last one takes the long way, so that this comes to an end.
            seen.append(await wire.receive())
            await asyncio.sleep(0)
    assert seen == texts
    assert short
