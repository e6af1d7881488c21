from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import InvalidRequest, UpstreamError
from offhook.transports.webrtc import OpenAIRealtimeWebRTC
from offhook.transports.websocket import OpenAIRealtimeWebSocket
from tests.caller import Microphone
from tests.extras import without
from tests.recordings import about, events, longer, loud, track
from tests.transports.conformance import got, upcoming

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from offhook.speech import Engines

    Speak = Callable[[str], Awaitable[bytes]]

pytestmark = pytest.mark.anyio

STOPPED = "output_audio_buffer.stopped"


def websocket(local_url: str, folder: Path, **options: Any) -> OpenAIRealtimeWebSocket:
    url = local_url.replace("http", "ws", 1) + "/realtime?model=gpt-realtime"
    return OpenAIRealtimeWebSocket(url=url, api_key="any", record=folder, **options)


async def check_words(folder: Path, engines: Engines, said: str, heard: str) -> None:
    for name, words in (("caller", said), ("model", heard)):
        text = (await engines.recognise(track(folder, name))).lower()
        assert words in text.replace("-", " "), (name, text)
    lengths = {len(track(folder, name)) for name in ("caller", "model")}
    assert max(lengths) - min(lengths) <= 4
    assert about(folder)["state"] == "complete"


async def test_a_call_over_a_websocket(
    local_url: str, tmp_path: Path, speak: Speak, engines: Engines
) -> None:
    async with websocket(local_url, tmp_path) as client:
        assert client.recording is None
        done = upcoming(client, "turn_done")
        await client.connect()
        # All at once: it is said at the pace of speech.
        client.send_audio(await speak("What is seven times eight?") + bytes(96000))
        await got(done)
        played = client.history[-1]
        folder = client.recording
        assert folder is not None
        await longer(folder, 3)
    assert folder.parent == tmp_path
    await check_words(folder, engines, "seven times eight", "fifty six")
    assert played["role"] == "assistant"
    kinds = {entry["event"]["type"] for entry in events(folder)}
    assert {"session.created", "response.done"} <= kinds


async def test_a_call_over_webrtc(
    local_url: str, tmp_path: Path, speak: Speak, engines: Engines
) -> None:
    voice = Microphone()
    url = f"{local_url}/realtime/calls"
    async with OpenAIRealtimeWebRTC(
        url=url, api_key="any", media_track=voice, audio_sink=None, record=tmp_path
    ) as client:
        stopped = upcoming(client, STOPPED)
        await client.connect()
        voice.say(await speak("What is seven times eight?"))
        await got(stopped)
    assert client.recording
    # Where this machine is too busy to speak, the recording stumbles, too.
    await check_words(client.recording, engines, "eight", "fifty six")
    entry = events(client.recording)[-1]
    assert entry["from"] == "model"


async def test_what_was_cut_off_is_not_in_it(
    local_url: str, tmp_path: Path, speak: Speak
) -> None:
    async with websocket(local_url, tmp_path) as client:
        audio = upcoming(client, "audio")
        await client.connect()
        client.send_message("Please count to twenty.")
        await got(audio)
        folder = client.recording
        assert folder is not None
        await longer(folder, 1.5)
        client.interrupt()
        await longer(folder, 1)
    heard = loud(track(folder, "model"))
    # The rest was there, and would have taken ten seconds.
    assert 1.0 < heard[-1] - heard[0] < 2.2


async def test_each_call_has_a_folder_and_one_that_fails_none(
    local_url: str, tmp_path: Path
) -> None:
    parent = tmp_path / "calls"
    async with websocket(local_url, parent) as client:
        await client.connect()
        await client.close()
        first = client.recording
        await client.connect()
        await client.close()
        second = client.recording
        assert first != second
        with pytest.raises(UpstreamError):
            await client.connect(url="ws://127.0.0.1:9")
        assert client.recording is None
    assert {first, second} == set(parent.iterdir())


def test_a_folder_that_is_none_is_told() -> None:
    with pytest.raises(InvalidRequest, match="path of a folder"):
        OpenAIRealtimeWebSocket(record=5)  # type: ignore[arg-type]  # a mistake


def test_what_is_missing_is_named() -> None:
    run = without("av", "import offhook")
    said = run("offhook.OpenAIRealtimeWebSocket(record='calls')")
    assert "pip install 'offhook[media]'" in said
