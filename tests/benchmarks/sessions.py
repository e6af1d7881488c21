"""How many callers at a time the local endpoint answers in real time, by WebSocket.

The endpoint has a process of its own. Every caller sends 20 ms at a time and asks one
question in 12 seconds; their turns are spread evenly. Given are medians and, in
brackets, 95th percentiles:

- ear: from the last audio of a turn being sent until `speech_stopped` arrives. This is
  pure delay: the pause that ends a turn is part of the turn.
- words, voice: from there until the transcript and the answer's first sound arrive.
- gaps: how often a listener who plays the answers as they come had to wait.

It holds while 95 of 100 turns have an ear within 0.2 s and a voice within 1 s, all are
answered, and there is no gap.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import math
import os
import statistics
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from websockets.asyncio.client import ClientConnection, connect

from offhook.audio import byte_length
from offhook.settings import LocalSettings
from offhook.speech import CALL_RATE, Engines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

QUESTIONS = (
    "What time is it?",
    "What is seven times eight?",
    "How many feet are there in a mile?",
    "Please count to five.",
    "Repeat after me, the train to the airport leaves at noon.",
)
CALLERS = (1, 5, 10, 20, 30, 40, 50, 60, 80, 100)
PERIOD_S = 12
TURNS = 3
CHUNK_MS = 20
UPDATE = {
    "type": "session.update",
    "session": {
        "type": "realtime",
        "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
    },
}


@dataclass
class Measured:
    """What several callers went through; times are in seconds."""

    asked: int
    ears: list[float] = field(default_factory=list)
    words: list[float] = field(default_factory=list)
    voices: list[float] = field(default_factory=list)
    gaps: int = 0
    errors: int = 0

    @property
    def holds(self) -> bool:
        return (
            len(self.words) == len(self.voices) == self.asked
            and not self.gaps
            and not self.errors
            and late(self.ears) < 0.2
            and late(self.voices) < 1
        )


def late(values: Sequence[float]) -> float:
    """The 95th percentile."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


class Caller:
    """One session in which a question is asked in every period."""

    def __init__(self, socket: ClientConnection, measured: Measured) -> None:
        self._socket = socket
        self._measured = measured
        self._began = 0.0
        self._stopped = 0.0
        self._voice_began = 0.0
        self._voice_s = 0.0

    async def talk(self, messages: Sequence[str]) -> None:
        """Send prepared messages in real time."""
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        for number, message in enumerate(messages, 1):
            # A chunk is there when its last sample is.
            due = self._began + number * CHUNK_MS / 1000
            await asyncio.sleep(due - loop.time())
            await self._socket.send(message)

    async def listen(self) -> None:
        """Measure until cancelled."""
        async for text in self._socket:
            now = asyncio.get_running_loop().time()
            event = json.loads(text)
            match event["type"]:
                case "input_audio_buffer.speech_stopped":
                    self._stopped = now
                    sent = self._began + event["audio_end_ms"] / 1000
                    self._measured.ears.append(now - sent)
                case "conversation.item.input_audio_transcription.completed":
                    self._measured.words.append(now - self._stopped)
                case "response.created":
                    self._voice_s = 0
                case "response.output_audio.delta":
                    self._hear(base64.b64decode(event["delta"]), now)
                case "response.done":
                    completed = event["response"]["status"] == "completed"
                    self._measured.errors += not completed
                case "error":
                    self._measured.errors += 1

    def _hear(self, pcm: bytes, now: float) -> None:
        if not self._voice_s:
            self._voice_began = now
            self._measured.voices.append(now - self._stopped)
        elif now > self._voice_began + self._voice_s:
            self._measured.gaps += 1
            self._voice_began = now - self._voice_s
        self._voice_s += len(pcm) / byte_length(1000, CALL_RATE)


async def measure() -> None:
    """Print a line for each number of callers, until it no longer holds."""
    turns = [prepared(pcm) for pcm in await questions()]
    limit = 0
    show("callers", "ear ms", "words ms", "voice ms", "gaps", "errors", "load")
    async with serving() as url:
        for count in CALLERS:
            measured = await together(url, count, turns)
            spans = (measured.ears, measured.words, measured.voices)
            load = f"{os.getloadavg()[0]:.1f}"
            show(count, *map(span, spans), measured.gaps, measured.errors, load)
            if not measured.holds:
                break
            limit = count
    sys.stdout.write(f"sessions: {limit} callers at a time in real time\n")


def show(*cells: object) -> None:
    sys.stdout.write("".join(f"{cell!s:>12}" for cell in cells) + "\n")


def span(values: Sequence[float]) -> str:
    if not values:
        return "-"
    return f"{1000 * statistics.median(values):.0f} ({1000 * late(values):.0f})"


async def questions() -> list[bytes]:
    async with Engines.load(LocalSettings.load()) as engines:
        return [
            b"".join([pcm async for pcm in engines.synthesise(question, "echo")])
            for question in QUESTIONS
        ]


def prepared(question: bytes) -> list[str]:
    """A period's messages, encoded here so that the callers need not."""
    size = byte_length(CHUNK_MS, CALL_RATE)
    pcm = question.ljust(byte_length(PERIOD_S * 1000, CALL_RATE), b"\0")
    chunks = [pcm[at : at + size] for at in range(0, len(pcm), size)]
    kind = "input_audio_buffer.append"
    return [
        json.dumps({"type": kind, "audio": base64.b64encode(chunk).decode()})
        for chunk in chunks
    ]


async def together(url: str, count: int, turns: list[list[str]]) -> Measured:
    measured = Measured(asked=count * TURNS)

    async def call(number: int) -> None:
        await asyncio.sleep(PERIOD_S * number / count)
        mine = itertools.islice(itertools.cycle(turns), number, number + TURNS)
        headers = {"Authorization": "Bearer any"}
        async with connect(url, additional_headers=headers) as socket:
            await socket.send(json.dumps(UPDATE))
            caller = Caller(socket, measured)
            listening = asyncio.create_task(caller.listen())
            await caller.talk([message for turn in mine for message in turn])
            listening.cancel()

    await asyncio.gather(*(call(number) for number in range(count)))
    return measured


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """Run `offhook local` as a user does, and give its WebSocket's URL."""
    command = [sys.executable, "-m", "offhook", "local", "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        *command, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr
    try:
        url = ""
        while "://" not in url:
            url = (await process.stderr.readline()).decode().split()[-1]
        yield f"{url.replace('http', 'ws', 1)}/realtime?model=x"
    finally:
        process.terminate()
        await process.communicate()
