from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from offhook.relay.app import create_app
from offhook.settings import Settings
from tests.caller import calling
from tests.relays import Relay, serving
from tests.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Speak = Callable[[str], Awaitable[bytes]]

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("leg", ["webrtc", "websocket"])
async def test_a_bridged_call_is_measured_and_told(
    leg: str, local_url: str, speak: Speak, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offhook.relay.statistics._SECONDS", 0.5)
    witness = Witness()
    agent: dict[str, Any] = {"instructions": "canary", "media": "bridged", "leg": leg}
    app = create_app(
        Settings.load(upstream=local_url),
        agents={"support": agent},
        observers=[witness],
    )
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        key = await Relay(url, client).grant()
        async with calling(f"{url}/v1", key=key) as caller:
            caller.microphone.say(await speak("What is seven times eight?"))
            await caller.until("output_audio_buffer.stopped")
            await witness.until(lambda: len(witness.entries) == 2)
            packets = [
                figures["caller_packets_received"]
                for figures in witness.statistics
                if "caller_packets_received" in figures
            ]
            assert 0 < packets[0] < packets[-1]
        ended = await witness.end()
        metrics = await client.get("/metrics")
    asked, answered = witness.entries
    assert (asked.who, answered.who) == ("caller", "model")
    assert "seven" in asked.text.lower() or "7" in asked.text
    assert answered.text == answered.data["transcript"]
    assert (ended.reason, ended.path, ended.turns) == ("caller", "bridged", 2)
    figures = ended.statistics
    # The last ones are taken when the call has ended.
    assert figures["caller_packets_received"] > packets[-1]
    assert figures["caller_packets_sent"] > 50
    assert figures["caller_packets_lost"] <= 5
    assert figures["caller_jitter_ms"] < 50
    assert figures["cpu_seconds"] > 0
    assert figures["first_audio_ms"] == answered.data["first_audio_ms"]
    assert 'offhook_packets_total{side="caller",what="received"}' in metrics.text
