from __future__ import annotations

import asyncio
import base64
import copy
import threading
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import UpstreamError
from offhook.local.connection import Connection
from offhook.protocol.effects import Recognise
from offhook.protocol.endpoint import Endpoint
from offhook.protocol.prompt import Prompt, ToolCall, ToolOutput, Turn
from offhook.protocol.session_config import effective, merged
from offhook.speech import Engines
from tests.mcp_server import Tools, mcp_server
from tests.official import problems
from tests.protocol.driver import Event, kinds

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from offhook.protocol.effects import Effect

pytestmark = pytest.mark.anyio


TRANSCRIBE = {"input": {"transcription": {"model": "x"}}}
SPEECH = b"\x00\x40" * 24000 + bytes(48000)
SPOKEN = b"\1\0" * 2400


class Parts:
    """All four engines: they hear what is loud, and say what they are given.

    Attributes:
        gate: While closed, the detector's and the recogniser's threads stand still.
        answer: What to reply; an exception is raised instead.
    """

    name = "parts"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.words: str | Exception = "Hello"
        self.answer: list[str | ToolCall | Exception] = ["One.", "Two."]
        self.voice: bytes | Exception = SPOKEN
        self.prompts: list[Prompt] = []
        self.patience = asyncio.Event()
        self.patience.set()
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    def hear(self, pcm: bytes) -> str:
        assert self.gate.wait(10)
        if isinstance(self.words, Exception):
            raise self.words
        return self.words

    def speak(self, text: str, voice: str, speed: float) -> Iterator[bytes]:
        if isinstance(self.voice, Exception):
            raise self.voice
        yield self.voice

    async def reply(self, prompt: Prompt) -> AsyncGenerator[str | ToolCall]:
        self.prompts.append(prompt)
        try:
            for sentence in self.answer:
                self.asked.set()
                await self.patience.wait()
                if isinstance(sentence, Exception):
                    # A copy: the parameter outlives the test, with its traceback.
                    raise copy.copy(sentence)
                yield sentence
        finally:
            self.left.set()

    def probability(self, frame: NDArray[np.float32]) -> float:
        assert self.gate.wait(10)
        return float(abs(frame).max() > 0.1)

    def reset(self) -> None:
        pass


class Session:
    """A live connection, and what it sent."""

    def __init__(self, parts: Parts, *, playout: bool = False, **patch: Any) -> None:
        self.engines = Engines(parts, parts, parts, lambda: parts)
        session = effective("sess_1", expires_at=0, model=None)
        session = merged(session, {"type": "realtime", **patch})
        endpoint = Endpoint(session, playout=playout)
        self.connection = Connection(endpoint, self.engines, self._send)
        self.events: list[Event] = []
        self._news = asyncio.Event()

    def _send(self, event: Event) -> None:
        assert problems(event) == [], event
        self.events.append(event)
        self._news.set()

    async def until(self, kind: str) -> Event:
        """Wait for the first event of a type, and forget those before it."""
        async with asyncio.timeout(10):
            while True:
                for at, event in enumerate(self.events):
                    if event["type"] == kind:
                        del self.events[: at + 1]
                        return event
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def live(
    parts: Parts, *, playout: bool = False, **patch: Any
) -> AsyncIterator[Session]:
    session = Session(parts, playout=playout, **patch)
    try:
        async with asyncio.timeout(20), session.connection:
            yield session
    finally:
        parts.gate.set()
        await session.engines.close()


CREATE = '{"type":"response.create"}'


async def test_an_expired_session_says_so() -> None:
    async with live(Parts()) as session:
        reason = session.connection.expire()
        error = await session.until("error")
    assert error["error"]["code"] == "session_expired"
    assert error["error"]["message"] == reason


async def test_what_is_said_is_heard_answered_and_spoken() -> None:
    parts = Parts()
    async with live(parts, audio=TRANSCRIBE) as session:
        session.connection.open()
        await session.until("session.created")
        session.connection.hear(SPEECH)
        completed = await session.until(
            "conversation.item.input_audio_transcription.completed"
        )
        assert completed["transcript"] == "Hello"
        spoken = await session.until("response.output_audio.delta")
        assert base64.b64decode(spoken["delta"]) == SPOKEN
        done = (await session.until("response.done"))["response"]
    assert done["status"] == "completed"
    assert done["output"][0]["content"][0]["transcript"] == "One. Two."
    [prompt] = parts.prompts
    assert prompt.turns == (Turn("user", "Hello"),)


class Judging(Endpoint):
    """An endpoint that always asks whether the caller has finished."""

    verdicts: tuple[bool, ...] = ()

    def drain(self) -> list[Effect]:
        return [
            replace(effect, judge=True) if isinstance(effect, Recognise) else effect
            for effect in super().drain()
        ]

    def heard(
        self, item_id: str, attempt: int, text: str, complete: bool = True
    ) -> None:
        self.verdicts = (*self.verdicts, complete)
        super().heard(item_id, attempt, text, complete)


@pytest.mark.parametrize(("words", "complete"), [("Hello", True), ("Well and", False)])
async def test_a_turn_is_judged_where_that_is_asked(words: str, complete: bool) -> None:
    parts = Parts()
    parts.words = words
    endpoint = Judging(effective("sess_1", expires_at=0, model=None), playout=False)
    engines = Engines(parts, parts, parts, lambda: parts)
    answered = asyncio.Event()

    def send(event: Event) -> None:
        if event["type"] == "response.done":
            answered.set()

    async with asyncio.timeout(10), Connection(endpoint, engines, send) as connection:
        connection.hear(SPEECH)
        await answered.wait()
    await engines.close()
    assert set(endpoint.verdicts) == {complete}


async def test_an_answer_in_text_is_not_spoken() -> None:
    parts = Parts()
    parts.voice = ValueError("nobody asked")
    async with live(parts, output_modalities=["text"]) as session:
        session.connection.receive(CREATE)
        done = (await session.until("response.done"))["response"]
    assert done["status"] == "completed"
    assert done["output"][0]["content"][0]["text"] == "One. Two."


async def test_a_recogniser_that_fails_does_not_cost_the_answer() -> None:
    parts = Parts()
    parts.words = ValueError("canary")
    async with live(parts, audio=TRANSCRIBE) as session:
        session.connection.hear(SPEECH)
        failed = await session.until(
            "conversation.item.input_audio_transcription.failed"
        )
        assert failed["error"]["code"] == "audio_unintelligible"
        assert "canary" not in str(failed)
        done = await session.until("response.done")
        assert done["response"]["status"] == "completed"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ([UpstreamError("canary", code="upstream_failed")], "upstream_failed"),
        ([UpstreamError("canary")], "server_error"),
        ([ValueError("canary")], "server_error"),
        (["One.", ValueError("canary")], "server_error"),
    ],
)
async def test_an_answer_that_fails_is_closed_and_the_next_one_works(
    answer: list[str | ToolCall | Exception], code: str
) -> None:
    parts = Parts()
    parts.answer = answer
    async with live(parts) as session:
        session.connection.receive(CREATE)
        done = (await session.until("response.done"))["response"]
        assert done["status"] == "failed"
        assert done["status_details"]["error"]["code"] == code
        assert "canary" not in str(done)
        assert len(done["output"]) == len(answer) - 1
        parts.answer = ["Better."]
        session.connection.receive(CREATE)
        done = (await session.until("response.done"))["response"]
        assert done["status"] == "completed"


async def test_a_voice_that_fails_fails_the_answer() -> None:
    parts = Parts()
    parts.voice = ValueError("canary")
    async with live(parts) as session:
        session.connection.receive(CREATE)
        done = (await session.until("response.done"))["response"]
        assert done["status"] == "failed"
        assert done["output"][0]["content"][0]["transcript"] == "One."


async def test_an_answer_that_is_cancelled_stops_being_made() -> None:
    parts = Parts()
    parts.patience.clear()
    async with live(parts) as session:
        session.connection.receive(CREATE)
        await parts.asked.wait()
        session.connection.receive('{"type":"response.cancel"}')
        assert kinds(session.events) == [
            "response.created",
            "response.done",
            "rate_limits.updated",
        ]
        await parts.left.wait()
        # A task that ended early must not take the next answer with it.
        parts.patience.set()
        session.connection.receive(CREATE)
        await session.until("response.done")
        done = (await session.until("response.done"))["response"]
        assert done["status"] == "completed"


async def test_talking_over_an_answer_stops_it() -> None:
    parts = Parts()
    parts.patience.clear()
    async with live(parts) as session:
        session.connection.receive(CREATE)
        await parts.asked.wait()
        session.connection.hear(SPEECH[:48000])
        done = (await session.until("response.done"))["response"]
        assert done["status_details"]["reason"] == "turn_detected"
        await parts.left.wait()


async def test_leaving_stops_the_answers() -> None:
    parts, before = Parts(), asyncio.all_tasks()
    parts.patience.clear()
    async with live(parts) as session:
        session.connection.receive(CREATE)
        session.connection.receive(
            '{"type":"response.create","response":{"conversation":"none"}}'
        )
        await parts.asked.wait()
    assert parts.left.is_set()
    assert asyncio.all_tasks() == before


async def test_cancelling_is_leaving() -> None:
    parts, before = Parts(), asyncio.all_tasks()
    parts.patience.clear()

    async def hold() -> None:
        async with live(parts) as session:
            session.connection.receive(CREATE)
            await asyncio.Event().wait()

    held = asyncio.create_task(hold())
    await parts.asked.wait()
    held.cancel()
    with pytest.raises(asyncio.CancelledError):
        await held
    assert parts.left.is_set()
    assert asyncio.all_tasks() == before


async def test_a_failure_in_the_body_stays_visible() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with live(Parts()):
            raise ValueError("mine")
    assert caught.group_contains(ValueError, match="mine")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "invalid_json"),
        (b"\xff", "invalid_json"),
        ("[]", "invalid_event"),
        ('{"type":"nonsense"}', "invalid_value"),
    ],
)
async def test_what_is_wrong_is_answered_and_the_session_goes_on(
    message: str | bytes, code: str
) -> None:
    async with live(Parts()) as session:
        session.connection.receive(message)
        assert session.events[-1]["error"]["code"] == code
        session.connection.receive(CREATE)
        await session.until("response.done")


async def test_who_pours_in_audio_waits_until_it_is_heard() -> None:
    parts = Parts()
    async with live(parts) as session:
        await session.connection.room()
        parts.gate.clear()
        session.connection.hear(bytes(2 * 2**20))
        await session.connection.room()
        for _ in range(3):
            session.connection.hear(bytes(2 * 2**20))
        waiting = asyncio.create_task(session.connection.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        parts.gate.set()
        await waiting


async def test_where_a_track_plays_the_answer_it_is_pulled() -> None:
    parts = Parts()
    parts.answer = ["One."]
    async with live(parts, playout=True) as session:
        assert session.connection.pull(20) == b""
        session.connection.receive(CREATE)
        await session.until("response.done")
        pulled = b"".join(session.connection.pull(20) for _ in range(10))
        assert pulled == SPOKEN
        await session.until("output_audio_buffer.started")
        await session.until("output_audio_buffer.stopped")
    assert not any(e["type"] == "response.output_audio.delta" for e in session.events)


def create(session: Session) -> None:
    session.connection.receive('{"type":"response.create"}')


async def test_a_function_is_called_between_the_words() -> None:
    parts = Parts()
    parts.answer = ["One.", ToolCall("look", '{"at":"it"}'), "Two."]
    tool = {"type": "function", "name": "look"}
    async with live(parts, tools=[tool]) as session:
        create(session)
        called = await session.until("response.function_call_arguments.done")
        assert (called["name"], called["arguments"]) == ("look", '{"at":"it"}')
        done = (await session.until("response.done"))["response"]
    said, call = done["output"]
    assert said["content"][0]["transcript"] == "One. Two."
    assert call["call_id"] == called["call_id"]


async def test_a_tool_of_a_real_server_is_called() -> None:
    parts = Parts()
    async with mcp_server(Tools(), token="hush") as url:
        tool = {"type": "mcp", "server_label": "dice", "server_url": url}
        tool |= {"authorization": "hush", "require_approval": "never"}
        async with live(parts, tools=[tool], output_modalities=["text"]) as session:
            session.connection.open()
            listed = await session.until("conversation.item.done")
            names = [tool["name"] for tool in listed["item"]["tools"]]
            assert names == ["get_capital", "roll_dice", "fails", "slow"]
            for name, arguments in (("roll_dice", '{"sides":6}'), ("fails", "{}")):
                parts.answer = [ToolCall(name, arguments)]
                create(session)
                await session.until("response.mcp_call.in_progress")
                item = (await session.until("response.output_item.done"))["item"]
                if name == "roll_dice":
                    assert item["output"] == "You rolled 6 of 6."
                else:
                    assert item["error"]["type"] == "tool_execution_error"
            parts.answer = ["Six."]
            create(session)
            await session.until("response.done")
    rolled = parts.prompts[-1].turns[1]
    assert isinstance(rolled, ToolOutput)
    assert rolled.output == "You rolled 6 of 6."


async def test_a_server_that_is_not_there_leaves_the_session_alive() -> None:
    parts = Parts()
    nowhere = "http://127.0.0.1:9/mcp"
    tool = {"type": "mcp", "server_label": "dice", "server_url": nowhere}
    async with live(parts, tools=[tool]) as session:
        session.connection.open()
        await session.until("mcp_list_tools.failed")
        create(session)
        await session.until("response.done")
    assert parts.prompts[0].tools == ()
