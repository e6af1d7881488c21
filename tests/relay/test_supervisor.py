from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from offhook.archive.store import Store
from offhook.errors import NotFound, UpstreamError
from offhook.local import serving as local_serving
from offhook.relay.app import create_app
from offhook.settings import LocalSettings, Settings
from offhook.upstream.openai import OpenAIUpstream
from tests.caller import Caller, calling, offer
from tests.relays import Relay, serving
from tests.witness import Witness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from offhook.wire.base import Wire

    Speak = Callable[[str], Awaitable[bytes]]

pytestmark = pytest.mark.anyio

SUPPORT = {"support": {"instructions": "canary"}}
RUDE = {"type": "realtime", "instructions": "Be rude."}


@asynccontextmanager
async def relaying(
    upstream: str | OpenAIUpstream, witness: Witness, **settings: Any
) -> AsyncIterator[Relay]:
    options: dict[str, Any] = {"agents": SUPPORT, "observers": [witness]}
    if isinstance(upstream, OpenAIUpstream):
        app = create_app(Settings.load(**settings), upstream=upstream, **options)
    else:
        app = create_app(Settings.load(upstream=upstream, **settings), **options)
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        yield Relay(url, client)


@asynccontextmanager
async def supervised(
    upstream: str | OpenAIUpstream, witness: Witness, **settings: Any
) -> AsyncIterator[Caller]:
    """A direct call, to its end."""
    async with relaying(upstream, witness, **settings) as relay:
        key = await relay.grant()
        async with calling(f"{relay.url}/v1", key=key) as caller:
            yield caller
        await witness.end()


async def until_instructions(caller: Caller, words: str) -> None:
    """Wait until the session has these; the supervisor asks for it, too."""
    while (await caller.until("session.updated"))["session"]["instructions"] != words:
        pass


async def test_what_a_caller_changes_is_put_back_and_the_second_try_is_its_last(
    local_url: str,
) -> None:
    witness = Witness()
    async with supervised(local_url, witness) as caller:
        began = asyncio.get_running_loop().time()
        caller.send("session.update", session=RUDE)
        await until_instructions(caller, "Be rude.")
        await until_instructions(caller, "canary")
        assert asyncio.get_running_loop().time() - began < 3
        caller.send("session.update", session={**RUDE, "tools": []})
        await caller.closed()
        ended = await witness.end()
    assert ended.reason == "guard"
    acts = [entry.text for entry in witness.entries if entry.kind == "mark"]
    assert acts == ["guard.restored", "guard.expelled"]
    assert witness.marks("guard.restored")[0].data == {"what": ["instructions"]}


async def test_what_a_caller_may_change_stays(local_url: str) -> None:
    witness = Witness()
    async with supervised(local_url, witness) as caller:
        detection = {"type": "semantic_vad", "eagerness": "low"}
        audio = {"input": {"turn_detection": detection}, "output": {"speed": 1.1}}
        for patch in ({"audio": audio}, {"output_modalities": ["text"]}, {}):
            caller.send("session.update", session={"type": "realtime", **patch})
            await caller.until("session.updated")
        # Whatever the supervisor did about it would have come by now.
        caller.send("session.update", session=RUDE)
        await until_instructions(caller, "Be rude.")
        session = (await caller.until("session.updated"))["session"]
    assert session["audio"]["input"]["turn_detection"]["eagerness"] == "low"
    assert (session["audio"]["output"]["speed"], session["output_modalities"]) == (
        1.1,
        ["text"],
    )
    assert witness.marks("guard.restored")[0].data == {"what": ["instructions"]}
    assert not witness.marks("guard.expelled")


async def test_in_development_a_caller_may_change_everything(local_url: str) -> None:
    witness = Witness()
    app = create_app(Settings.load(upstream=local_url), observers=[witness])
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        key = await Relay(url, client).grant()
        async with calling(f"{url}/v1", key=key) as caller:
            for words in ("Be rude.", "Be ruder."):
                session = {"type": "realtime", "instructions": words}
                caller.send("session.update", session=session)
                await until_instructions(caller, words)
        assert (await witness.end()).reason == "caller"


async def test_the_journal_tells_what_was_said(local_url: str, speak: Speak) -> None:
    witness = Witness()
    async with supervised(local_url, witness) as caller:
        caller.microphone.say(await speak("What is seven times eight?"))
        await caller.until("output_audio_buffer.stopped")
        await witness.until(lambda: len(witness.entries) == 2)
    ended = await witness.end()
    asked, answered = witness.entries
    [whole] = [
        event["transcript"]
        for event in caller.events
        if event["type"] == "response.output_audio_transcript.done"
    ]
    [heard] = [
        event["transcript"]
        for event in caller.events
        if event["type"].endswith("input_audio_transcription.completed")
    ]
    assert (asked.who, asked.text) == ("caller", heard)
    assert (answered.who, answered.text) == ("model", whole)
    assert "fifty-six" in whole.lower() or "56" in whole
    assert asked.begins_ms < asked.ends_ms < answered.begins_ms < answered.ends_ms
    assert 0 < answered.data["first_audio_ms"] < 5_000
    assert (ended.reason, ended.turns, ended.path) == ("caller", 2, "direct")
    assert ended.usage["tokens"]["output_audio"] > 0
    assert ended.model == "gpt-realtime-2.1"
    assert ended.connected is not None


async def test_a_call_is_in_the_store_afterwards(local_url: str) -> None:
    witness = Witness()
    async with supervised(local_url, witness) as caller:
        text = {"type": "input_text", "text": "What is seven times eight?"}
        item = {"type": "message", "role": "user", "content": [text]}
        caller.send("conversation.item.create", item=item)
        caller.send("response.create")
        await caller.until("output_audio_buffer.stopped")
        await witness.until(lambda: len(witness.entries) == 2)
    async with Store.open("sqlite:///offhook-data/calls.db") as store:
        kept = await store.call(caller.call_id)
        assert kept == await witness.end()
        assert await store.entries(caller.call_id) == witness.entries
    assert (kept.agent, kept.path, kept.turns) == ("support", "direct", 2)
    assert kept.usage["tokens"]["output_audio"] > 0


async def test_of_what_was_spoken_over_a_part_was_heard(
    local_url: str, speak: Speak
) -> None:
    witness = Witness()
    async with supervised(local_url, witness) as caller:
        caller.microphone.say(await speak("Please count from one to twenty."))
        await caller.until("output_audio_buffer.started")
        caller.microphone.say(await speak("Stop it. What is two plus two?"))
        await caller.until("conversation.item.truncated")
        await witness.until(lambda: any(e.who == "model" for e in witness.entries))
    [turn] = [e for e in witness.entries if e.kind == "turn" and e.who == "model"][:1]
    [cut] = [e for e in witness.entries if e.kind == "interruption"][:1]
    assert turn.data["transcript"].startswith(turn.text)
    assert len(turn.text) < len(turn.data["transcript"])
    assert cut.begins_ms == turn.ends_ms
    assert abs(cut.data["audio_end_ms"] - (turn.ends_ms - turn.begins_ms)) < 500


async def test_a_call_ends_when_its_time_is_over(local_url: str) -> None:
    witness = Witness()
    async with supervised(local_url, witness, session_seconds=1.0) as caller:
        await caller.closed()
        ended = await witness.end()
    assert ended.reason == "limit"


async def test_a_call_that_is_hung_up_is_over(local_url: str) -> None:
    witness = Witness()
    async with relaying(local_url, witness) as relay:
        grant = await relay.grant()
        async with calling(f"{relay.url}/v1", key=grant) as caller:
            path = f"/v1/realtime/calls/{caller.call_id}/hangup"
            headers = {"Authorization": f"Bearer {grant}"}
            assert (await relay.client.post(path, headers=headers)).status_code == 200
            await caller.closed()
            ended = await witness.end()
    assert ended.reason == "caller"


async def test_the_end_of_the_relay_is_no_end_of_the_call(local_url: str) -> None:
    witness = Witness()
    async with contextlib.AsyncExitStack() as stack:
        async with relaying(local_url, witness) as relay:
            key = await relay.grant()
            call = calling(f"{relay.url}/v1", key=key)
            caller = await stack.enter_async_context(call)
        assert (await witness.end()).reason == "server"
        caller.send("session.update", session={"type": "realtime"})
        await caller.until("session.updated")


class Fickle(OpenAIUpstream):
    """An upstream whose sidebands fail as often as it is told."""

    def __init__(self, url: str, failures: list[Exception]) -> None:
        super().__init__(url)
        self.failures = failures
        self.wires: asyncio.Queue[Wire] = asyncio.Queue()

    @asynccontextmanager
    async def attach(self, call_id: str) -> AsyncIterator[Wire]:
        if self.failures:
            raise self.failures.pop()
        async with super().attach(call_id) as wire:
            self.wires.put_nowait(wire)
            yield wire


async def test_an_upstream_that_is_not_ready_yet_is_asked_again(local_url: str) -> None:
    failures: list[Exception] = [NotFound("not yet"), UpstreamError("not yet")]
    upstream = Fickle(local_url, failures)
    async with supervised(upstream, Witness()):
        await asyncio.wait_for(upstream.wires.get(), 10)
    await upstream.aclose()


async def test_a_sideband_that_closes_is_opened_again(local_url: str) -> None:
    upstream, witness = Fickle(local_url, []), Witness()
    async with supervised(upstream, witness) as caller:
        await (await upstream.wires.get()).close()
        await asyncio.wait_for(upstream.wires.get(), 10)
        caller.send("session.update", session=RUDE)
        await until_instructions(caller, "Be rude.")
        await until_instructions(caller, "canary")
    assert (await witness.end()).reason == "caller"
    await upstream.aclose()


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offhook.relay.supervisor._PAUSES", (0.0,))


@pytest.mark.parametrize("error", [NotFound, UpstreamError])
async def test_an_upstream_without_sidebands_works(
    local_url: str,
    error: type[Exception],
    caplog: pytest.LogCaptureFixture,
    no_pauses: None,
) -> None:
    upstream, witness = Fickle(local_url, [error("none")] * 9), Witness()
    async with relaying(upstream, witness) as relay:
        key = await relay.grant()
        async with calling(f"{relay.url}/v1", key=key) as caller:
            caller.send("session.update", session=RUDE)
            await until_instructions(caller, "Be rude.")
            path = f"/v1/realtime/calls/{caller.call_id}/hangup"
            headers = {"Authorization": f"Bearer {key}"}
            assert (await relay.client.post(path, headers=headers)).status_code == 200
            assert (await witness.end()).reason == "caller"
    assert "goes on unguarded" in caplog.text
    await upstream.aclose()


async def test_where_supervision_is_required_there_is_no_call_without(
    local_url: str, no_pauses: None
) -> None:
    upstream, witness = Fickle(local_url, [NotFound("none")] * 9), Witness()
    async with relaying(upstream, witness, supervise="required") as relay:
        caller = Caller()
        sdp = await offer(caller)
        answer = await relay.call(await relay.grant(), sdp.encode())
        assert answer.status_code == 201
        assert (await witness.end()).reason == "unsupervised"
        await caller.close()
    await upstream.aclose()


async def test_supervision_can_be_left(local_url: str) -> None:
    upstream, witness = Fickle(local_url, []), Witness()
    async with relaying(upstream, witness, supervise="off") as relay:
        key = await relay.grant()
        async with calling(f"{relay.url}/v1", key=key) as caller:
            caller.send("session.update", session=RUDE)
            await until_instructions(caller, "Be rude.")
    assert upstream.wires.empty()
    assert (await witness.end()).reason == "server"
    await upstream.aclose()


async def test_an_upstream_that_shows_no_session_is_not_guarded(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offhook.protocol.guard._PATIENCE_SECONDS", 0.1)
    witness = Witness()
    local = LocalSettings.model_validate({"port": 0, "faults": True})
    async with (
        local_serving(local) as url,
        httpx.AsyncClient(
            trust_env=False, headers={"Authorization": "Bearer sk-any"}
        ) as client,
        relaying(url, witness) as relay,
    ):
        key = await relay.grant()
        # For the call itself the fault would be for its own events.
        fault = "lose=session.updated; times=2"
        armed = await client.post(f"{url.removesuffix('/v1')}/faults", content=fault)
        assert armed.status_code == 200, armed.text
        async with calling(f"{relay.url}/v1", key=key, whole=False):
            await witness.until(lambda: witness.marks("guard.surrendered"))
    assert "goes on unguarded" in caplog.text
