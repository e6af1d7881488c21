from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import Response
from websockets.asyncio.server import serve

from offhook.call import Captions, Lull, Voice, call
from offhook.errors import InvalidRequest, UpstreamError, WireClosed
from offhook.relay.app import create_app
from offhook.settings import CallSettings, Settings
from offhook.testing import ScriptedRealtimeTransport
from tests.extras import without
from tests.relays import serving
from tests.waves import read, written
from tests.words import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from websockets.asyncio.server import ServerConnection

    from offhook.speech import Engines

    Speak = Callable[[str], Awaitable[bytes]]

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("url", ["localhost:8040", "ftp://h/", "http:///v1", ""])
async def test_what_is_no_url_is_told(url: str) -> None:
    with pytest.raises(InvalidRequest, match="for example http://localhost:8040/"):
        await call(url, CallSettings.load(), print)


@pytest.fixture
async def question(tmp_path: Path, speak: Speak) -> str:
    pcm = await speak("What is seven times eight?")
    return written(tmp_path / "question.wav", pcm)


CONVERSATION = "you: What is seven times eight?\nagent: 7 times 8 is 56.\n"


@pytest.mark.parametrize("way", ["webrtc", "websocket"])
async def test_a_call_to_an_endpoint(
    way: str, local_url: str, question: str, tmp_path: Path, engines: Engines
) -> None:
    url = local_url
    if way == "websocket":
        url = f"{local_url.replace('http', 'ws', 1)}/realtime?model=gpt-realtime"
    answer, said = tmp_path / "answer.wav", list[str]()
    settings = CallSettings.load(in_=question, out=str(answer), key="sk-any")
    await call(url, settings, said.append, quiet=1.5)
    assert "".join(said) == CONVERSATION
    assert "56" in plain(await engines.recognise(read(answer)))


async def test_a_call_to_a_relay_needs_no_key(
    local_url: str, question: str, tmp_path: Path
) -> None:
    settings = Settings.load(upstream=local_url)
    agents = {"support": {"instructions": "Be brief."}, "other": {}}
    out, said = str(tmp_path / "answer.wav"), list[str]()
    async with serving(create_app(settings, agents=agents)) as url:
        caller = CallSettings.load(in_=question, out=out, agent="support")
        await call(url, caller, said.append, quiet=1.5)
        with pytest.raises(UpstreamError, match=r"no key \(400\).*several.*--agent\."):
            await call(url, CallSettings.load(in_=question, out=out), said.append)
    assert "".join(said) == CONVERSATION


async def test_time_is_up(local_url: str, question: str, tmp_path: Path) -> None:
    out = str(tmp_path / "answer.wav")
    settings = CallSettings.load(in_=question, out=out, key="sk-any", seconds=0.2)
    async with asyncio.timeout(10):
        await call(local_url, settings, print)


async def test_a_call_that_breaks_is_told(question: str, tmp_path: Path) -> None:
    async def script(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.close(1011, "had enough")

    out, said = str(tmp_path / "answer.wav"), list[str]()
    settings = CallSettings.load(in_=question, out=out, key="sk-any")
    async with serve(script, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(WireClosed, match="had enough"):
            await call(f"ws://127.0.0.1:{port}/", settings, said.append)
    assert "had enough" in "".join(said)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"in_": "/nowhere.wav"}, "cannot be heard: No such file"),
        ({"out": "/nowhere/answer.wav"}, "cannot be written: No such file"),
        ({"out": "answer.mp3"}, r"end in \.wav"),
    ],
)
async def test_a_file_that_is_none_is_told(
    given: dict[str, str], message: str, question: str
) -> None:
    settings = CallSettings.load(**{"in_": question, "key": "sk-any", **given})
    with pytest.raises(InvalidRequest, match=message):
        await call("http://127.0.0.1:1", settings, print)


@pytest.mark.parametrize("body", [b'{"error": "down"}', b"[]", b"{}"])
async def test_a_key_that_is_none_is_told(body: bytes, question: str) -> None:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await Response(body, 500, media_type="application/json")(scope, receive, send)

    async with serving(answer, lifespan=False) as url:
        with pytest.raises(UpstreamError, match=r"\(500\): it gave no reason.*--key"):
            await call(url, CallSettings.load(in_=question), print)


def test_without_the_extra_it_says_what_to_install() -> None:
    for module in ("av", "aiortc", "numpy"):
        said = without(module)("import offhook.call")
        assert said.endswith("pip install 'offhook[media]'")


async def test_nobody_there_is_told(question: str) -> None:
    with pytest.raises(UpstreamError, match="No key is to be had"):
        await call("http://127.0.0.1:1", CallSettings.load(in_=question), print)


async def test_captions_show_who_says_what() -> None:
    said: list[str] = []
    completed = "conversation.item.input_audio_transcription.completed"
    async with ScriptedRealtimeTransport() as transport:
        Captions(said.append).listen(transport)
        await transport.connect()
        await transport.tell(completed, item_id="a", transcript=" Hello? ")
        await transport.tell(completed, item_id="b", transcript="")
        await transport.respond("Hello!", audio=bytes(48000))
        error = {"message": "no such event, Bearer sk-secret"}
        await transport.tell("error", error=error)
    lines = "".join(said).splitlines()
    assert lines == [
        "you: Hello?",
        "agent: Hello!",
        "error: no such event, [redacted]",
    ]


async def test_a_voice_says_all_of_its_file_once_somebody_listens() -> None:
    voice = Voice(bytes(1000))
    assert (voice.pull(20), voice.is_said) == (b"", False)
    voice.begin()
    assert [len(voice.pull(20)) for _ in range(3)] == [960, 40, 0]
    assert voice.is_said
    microphone = Voice(None)
    microphone.begin()
    assert (microphone.pull(20), microphone.is_said) == (b"", False)


async def test_a_lull_is_no_answer_that_is_still_made_or_played() -> None:
    lull = Lull()
    lull.begin(1.0)
    assert lull.seconds(3.0) == 2.0
    lull.take({"type": "response.created"}, 3.0)
    assert lull.seconds(9.0) == 0.0
    lull.take({"type": "output_audio_buffer.started"}, 9.0)
    lull.take({"type": "response.done"}, 9.0)
    assert lull.seconds(12.0) == 0.0
    lull.take({"type": "output_audio_buffer.stopped"}, 12.0)
    assert lull.seconds(13.0) == 1.0
