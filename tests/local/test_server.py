from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import socket
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx
import pytest
import websockets

from offhook.errors import ServerError
from offhook.local import serving
from offhook.settings import LocalSettings
from tests.caller import Caller, calling, offer

if TYPE_CHECKING:
    from offhook.speech import Engines

pytestmark = pytest.mark.anyio

AUTH = {"Authorization": "Bearer sk-any"}


def settings(**given: object) -> LocalSettings:
    return LocalSettings.model_validate({"port": 0, **given})


async def test_the_url_is_known_before_the_models_are() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with serving(settings()) as url:
        assert loop.time() - began < 0.2
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", url)
        async with httpx.AsyncClient() as client:
            secret = await client.post(f"{url}/realtime/client_secrets", headers=AUTH)
        assert secret.status_code == 200


async def test_an_answer_does_not_wait_for_acknowledgements() -> None:
    loop, took = asyncio.get_running_loop(), list[float]()
    async with serving(settings()) as url, httpx.AsyncClient() as client:
        for _ in range(24):
            began = loop.time()
            await client.get(f"{url.removesuffix('/v1')}/healthz")
            took.append(loop.time() - began)
    assert sorted(took)[len(took) // 4] < 0.02  # of the quick ones; it was 50 ms


async def test_an_ipv6_address_will_do() -> None:
    async with serving(settings(host="::1")) as url, httpx.AsyncClient() as client:
        assert re.fullmatch(r"http://\[::1\]:\d+/v1", url)
        await client.get(f"{url.removesuffix('/v1')}/healthz")


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"127.0.0.1:{port}.*OFFHOOK_LOCAL_PORT"):
            async with serving(settings(port=port)):
                pass


async def test_the_port_is_free_again_afterwards() -> None:
    async with serving(settings()) as url:
        port = httpx.URL(url).port
    assert port is not None
    async with serving(settings(port=port)) as again:
        assert again == url


async def test_the_signals_belong_to_the_program_around_it() -> None:
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    async with serving(settings()) as url, httpx.AsyncClient() as client:
        await client.get(f"{url.removesuffix('/v1')}/healthz")
        during = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    assert during == before


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


async def settled(before: set[asyncio.Task[object]]) -> None:
    async with asyncio.timeout(5):
        while left := asyncio.all_tasks() - before:
            await asyncio.wait(left)


async def test_a_shutdown_ends_calls_and_sockets_soon_and_leaves_nothing(
    engines: Engines,
) -> None:
    loop = asyncio.get_running_loop()
    tasks, before = asyncio.all_tasks(), descriptors()
    half_open = Caller()
    async with AsyncExitStack() as callers:
        async with serving(settings()) as url:
            live = [await callers.enter_async_context(calling(url)) for _ in range(3)]
            socket_url = url.replace("http", "ws") + "/realtime?model=x"
            connect = websockets.connect(socket_url, additional_headers=AUTH)
            session = await callers.enter_async_context(connect)
            assert "session.created" in str(await session.recv())
            await offered(url, half_open)
            live[0].send("response.create", response={"instructions": "Talk."})
            await live[0].until("response.created")
            began = loop.time()
        assert loop.time() - began < 5
        for caller in live:
            await caller.closed()
        await session.wait_closed()
        assert session.close_code == 1012
    await half_open.close()
    await settled(tasks)
    assert descriptors() <= before


async def offered(url: str, caller: Caller) -> None:
    """Offer a call, and never connect."""
    headers = {**AUTH, "Content-Type": "application/sdp"}
    sdp = await offer(caller)
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            f"{url}/realtime/calls", content=sdp, headers=headers
        )
    assert answer.status_code == 201


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_program_cleanly(name: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "offhook", "local", "--port", "0"),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(50):
            line = await process.stderr.readline()
            while not (found := re.search(rb"listens on (http://\S+)/v1", line)):
                assert line
                line = await process.stderr.readline()
            url = found[1].decode()
            async with websockets.connect(
                f"{url.replace('http', 'ws')}/v1/realtime?model=x",
                additional_headers=AUTH,
                open_timeout=40,  # the models are loaded first
            ) as live:
                await live.recv()
                process.send_signal(name)
                log = await process.stderr.read()
                assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert b"Traceback" not in log
    assert live.close_code == 1012
