"""Talks to an endpoint through `openai`, the official Python client."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI

from tests.clients.records import Event, of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from openai.resources.realtime.realtime import (
        AsyncRealtimeConnection,
        RealtimeConnection,
    )

MODEL = "gpt-realtime-2.1"
VAD: dict[str, Any] = {
    "type": "server_vad",
    "create_response": True,
    "interrupt_response": True,
}


class Talk:
    """One connection, and all that came over it."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.events: list[Event] = []

    async def until(self, kind: str) -> Event:
        """Receive up to an event of a type."""
        async with asyncio.timeout(20):
            while True:
                data = await self.connection.recv_bytes()
                assert self.connection.parse_event(data).type
                self.events.append(json.loads(data))
                if self.events[-1]["type"] == kind:
                    return self.events[-1]

    async def configure(self, **session: Any) -> Event:
        """Change the session."""
        session = {"type": "realtime", **session}
        update: Any = session
        await self.connection.session.update(session=update)
        return await self.until("session.updated")

    async def listen(self, **detection: Any) -> None:
        """Have the caller's turns found, and written down."""
        heard = {"turn_detection": VAD | detection, "transcription": {"model": "x"}}
        await self.configure(audio={"input": heard})

    async def say(self, pcm: bytes) -> None:
        """Speak: 200 ms at a time."""
        for at in range(0, len(pcm), 9600):
            audio = base64.b64encode(pcm[at : at + 9600]).decode()
            await self.connection.input_audio_buffer.append(audio=audio)

    async def write(self, text: str) -> None:
        """Send a message."""
        content: Any = [{"type": "input_text", "text": text}]
        await self.connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}
        )
        await self.until("conversation.item.done")


@asynccontextmanager
async def client(local_url: str, key: str = "sk-any") -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=local_url, api_key=key, max_retries=0) as made:
        yield made


@asynccontextmanager
async def talking(local_url: str, key: str = "sk-any") -> AsyncIterator[Talk]:
    async with (
        client(local_url, key) as official,
        official.realtime.connect(model=MODEL) as connection,
    ):
        talk = Talk(connection)
        created = await talk.until("session.created")
        assert created["session"]["model"] == MODEL
        yield talk


def receive(connection: RealtimeConnection, last: str) -> list[Event]:
    """Receive up to an event of a type, without asyncio."""
    events: list[Event] = []
    while not of(events, last):
        data = connection.recv_bytes()
        assert connection.parse_event(data).type
        events.append(json.loads(data))
    return events
