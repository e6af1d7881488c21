"""The models of a process: loaded once, shared by all calls, off the event loop."""

from __future__ import annotations

import asyncio
import functools
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import httpx

from offhook.audio import resample
from offhook.speech.activity import silero
from offhook.speech.chat import Chat
from offhook.speech.ending import RATE as ENDING_RATE
from offhook.speech.ending import TextCue, ending
from offhook.speech.listener import CALL_RATE, Detectors, Listener
from offhook.speech.recogniser import RATE as RECOGNISER_RATE
from offhook.speech.recogniser import Moonshine
from offhook.speech.skills import Skills
from offhook.speech.synthesiser import DEFAULT_VOICE, Hibari
from offhook.speech.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from offhook.protocol.prompt import Prompt, ToolCall
    from offhook.settings import LocalSettings
    from offhook.speech.activity import Detector
    from offhook.speech.ending import Ending
    from offhook.speech.recogniser import Recogniser
    from offhook.speech.responder import Responder
    from offhook.speech.synthesiser import Synthesiser

_T = TypeVar("_T")

# A second set of engines in the process takes the same models, which are thread-safe.
_moonshine = functools.cache(Moonshine)
_hibari = functools.cache(Hibari)
_ending = functools.cache(ending)


class Engines:
    """Hears, answers and speaks for all calls of a process, on one event loop.

    `load` makes one of the default parts; any other parts will do as well.

    Args:
        recogniser: Turns speech into text.
        synthesiser: Turns text into speech.
        responder: Answers.
        detector: Loads another voice activity detector; each call needs its own.
        ending: Judges whether a caller has said all; by default the last word does.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        synthesiser: Synthesiser,
        responder: Responder,
        detector: Callable[[], Detector],
        ending: Ending | None = None,
    ) -> None:
        self._recogniser = recogniser
        self._synthesiser = synthesiser
        self._responder = responder
        self._detectors = Detectors(detector)
        self._ending = ending or TextCue()
        self._hearing = Worker("hearing")
        self._speaking = Worker("speaking")
        self._judging = Worker("judging")
        self._listening = Worker("listening", limit=1024)  # 0.2 ms each

    @classmethod
    @asynccontextmanager
    async def load(
        cls, settings: LocalSettings, progress: Callable[[str], None] = lambda _: None
    ) -> AsyncIterator[Engines]:
        """Load the default parts, and close the engines in the end.

        Args:
            settings: Name the chat server, if one answers.
            progress: Gets one short line about each part.

        Raises:
            MissingExtra: A part is not installed.
        """
        async with AsyncExitStack() as stack:
            recogniser, synthesiser, detector, ending = await asyncio.gather(
                _timed("hearing", _moonshine, progress),
                _timed("speaking", _hibari, progress),
                _timed("listening", silero, progress),
                _timed("judging", _ending, progress),
            )
            responder = await _responder(settings, stack)
            progress(f"answering: {responder.name}")
            engines = cls(recogniser, synthesiser, responder, silero, ending)
            stack.push_async_callback(engines.close)
            await engines.warm_up(detector)
            yield engines

    async def recognise(self, pcm: bytes) -> str:
        """Hear what a turn of PCM16 at 24 kHz says; empty where nobody speaks.

        Cancelling leaves the engines usable, as it does in all of these methods.
        """
        return await self._hearing.run(
            lambda: self._recogniser.hear(resample(pcm, CALL_RATE, RECOGNISER_RATE))
        )

    async def complete(self, pcm: bytes, text: str) -> bool:
        """Whether a caller who pauses has said all.

        Args:
            pcm: The turn until now, PCM16 at 24 kHz, its pause included.
            text: What was recognised in it.
        """
        return await self._judging.run(
            lambda: self._ending.complete(resample(pcm, CALL_RATE, ENDING_RATE), text)
        )

    async def synthesise(
        self, text: str, voice: str = DEFAULT_VOICE, speed: float = 1.0
    ) -> AsyncGenerator[bytes]:
        """Say a text as PCM16 at 24 kHz, one chunk per sentence.

        The next sentence is made when it is asked for; whoever stops asking stops it.
        """
        sentences = self._synthesiser.speak(text, voice, speed)
        while chunk := await self._speaking.run(lambda: next(sentences, b"")):
            yield chunk

    def reply(self, prompt: Prompt) -> AsyncGenerator[str | ToolCall]:
        """Answer a prompt, sentence by sentence, or with calls of its tools.

        Raises:
            UpstreamError: The chat server failed.
        """
        return self._responder.reply(prompt)

    def listener(self) -> Listener:
        """An ear for one more call; close it when the call ends."""
        return Listener(self._listening, self._detectors)

    async def warm_up(self, detector: Detector) -> None:
        """Say and hear a word, for the first time is slow; keep a loaded detector."""
        await self._listening.run(lambda: self._detectors.give_back(detector))
        async for pcm in self.synthesise("Hello."):
            await self.recognise(pcm)

    async def close(self) -> None:
        """Withdraw what waits, and join the threads."""
        await asyncio.gather(
            self._hearing.close(),
            self._speaking.close(),
            self._listening.close(),
            self._judging.close(),
        )


async def _timed(
    task: str, load: Callable[[], _T], progress: Callable[[str], None]
) -> _T:
    started = time.perf_counter()
    part = await asyncio.to_thread(load)
    seconds = time.perf_counter() - started
    progress(f"{task}: {getattr(part, 'name', part)} ({seconds:.1f} s)")
    return part


async def _responder(settings: LocalSettings, stack: AsyncExitStack) -> Responder:
    if settings.chat_url is None:
        return Skills()
    key = settings.chat_key
    client = httpx.AsyncClient(
        base_url=settings.chat_url,
        headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key else {},
        timeout=httpx.Timeout(60, connect=5),
    )
    return Chat(await stack.enter_async_context(client), settings.chat_model)
