"""People, not our own synthesiser: read English through the whole local endpoint."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
import jiwer
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect

from offhook.audio import byte_length, from_float, resample, silence
from offhook.speech import CALL_RATE
from offhook.speech.numerals import digits
from offhook.speech.optional import require

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.anyio

# human/NOTICE.md says whose voice this is.
AUSTEN = {
    "austen_0870": "and Mister John Dashwood had then leisure to consider how much "
    "there might be prudently in his power to do for them",
    "austen_0880": "he was not an ill disposed young man",
    "austen_0890": "unless to be rather cold hearted and rather selfish is to be ill "
    "disposed",
    "austen_0920": "had he married a more amiable woman he might have been made still "
    "more respectable than he was",
    "austen_0930": "he might even have been made amiable himself",
}
# Another reader, whose recording is in moonshine's wheel.
DICKENS = (
    "it was the best of times it was the worst of times it was the age of wisdom it "
    "was the age of foolishness it was the epoch of belief it was the epoch of "
    "incredulity it was the season of light it was the season of darkness it was the "
    "spring of hope it was the winter of despair we had everything before us we had "
    "nothing before us we were all going direct to heaven we were all going direct "
    "the other way in short the period was so far like the present period that some "
    "of its noisiest authorities insisted on its being received for good or for evil "
    "in the superlative degree of comparison only"
)
PAUSE_MS = 1500
LISTEN_ONLY = {
    "type": "session.update",
    "session": {
        "type": "realtime",
        "audio": {
            "input": {
                "transcription": {"model": "gpt-transcribe"},
                "turn_detection": {"type": "server_vad", "create_response": False},
            }
        },
    },
}


@dataclass
class Turn:
    """What the endpoint made of a turn, on the clock of the audio."""

    start_ms: int
    end_ms: int = 0
    text: str | None = None


def recording(path: Path, dbfs: float = -24) -> bytes:
    """A recording as a call carries it, as loud as speech usually is."""
    with av.open(str(path)) as file:
        stream = av.AudioResampler(format="flt", layout="mono")
        frames = [f for frame in file.decode(audio=0) for f in stream.resample(frame)]
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    samples *= 10 ** (dbfs / 20) / np.sqrt(np.mean(samples**2))
    return resample(from_float(samples), frames[0].sample_rate, CALL_RATE)


def austen(dbfs: float = -24) -> list[bytes]:
    folder = Path(__file__).with_name("human")
    return [recording(folder / f"{name}.flac", dbfs) for name in AUSTEN]


def spoken(pieces: Sequence[bytes]) -> tuple[bytes, list[tuple[float, float]]]:
    """Pieces with pauses around them, and where each begins and ends, in ms."""
    call, spans = silence(PAUSE_MS, CALL_RATE), []
    for piece in pieces:
        began = len(call) / byte_length(1, CALL_RATE)
        spans.append((began, began + len(piece) / byte_length(1, CALL_RATE)))
        call += piece + silence(PAUSE_MS, CALL_RATE)
    return call, spans


async def heard(url: str, call: bytes) -> list[Turn]:
    """Stream a call at the endpoint, as fast as it takes it."""
    address = f"{url.replace('http', 'ws', 1)}/realtime?model=x"
    headers = {"Authorization": "Bearer any"}
    async with connect(address, additional_headers=headers) as socket:
        await socket.send(json.dumps(LISTEN_ONLY))
        sending = asyncio.create_task(send(socket, call))
        turns: dict[str, Turn] = {}
        length_ms = len(call) / byte_length(1, CALL_RATE)
        while not sending.done() or not settled(turns, length_ms):
            event = json.loads(await socket.recv())
            assert event["type"] != "error", event
            match event["type"].rpartition(".")[2]:
                case "speech_started":
                    turns[event["item_id"]] = Turn(event["audio_start_ms"])
                case "speech_stopped":
                    turns[event["item_id"]].end_ms = event["audio_end_ms"]
                case "completed":
                    turns[event["item_id"]].text = event["transcript"]
        await sending
    return list(turns.values())


async def send(socket: ClientConnection, call: bytes) -> None:
    chunk = byte_length(100, CALL_RATE)
    for at in range(0, len(call), chunk):
        audio = base64.b64encode(call[at : at + chunk]).decode()
        event = {"type": "input_audio_buffer.append", "audio": audio}
        await socket.send(json.dumps(event))


def settled(turns: dict[str, Turn], length_ms: float) -> bool:
    """Whether the last turn is over, which ends before its recording's silence."""
    *_, last = turns.values() or [Turn(0)]
    ended = last.end_ms > length_ms - 2 * PAUSE_MS
    return ended and all(turn.text is not None for turn in turns.values())


def plain(text: str) -> str:
    text = text.lower().replace("mr.", "mister").replace("-", " ")
    return digits(" ".join(re.sub(r"[^a-z0-9' ]", "", text).split()))


async def test_every_sentence_is_understood_from_its_first_word_to_its_last(
    local_url: str,
) -> None:
    call, spans = spoken(austen())
    turns = await heard(local_url, call)
    said = [
        plain(
            " ".join(
                turn.text or ""
                for turn in turns
                if turn.start_ms < end and turn.end_ms > start
            )
        )
        for start, end in spans
    ]
    wanted = [plain(text) for text in AUSTEN.values()]
    assert jiwer.wer(wanted, said) <= 0.05, said
    for text, words in zip(wanted, said, strict=True):
        assert words.split()[0] == text.split()[0]
        assert words.split()[-1] == text.split()[-1]


async def test_a_long_reading_is_understood(local_url: str) -> None:
    path = require("moonshine_voice.utils", "moonshine-voice").get_assets_path()
    call, _ = spoken([recording(Path(path) / "two_cities.wav")])
    said = plain(" ".join(turn.text or "" for turn in await heard(local_url, call)))
    assert jiwer.wer(DICKENS, said) <= 0.10, said
    assert said.startswith("it was the best of times")
    assert said.endswith("comparison only")


async def test_a_soft_voice_loses_no_turn(local_url: str) -> None:
    call, spans = spoken(austen(dbfs=-45))
    turns = await heard(local_url, call)
    assert len(turns) == len(spans)
    said = [plain(turn.text or "") for turn in turns]
    assert jiwer.wer([plain(text) for text in AUSTEN.values()], said) <= 0.10, said
