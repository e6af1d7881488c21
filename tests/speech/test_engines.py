from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from offhook.audio import duration_ms, silence
from offhook.protocol.prompt import Prompt, Turn
from offhook.settings import LocalSettings
from offhook.speech import CALL_RATE, Engines

pytestmark = pytest.mark.anyio

LONG = "One sentence is here. " * 20


async def say(engines: Engines, text: str, voice: str = "marin") -> bytes:
    return b"".join([chunk async for chunk in engines.synthesise(text, voice)])


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("What is seven times eight?", "7 times 8 is 56."),
        ("What is the square root of 144?", "The square root of 144 is 12."),
        ("How do you spell necessary?", "Necessary: N, E, C, E, S, S, A, R, Y."),
        ("Repeat after me, the train leaves at noon.", "The train leaves at noon."),
        ("How many feet are in a mile?", "1 mile is 5,280 feet."),
        ("My name is Martin.", "Nice to meet you, Martin."),
        ("Goodbye.", "Goodbye!"),
    ],
)
async def test_a_spoken_question_is_answered(
    engines: Engines, said: str, answer: str
) -> None:
    heard = await engines.recognise(await say(engines, said, "cedar"))
    prompt = Prompt("", (Turn("user", heard),))
    assert [sentence async for sentence in engines.reply(prompt)] == [answer]


async def test_an_empty_turn_says_nothing(engines: Engines) -> None:
    assert await engines.recognise(b"") == ""
    assert await say(engines, "") == b""


async def test_a_turn_that_goes_on_is_told_from_one_that_is_over(
    engines: Engines,
) -> None:
    for text, over in (("Tell me a joke.", True), ("Well, because", False)):
        assert await engines.complete(await say(engines, text), text) == over


async def test_chunks_are_sentences(engines: Engines) -> None:
    chunks = [chunk async for chunk in engines.synthesise("One. Two. Three.")]
    assert len(chunks) == 3
    assert all(300 < duration_ms(chunk, CALL_RATE) < 2000 for chunk in chunks)


async def test_cancelling_leaves_the_engines_usable(engines: Engines) -> None:
    turn = await say(engines, "What time is it?")
    started: list[asyncio.Future[Any]] = [
        asyncio.ensure_future(engines.recognise(turn)) for _ in range(3)
    ]
    started += [asyncio.ensure_future(say(engines, LONG)) for _ in range(3)]
    await asyncio.sleep(0)
    for task in started:
        task.cancel()
    results = await asyncio.gather(*started, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert await engines.recognise(turn) == "What time is it?"
    assert await say(engines, "What time is it?") == turn


async def test_an_abandoned_synthesis_makes_no_further_sentence(
    engines: Engines,
) -> None:
    class Counted:
        name = "counted"
        made = 0

        def speak(self, text: str, voice: str, speed: float) -> object:
            for _ in range(10):
                self.made += 1
                yield b"\0\0"

    counted = Counted()
    # Only the synthesiser is asked for anything.
    part: Any = counted
    mine = Engines(part, part, part, part)
    chunks = mine.synthesise("")
    await anext(chunks)
    await chunks.aclose()
    await mine.close()
    assert counted.made == 1


async def test_speech_is_found_where_it_is(engines: Engines) -> None:
    speech = await say(engines, "Hello, how are you today?")
    call = silence(1000, CALL_RATE) + speech + silence(1000, CALL_RATE)
    listener = engines.listener()
    found = [
        activity
        for at in range(0, len(call), 960)
        for activity in await listener.feed(call[at : at + 960])
    ]
    listener.close()
    active = [activity.at_ms for activity in found if activity.probability > 0.5]
    assert 1000 < active[0] < 1500
    assert 1000 < active[-1] < 1000 + duration_ms(speech, CALL_RATE) + 100
    assert len(active) * 32 > duration_ms(speech, CALL_RATE) * 0.5


async def test_twenty_calls_listen_at_a_time(engines: Engines) -> None:
    speech = await say(engines, "Hello, how are you today?")

    async def call() -> list[float]:
        listener = engines.listener()
        found = [
            activity.probability
            for at in range(0, len(speech), 1920)
            for activity in await listener.feed(speech[at : at + 1920])
        ]
        listener.close()
        return found

    alone = await call()
    assert await asyncio.gather(*(call() for _ in range(20))) == [alone] * 20


async def test_loading_twice_shares_the_models() -> None:
    lines: list[str] = []
    settings = LocalSettings.model_validate({})
    async with (
        Engines.load(settings) as one,
        Engines.load(settings, lines.append) as two,
    ):
        assert await say(one, "Hello.") == await say(two, "Hello.")
    assert sorted(line.partition(":")[0] for line in lines) == [
        "answering",
        "hearing",
        "judging",
        "listening",
        "speaking",
    ]
    hearing = next(line for line in lines if line.startswith("hearing: moonshine"))
    assert float(hearing.split("(")[1].split()[0]) < 0.3  # loading takes 0.6 and more
    assert "answering: built-in skills" in lines


async def test_leaving_joins_the_threads(engines: Engines) -> None:
    def names() -> list[str]:
        return [t.name for t in threading.enumerate() if "offhook-" in t.name]

    before = sorted(names())
    async with Engines.load(LocalSettings.model_validate({})):
        assert len(names()) > len(before)
    assert sorted(names()) == before


async def test_a_chat_server_answers_where_one_is_set() -> None:
    lines: list[str] = []
    settings = LocalSettings.model_validate(
        {"chat_url": "http://127.0.0.1:9/v1", "chat_model": "small", "chat_key": "k"}
    )
    async with Engines.load(settings, lines.append):
        assert "answering: small at 127.0.0.1" in lines
