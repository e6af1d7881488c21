from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import offhook
from offhook import __version__
from offhook.errors import InvalidRequest
from offhook.testing.conformance import TransportConformance
from offhook.transports.cloudflare import CloudflareRealtimeTransportLayer
from tests.javascript import MODULES, node, serving, workerd
from tests.test_docs import blocks
from tests.transports.conformance import (
    HEARD,
    TEXT,
    WEATHER,
    Conformance,
    got,
    scripted,
    upcoming,
)
from tests.upgrades import Upgrades, upgrading
from tests.words import plain

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from websockets.asyncio.server import ServerConnection

    from offhook.speech import Engines
    from tests.transports.conformance import Make

    # Plays a scenario over a transport to a URL.
    Play = Callable[..., Awaitable[dict[str, Any]]]

pytestmark = pytest.mark.anyio

# What Pyodide has not by itself, or can do nothing with.
ABSENT = ("websockets", "httpx", "aiortc", "numpy", "pydantic", "starlette", "anyio")

HERE = Path(__file__).parent
PROGRAM = [HERE / "program.mjs", HERE / "worker.py"]
WORKER = [
    *PROGRAM,
    *(HERE / name for name in ("worker.capnp", "worker.mjs")),
    *(MODULES / "pyodide").glob("pyodide*.mjs"),
    *(MODULES / "pyodide" / name for name in ("pyodide.asm.wasm", "pyodide-lock.json")),
    MODULES / "pyodide/python_stdlib.zip",
]
SUITE = [name for name in dir(TransportConformance) if name.startswith("test_")]


@pytest.fixture
async def upgrades() -> AsyncIterator[Upgrades]:
    async with upgrading() as made:
        yield made


class TestCloudflare(Conformance):
    @pytest.fixture
    def make(self, upgrades: Upgrades) -> Make:
        return lambda url: CloudflareRealtimeTransportLayer(
            url=url, api_key="sk-any", fetch=upgrades.fetch
        )


async def test_the_request_is_an_upgrade(local_url: str, upgrades: Upgrades) -> None:
    url = local_url.replace("http", "ws", 1) + "/realtime?model=gpt-realtime"
    async with CloudflareRealtimeTransportLayer(
        url=url, api_key="sk-any", headers={"X-Mine": "yes"}, fetch=upgrades.fetch
    ) as client:
        updated = upcoming(client, "session.updated")
        await client.connect()
        await got(updated)
    assert upgrades.requests == [
        (
            f"{local_url}/realtime?model=gpt-realtime",
            {
                "method": "GET",
                "headers": {
                    "Upgrade": "websocket",
                    "Authorization": "Bearer sk-any",
                    "Sec-WebSocket-Protocol": "realtime",
                    "User-Agent": f"Offhook/{__version__}",
                    "X-Mine": "yes",
                },
            },
        )
    ]


async def test_openai_is_where_it_goes_by_default() -> None:
    asked: list[str] = []

    async def fetch(url: str, _: dict[str, Any]) -> Any:
        asked.append(url)
        raise OSError("no network")

    async with CloudflareRealtimeTransportLayer(api_key="any", fetch=fetch) as client:
        with pytest.raises(Exception, match="no network"):
            await client.connect(model="gpt-realtime")
    assert asked == ["https://api.openai.com/v1/realtime?model=gpt-realtime"]


def test_without_a_fetch_it_says_so() -> None:
    with pytest.raises(InvalidRequest, match="pass fetch="):
        CloudflareRealtimeTransportLayer(api_key="any")


def test_it_imports_nothing_that_pyodide_lacks() -> None:
    code = (
        "import sys, offhook; offhook.CloudflareRealtimeTransportLayer;"
        f"print([name for name in {ABSENT} if name in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(offhook.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "[]"


def a_worker(folder: Path) -> AbstractAsyncContextManager[str]:
    for path in WORKER:
        shutil.copy(path, folder)
    return workerd(folder / "worker.capnp", "--experimental")


def a_node(folder: Path) -> AbstractAsyncContextManager[str]:
    for path in (*PROGRAM, HERE / "node.mjs"):
        shutil.copy(path, folder)
    [example] = [block for block in blocks("js") if "upgrade" in block]
    (folder / "upgrade.mjs").write_text(example, "utf-8")
    (folder / "node_modules").symlink_to(MODULES)
    return serving(node(), str(folder / "node.mjs"))


@pytest.fixture(scope="module", params=[a_worker, a_node])
async def play(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Play]:
    """Python in Pyodide, in a runtime of JavaScript: see worker.py."""
    folder = tmp_path_factory.mktemp("pyodide")
    package = Path(offhook.__file__).parent
    shutil.make_archive(str(folder / "offhook"), "zip", package.parent, package.name)
    async with (
        request.param(folder) as address,
        httpx.AsyncClient(trust_env=False, timeout=30) as client,
    ):

        async def played(
            scenario: str,
            url: str,
            open_timeout: float | None = 10,
            fetch: str | None = None,
            **given: Any,
        ) -> dict[str, Any]:
            transport = {"url": url, "open_timeout": open_timeout, "fetch": fetch}
            request = [scenario, transport, given]
            response = await client.post(address, json=request)
            assert response.status_code == 200, response.text
            result: dict[str, Any] = response.json()
            return result

        yield played


@asynccontextmanager
async def listening(
    answer: Callable[[StreamReader, StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """Run a server that gets each connection as it is, and give its address."""
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class TestInPyodide:
    @pytest.fixture
    def url(self, local_url: str) -> str:
        return local_url.replace("http", "ws", 1) + "/realtime?model=gpt-realtime"

    @pytest.mark.parametrize("test", SUITE)
    async def test_as_every_transport(self, play: Play, url: str, test: str) -> None:
        assert await play(test, url) == {}

    async def test_a_message_is_answered(self, play: Play, url: str) -> None:
        result = await play("written", url, **TEXT)
        assert result["words"] == "7 times 8 is 56."
        assert result["types"][:2] == ["session.created", "session.updated"]

    async def test_audio_goes_in_and_comes_out(
        self,
        play: Play,
        url: str,
        engines: Engines,
        speak: Callable[[str], Awaitable[bytes]],
    ) -> None:
        pcm = await speak("What is seven times eight?") + bytes(48_000 * 2)
        result = await play("spoken", url, pcm=base64.b64encode(pcm).decode(), **HEARD)
        assert "56" in result["words"]
        heard = await engines.recognise(base64.b64decode(result["pcm"]))
        assert "56" in plain(heard)

    async def test_a_function_is_called(self, play: Play, url: str) -> None:
        assert await play("called", url, tools=[WEATHER], **TEXT) == {
            "name": "get_weather",
            "arguments": '{"city": "Paris"}',
            "words": "It rains.",
        }

    async def test_an_answer_is_interrupted(self, play: Play, url: str) -> None:
        result = await play("interrupted", url)
        assert result["playing"] == result["stopped"] == result["cut"]

    async def test_a_refused_key_can_be_replaced(self, play: Play, url: str) -> None:
        result = await play("refused", url, key="ek_wrong-key")
        assert (result["status"], result["then"]) == ("disconnected", "connected")
        error = result["error"]
        assert (error["kind"], error["http_status"]) == ("HandshakeRefused", 401)
        assert "unknown" in error["text"]
        assert "wrong-key" not in error["text"]

    @pytest.mark.parametrize(("code", "fails"), [(1000, 0), (1001, 0), (1011, 1)])
    async def test_the_server_closes(self, play: Play, code: int, fails: int) -> None:
        async def script(connection: ServerConnection) -> None:
            await connection.recv()
            await connection.close(code, "had enough")

        async with scripted(script) as url:
            result = await play("left", url)
        assert result["status"] == "disconnected"
        assert len(result["failures"]) == fails
        for failure in result["failures"]:
            assert (failure["close_code"], failure["reason"]) == (code, "had enough")

    async def test_closing_tells_the_server(self, play: Play) -> None:
        seen: asyncio.Queue[int | None] = asyncio.Queue()

        async def script(connection: ServerConnection) -> None:
            await connection.wait_closed()
            seen.put_nowait(connection.close_code)

        async with scripted(script) as url:
            assert await play("closed", url) == {"status": "disconnected"}
            assert await got(seen.get()) == 1000

    async def test_cancelling_a_connect_gives_up_the_connection(
        self, play: Play
    ) -> None:
        events = {b"asked": asyncio.Event(), b"gone": asyncio.Event()}

        async def answer(reader: StreamReader, writer: StreamWriter) -> None:
            request = await reader.readuntil(b"\r\n\r\n")
            name = request.split()[1].lstrip(b"/")
            if name in events:
                await events[name].wait()
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            else:
                events[b"asked"].set()
                assert await reader.read() == b""
                events[b"gone"].set()
            writer.close()

        async with listening(answer) as url:
            signs = {name: f"{url}/{name}" for name in ("asked", "gone")}
            result = await play("cancelled", f"{url}/v1/realtime", **signs)
        assert result == {"raised": "CancelledError", "status": "disconnected"}

    async def test_a_server_may_be_too_slow(self, play: Play) -> None:
        async def answer(reader: StreamReader, writer: StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with listening(answer) as url:
            result = await play("failed", url, open_timeout=0.1)
        assert result["error"]["code"] == "upstream_timeout"

    async def test_a_page_is_no_endpoint(self, play: Play) -> None:
        async def answer(reader: StreamReader, writer: StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello")
            writer.close()

        async with listening(answer) as url:
            result = await play("failed", url)
        assert result["error"]["code"] == "upstream_malformed"

    async def test_where_nobody_listens_is_said(self, play: Play) -> None:
        async with listening(lambda *_: asyncio.sleep(0)) as url:
            pass
        result = await play("failed", f"{url}/?key=hunter2-0123456789")
        assert result["error"]["code"] == "upstream_unreachable"
        assert "hunter2" not in result["error"]["text"]

    async def test_connecting_often_leaves_nothing_behind(
        self, play: Play, url: str
    ) -> None:
        # A timeout would be a timer of Pyodide's: those stay until they are due.
        result = await play("often", url, open_timeout=None, times=50)
        assert result["counts"] == [result["counts"][0]] * 50

    async def test_a_fetch_of_javascript_may_be_passed(
        self, play: Play, url: str
    ) -> None:
        result = await play("written", url, fetch="fetch", **TEXT)
        assert result["words"] == "7 times 8 is 56."

    @pytest.mark.parametrize("play", [a_node], indirect=True)
    async def test_a_fetch_that_cannot_upgrade_says_so(
        self, play: Play, url: str
    ) -> None:
        result = await play("failed", url, fetch="ownFetch")
        assert result["error"]["code"] == "missing_fetch"
        assert "pass fetch=" in result["error"]["text"]

    @pytest.mark.parametrize("play", [a_worker], indirect=True)
    async def test_the_example_of_a_worker_runs(
        self, play: Play, url: str, local_url: str
    ) -> None:
        [code] = [block for block in blocks("python") if "WorkerEntrypoint" in block]
        here = local_url.replace("http", "ws", 1)
        code = code.replace("wss://api.openai.com/v1", here)
        question = "What is seven times eight?"
        result = await play("another_worker", url, code=code, question=question)
        assert result == {"response": "7 times 8 is 56."}


@pytest.mark.parametrize(
    "options", [{"fetch": 5}, {"headers": "x"}, {"open_timeout": "a"}]
)
def test_an_argument_of_another_kind_is_refused(options: dict[str, Any]) -> None:
    async def fetch(url: str, options: dict[str, Any]) -> None:
        pass

    with pytest.raises(InvalidRequest):
        CloudflareRealtimeTransportLayer(**{"fetch": fetch, **options})
