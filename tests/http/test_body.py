from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.relays import OFFER, Recorder, Relay, Running, error_of
from tests.test_cli import UPSTREAM, offhook, opened

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

CALLS = "/v1/realtime/calls"
MINT = "/v1/realtime/client_secrets"


@pytest.mark.parametrize(
    ("offer", "status", "code"),
    [
        (b"", 400, "invalid_offer"),
        (b"\x00\xff garbage", 400, "invalid_offer"),
        (OFFER.strip(), 400, "invalid_offer"),
        (OFFER + b"a=x\r\n" * 4000, 413, "request_too_large"),
    ],
)
async def test_a_bad_offer_is_the_callers_fault_and_the_next_one_works(
    relay: Relay, recorder: Recorder, offer: bytes, status: int, code: str
) -> None:
    grant = await relay.grant()
    error = error_of(await relay.call(grant, offer), status, code)
    assert error["type"] == "invalid_request_error"
    assert recorder.received == []
    assert (await relay.call(grant)).status_code == 201


@pytest.mark.parametrize("kind", ["text/plain", "application/json", ""])
async def test_an_offer_of_another_type_is_refused(relay: Relay, kind: str) -> None:
    headers = {"Content-Type": kind}
    refused = await relay.call(await relay.grant(), OFFER, **headers)
    error_of(refused, 415, "unsupported_content_type")


def test_who_sends_far_too_much_is_told_so_each_time(tmp_path: Path) -> None:
    # Another process, as in life: here the two sides would take turns.
    with (
        offhook("serve", "--port", "0", *UPSTREAM, cwd=tmp_path) as process,
        httpx.Client(base_url=opened(process), trust_env=False) as client,
    ):
        grant = client.post(MINT).json()["value"]
        headers = {
            "Authorization": f"Bearer {grant}",
            "Content-Type": "application/sdp",
        }
        for _ in range(30):
            refused = client.post(CALLS, content=b"x" * (3 << 20), headers=headers)
            error_of(refused, 413, "request_too_large")


async def test_an_endless_body_is_cut_off(relay: Relay) -> None:
    """Of 50 MB the server takes what its buffers hold, answers, and hangs up."""
    grant = await relay.grant()
    head = (
        f"POST {CALLS} HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer {grant}\r\n"
        f"Content-Type: application/sdp\r\nContent-Length: {50 << 20}\r\n\r\n"
    )
    port = int(relay.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + b"x" * (17 << 10))
    status = await reader.readline()
    rest = await reader.read()  # ends only when the server closes
    assert b" 413 " in status
    assert b"request_too_large" in rest
    writer.close()


async def test_a_stalled_body_ends_at_its_deadline(running: Running) -> None:
    async with running(body_seconds=0.05) as relay:
        grant = await relay.grant()
        head = (
            f"POST {CALLS} HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer {grant}"
            "\r\nContent-Type: application/sdp\r\nContent-Length: 5000\r\n\r\nv=0"
        )
        port = int(relay.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode())
        answer = await reader.read()
        assert b" 408 " in answer.splitlines()[0]
        assert b"request_timeout" in answer
        writer.close()


async def test_a_caller_who_leaves_is_no_failure(
    relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    grant = await relay.grant()
    head = (
        f"POST {CALLS} HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer {grant}\r\n"
        "Content-Type: application/sdp\r\nContent-Length: 5000\r\n\r\nv=0"
    )
    port = int(relay.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await relay.call(grant)).status_code == 201
    assert "Traceback" not in caplog.text
    assert [r for r in caplog.records if r.levelname in ("WARNING", "ERROR")] == []


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_json"),
        (b"\xff\xfe", "application/json", 400, "invalid_json"),
        (b"[" * 100_000, "application/json", 400, "invalid_json"),
        (b'{"session":{"speed":NaN}}', "application/json", 400, "invalid_json"),
        (b"[]", "application/json", 400, "invalid_type"),
        (b"{}", "text/plain", 415, "unsupported_content_type"),
        (b" " * 300_000, "application/json", 413, "request_too_large"),
    ],
)
async def test_a_bad_mint_request_is_refused(
    relay: Relay, body: bytes, kind: str, status: int, code: str
) -> None:
    refused = await relay.client.post(
        MINT, content=body, headers={"Content-Type": kind}
    )
    error_of(refused, status, code)


async def test_an_empty_mint_request_will_do(relay: Relay) -> None:
    assert (await relay.client.post(MINT)).status_code == 200


def multipart(*parts: tuple[str, bytes]) -> bytes:
    body = b"".join(
        b"--B\r\nContent-Disposition: form-data; "
        + head.encode()
        + b"\r\n\r\n"
        + content
        + b"\r\n"
        for head, content in parts
    )
    return body + b"--B--\r\n"


@pytest.mark.parametrize(
    "head",
    [
        'name="sdp"',
        'name="sdp"\r\nContent-Type: application/sdp',
        'name="sdp"; filename="offer.sdp"\r\nContent-Type: application/sdp',
    ],
)
async def test_every_form_of_multipart_keeps_the_bytes(
    relay: Relay, recorder: Recorder, head: str
) -> None:
    answer = await relay.call(
        await relay.grant(),
        multipart((head, OFFER)),
        **{"Content-Type": "multipart/form-data; boundary=B"},
    )
    assert answer.status_code == 201
    assert OFFER in recorder.received[0].body


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (multipart(('name="sdp"', OFFER)), "", "invalid_multipart"),
        (b"garbage", "; boundary=B", "invalid_multipart"),
        (multipart(("filename=x", b"")), "; boundary=B", "invalid_multipart"),
        (multipart(*[('name="a"', b"")] * 5), "; boundary=B", "invalid_multipart"),
        (multipart(('name="sdp"', b"\xff")), "; boundary=B", "invalid_multipart"),
        (multipart(('name="session"', b"{}")), "; boundary=B", "missing_parameter"),
        (
            multipart(('name="sdp"', OFFER), ('name="session"', b"{")),
            "; boundary=B",
            "invalid_json",
        ),
    ],
)
async def test_a_bad_multipart_body_is_refused(
    relay: Relay, recorder: Recorder, body: bytes, kind: str, code: str
) -> None:
    refused = await relay.call(
        await relay.grant(), body, **{"Content-Type": f"multipart/form-data{kind}"}
    )
    error_of(refused, 400, code)
    assert recorder.received == []
