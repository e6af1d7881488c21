from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from offhook.errors import InvalidRequest, NotFound, UpstreamError
from offhook.record import record
from offhook.relay.app import create_app
from offhook.settings import RecordSettings, Settings
from tests.caller import calling
from tests.recordings import track
from tests.relays import Relay, serving
from tests.waves import written

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from offhook.speech import Engines

    Speak = Callable[[str], Awaitable[bytes]]

pytestmark = pytest.mark.anyio

SAID = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "What is seven times eight?"}],
}
TOKEN = "the operator's own token"


def settings(**given: Any) -> RecordSettings:
    return RecordSettings.load(**{"out": "none", "into": "mine", **given})


async def test_a_call_from_here_is_recorded(
    local_url: str, tmp_path: Path, speak: Speak, engines: Engines
) -> None:
    question = written(
        tmp_path / "question.wav", await speak("What is seven times eight?")
    )
    said: list[str] = []
    await record(local_url, settings(in_=question, key="sk-any"), said.append)
    assert "agent: 7 times 8 is 56." in "".join(said)
    folder = Path(said[-1].removeprefix("recorded: ").strip())
    assert folder.parent == Path("mine")
    assert "eight" in (await engines.recognise(track(folder, "caller"))).lower()
    assert "fifty" in (await engines.recognise(track(folder, "model"))).lower()
    assert (folder / "call.opus").stat().st_size > 0


async def test_of_a_call_at_an_upstream_there_is_a_transcript(local_url: str) -> None:
    at = f"{local_url.replace('http', 'ws', 1)}/realtime"
    said: list[str] = []
    joined = asyncio.Event()

    def write(words: str) -> None:
        said.append(words)
        if words:
            joined.set()

    async with calling(local_url, whole=False) as caller:
        options = settings(at=at, key="sk-any")
        recording = asyncio.create_task(record(caller.call_id, options, write))
        while not joined.is_set():  # it may not be there at the first time
            caller.send("conversation.item.create", item=SAID)
            caller.send("response.create")
            await caller.until("response.done")
            await asyncio.sleep(0)
        caller_id = caller.call_id
    await asyncio.wait_for(recording, 20)
    folder = Path("mine") / caller_id
    assert said[-1] == f"recorded: {folder}\n"
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    lines = (folder / "transcript.txt").read_text("utf-8")
    assert "you: What is seven times eight?\n" in lines
    timeline = json.loads((folder / "timeline.json").read_text("utf-8"))
    assert "turn" in {entry["kind"] for entry in timeline}


@asynccontextmanager
async def relaying(local_url: str, policy: str) -> AsyncIterator[Relay]:
    agents = {"support": {"media": "bridged", "record": policy}}
    known = Settings.load(upstream=local_url, operator_token=TOKEN)
    async with (
        serving(create_app(known, agents=agents)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        yield Relay(url, client)


async def test_of_a_call_at_a_relay_the_recording_is_fetched(
    local_url: str, engines: Engines, speak: Speak
) -> None:
    said: list[str] = []
    async with relaying(local_url, "always") as relay:
        key = await relay.grant()
        async with calling(f"{relay.url}/v1", key=key, whole=False) as caller:
            await caller.until("offhook.recording.started")
            caller.microphone.say(await speak("What is seven times eight?"))
            await caller.until("output_audio_buffer.stopped")
            call_id = caller.call_id
        options = settings(at=relay.url, operator_token=TOKEN)
        await record(call_id, options, said.append)
        wrong = settings(at=relay.url, operator_token="x" * 16)
        with pytest.raises(UpstreamError, match="token"):
            await record(call_id, wrong, said.append)
    folder = Path("mine") / call_id
    assert said[-1] == f"recorded: {folder}\n"
    assert "fifty" in (await engines.recognise(track(folder, "model"))).lower()
    assert (folder / "transcript.vtt").read_text("utf-8").startswith("WEBVTT")


async def until_known(relay: Relay, call_id: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with asyncio.timeout(10):
        while True:
            path = f"/calls/{call_id}.json"
            if (await relay.client.get(path, headers=headers)).is_success:
                return


async def test_what_is_not_recorded_is_told(local_url: str) -> None:
    async with relaying(local_url, "consent") as relay:
        key = await relay.grant()
        async with calling(f"{relay.url}/v1", key=key, whole=False) as caller:
            options = settings(at=relay.url, operator_token=TOKEN)
            with pytest.raises(UpstreamError):  # the store is a moment behind
                await record("rtc_nobody", options, print)
            await until_known(relay, caller.call_id)
            with pytest.raises(NotFound, match="its caller decide that"):
                await record(caller.call_id, options, print)


@pytest.mark.parametrize("at", ["ws://127.0.0.1:9", "http://127.0.0.1:9"])
async def test_nobody_there_is_told(at: str) -> None:
    with pytest.raises(UpstreamError):
        await record("rtc_1", settings(at=at, key="sk-any"), print)


async def test_an_upstream_wants_its_key() -> None:
    with pytest.raises(InvalidRequest, match="--key"):
        await record("rtc_1", settings(at="wss://api.openai.com/v1/realtime"), print)
