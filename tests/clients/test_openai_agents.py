"""`openai-agents`: voice agents in Python, which run their tools beside the call."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from agents.realtime import OpenAIRealtimeWebSocketModel

from tests.clients.conversations import Conversations, running
from tests.clients.places import AGENT, RELAY
from tests.clients.records import (
    CALLER_TURN,
    SILENCE,
    SPOKEN_TURN,
    TOOL_TURN,
    course,
)

if TYPE_CHECKING:
    from agents.realtime import RealtimeModel
    from agents.realtime.model import RealtimeModelConfig

    from offhook.speech import Engines
    from tests.clients.conversations import Make
    from tests.clients.places import Place
    from tests.clients.records import Speak

pytestmark = pytest.mark.anyio


def made(
    url: str, key: str, call_id: str | None
) -> tuple[RealtimeModel, RealtimeModelConfig]:
    connecting: RealtimeModelConfig = {"api_key": key}
    if call_id is None:
        connecting["url"] = f"{url}?model=gpt-realtime-2.1"
    else:
        connecting |= {"url": f"{url}?call_id={call_id}", "call_id": call_id}
    return OpenAIRealtimeWebSocketModel(), connecting


class TestSdk(Conversations):
    """The SDK as it is, which asks for an answer as soon as each tool has ended."""

    waits = False

    @pytest.fixture
    def make(self, local_url: str) -> Make:
        url = f"{local_url.replace('http', 'ws', 1)}/realtime"
        return partial(made, url, "sk-any")

    async def test_the_order_of_a_spoken_turn(self, make: Make, speak: Speak) -> None:
        async with running(make(None)) as run:
            await run.say(await speak("What's the weather in Paris?") + SILENCE)
            await run.answers(2)
        # It sends the output as soon as it can, and asks for the answer when it may.
        kinds = [k for k in course(run.events) if k != "conversation.item.retrieved"]
        begin = kinds.index("input_audio_buffer.speech_started")
        assert [k for k in kinds[begin:] if k.startswith(("response", "rate"))] == [
            k for k in TOOL_TURN + SPOKEN_TURN if k.startswith(("response", "rate"))
        ]
        assert kinds[begin:][: len(CALLER_TURN)] == CALLER_TURN


class TestSdkThroughARelay:
    """The same, where a relay is in between."""

    @pytest.fixture
    async def make(self, place: Place) -> Make:
        return partial(made, place.ws_url, await place.key())

    @pytest.mark.parametrize("place", [RELAY, AGENT], indirect=True)
    async def test_a_written_turn(self, make: Make) -> None:
        await Conversations().test_a_written_turn(make)

    @pytest.mark.parametrize("place", [RELAY], indirect=True)
    async def test_a_tool_in_a_spoken_turn(
        self, make: Make, speak: Speak, engines: Engines
    ) -> None:
        await Conversations().test_a_tool_in_a_spoken_turn(make, speak, engines)

    @pytest.mark.parametrize("place", [RELAY, AGENT], indirect=True)
    async def test_speech_interrupts(self, make: Make, speak: Speak) -> None:
        await Conversations().test_speech_interrupts_what_is_played(make, speak)
