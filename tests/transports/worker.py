"""What is done with the transport in Pyodide, a scenario a time: see program.mjs."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import re
import sys
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from inspect import signature
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from offhook import CloudflareRealtimeTransportLayer as Transport
from offhook.errors import OffhookError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

js: Any = import_module("js")

Result = dict[str, Any]


def upcoming(client: Transport, name: str) -> asyncio.Future[Any]:
    """Catch the next event of a name."""
    arrived: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    client.once(name, lambda *args: arrived.set_result(args[0] if args else None))
    return arrived


async def got(arriving: Awaitable[Any]) -> Any:
    async with asyncio.timeout(20):
        return await arriving


async def written(client: Transport, **session: Any) -> Result:
    types, words = list[str](), list[str]()
    client.on("*", lambda event: types.append(event["type"]))
    client.on("output_text_delta", lambda event: words.append(event.delta))
    done = upcoming(client, "turn_done")
    await client.connect(initial_session_config=session)
    client.send_message("What is seven times eight?")
    await got(done)
    return {"types": types, "words": "".join(words)}


async def spoken(client: Transport, pcm: str, **session: Any) -> Result:
    heard, words = list[bytes](), list[str]()
    client.on("audio", lambda event: heard.append(event.data))
    client.on("audio_transcript_delta", lambda event: words.append(event.delta))
    done = upcoming(client, "turn_done")
    await client.connect(initial_session_config=session)
    client.send_audio(base64.b64decode(pcm))
    await client.drain()
    await got(done)
    pcm = base64.b64encode(b"".join(heard)).decode()
    return {"pcm": pcm, "words": "".join(words)}


async def called(client: Transport, **session: Any) -> Result:
    calling = upcoming(client, "function_call")
    await client.connect(initial_session_config=session)
    client.send_message("What's the weather in Paris?")
    call = await got(calling)
    answered = upcoming(client, "output_text_delta")
    client.send_function_call_output(call, "It rains.")
    words = (await got(answered)).delta
    return {"name": call.name, "arguments": call.arguments, "words": words}


async def interrupted(client: Transport) -> Result:
    audio, stopped, cut = (
        upcoming(client, name)
        for name in ("audio", "audio_interrupted", "conversation.item.truncated")
    )
    await client.connect()
    client.send_message("Please count from one to twenty.")
    item = (await got(audio)).item_id
    client.interrupt()
    return {
        "playing": item,
        "stopped": (await got(stopped)).item_id,
        "cut": (await got(cut))["item_id"],
    }


async def refused(client: Transport, key: str) -> Result:
    """Be refused, and connect all the same with another key."""
    try:
        await client.connect(api_key=key)
    except OffhookError as error:
        status = client.status
        await client.connect()
        return {"error": told(error), "status": status, "then": client.status}
    return {"error": None}


async def failed(client: Transport) -> Result:
    try:
        await client.connect()
    except OffhookError as error:
        return {"error": told(error), "status": client.status}
    return {"error": None}


async def left(client: Transport) -> Result:
    """Be hung up on."""
    failures: list[Any] = []
    client.on("error", lambda failure: failures.append(told(failure.error)))
    ended = upcoming(client, "disconnected")
    await client.connect()
    await got(ended)
    return {"failures": failures, "status": client.status}


async def closed(client: Transport) -> Result:
    ended = upcoming(client, "disconnected")
    await client.connect()
    await client.drain()
    await client.close()
    await got(ended)
    return {"status": client.status}


async def cancelled(client: Transport, asked: str, gone: str) -> Result:
    """Stop connecting when the server has the request, and wait until it has noticed.

    Args:
        asked: Answers when there is a request.
        gone: Answers when there is none any more.
    """
    connecting = asyncio.create_task(client.connect())
    await js.fetch(asked)
    connecting.cancel()
    [result] = await asyncio.gather(connecting, return_exceptions=True)
    await got(js.fetch(gone))
    return {"raised": type(result).__name__, "status": client.status}


async def often(client: Transport, times: int) -> Result:
    """Connect and close many times, and count what JavaScript keeps of it."""
    counts: list[Any] = []
    for _ in range(times):
        await client.connect()
        await client.close()
        gc.collect()
        counts.append(js.held().to_py())
    return {"counts": counts}


async def another_worker(_: Transport, code: str, question: str) -> Result:
    """Run another Python Worker, with as much of Cloudflare's SDK as it needs."""
    sdk: Any = ModuleType("workers")
    sdk.WorkerEntrypoint, sdk.Response = object, str
    sys.modules["workers"] = sdk
    names: dict[str, Any] = {}
    exec(code, names)
    worker = names["Default"]()
    worker.env = SimpleNamespace(OPENAI_API_KEY="sk-any")
    # A body is all that a request has to have, and the same in a response.
    return {"response": await worker.fetch(js.Response.new(question))}


SCENARIOS: dict[str, Callable[..., Awaitable[Result]]] = {
    scenario.__name__: scenario
    for scenario in (
        written,
        spoken,
        called,
        interrupted,
        refused,
        failed,
        left,
        closed,
        cancelled,
        often,
        another_worker,
    )
}


def told(error: Exception) -> Result:
    names = ("code", "status", "http_status", "close_code", "reason")
    fields = {name: getattr(error, name, None) for name in names}
    return {"kind": type(error).__name__, "text": str(error), **fields}


async def conform(make: Callable[[], Transport], test: str) -> Result:
    """Pass a test that is for every transport."""
    # All that it needs of pytest, which would take long to load.
    pytest: Any = ModuleType("pytest")
    pytest.mark, pytest.raises = SimpleNamespace(anyio=None), raises
    pytest.fixture = fixture
    sys.modules["pytest"] = pytest
    suite = import_module("offhook.testing.conformance").TransportConformance()
    run = getattr(suite, test)
    if "make" in signature(run).parameters:
        await run(make)
    else:
        async with make() as transport:
            await run(transport)
    return {}


def fixture(function: Any = None, **_: Any) -> Any:
    return function or fixture


@contextmanager
def raises(kind: type[Exception], match: str = "") -> Iterator[None]:
    try:
        yield
    except kind as error:
        assert re.search(match, str(error)), error
    else:
        raise AssertionError(f"no {kind.__name__}")


async def play(request: str) -> str:
    """Play one scenario over a transport; both ends are JSON.

    A `fetch` for the transport is named: it is JavaScript's.
    """
    scenario, transport, given = json.loads(request)
    if name := transport.get("fetch"):
        transport["fetch"] = getattr(js, name)
    make = partial(Transport, api_key="sk-any", **transport)
    if scenario not in SCENARIOS:
        return json.dumps(await conform(make, scenario))
    async with make() as client:
        return json.dumps(await SCENARIOS[scenario](client, **given))
