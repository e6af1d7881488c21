from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from offhook.errors import MissingExtra, SettingsError
from offhook.media.devices import microphone, speakers
from offhook.media.tracks import pcm_of
from tests.media.test_tracks import tone

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

BLOCK = 960  # bytes of 20 ms at 24 kHz


class PortAudio:
    """What of sounddevice is used, in place of a machine's devices."""

    class PortAudioError(Exception):
        pass

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.failure: Exception | None = None

    def _opened(self, **options: Any) -> Stream:
        if self.failure:
            raise self.failure
        self.streams.append(Stream(**options))
        return self.streams[-1]

    RawInputStream = RawOutputStream = _opened


class Stream:
    def __init__(self, *, callback: Callable[..., None], **options: Any) -> None:
        self.options = options
        self.callback = callback
        self.states: list[str] = []

    def start(self) -> None:
        self.states.append("started")

    def close(self) -> None:
        self.states.append("closed")

    def capture(self, *blocks: bytes) -> None:
        """Bring blocks in a thread of its own, as PortAudio does."""

        def run() -> None:
            for block in blocks:
                self.callback(memoryview(block), len(block) // 2, None, None)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    def play(self) -> bytes:
        block = bytearray(b"?" * BLOCK)
        self.callback(memoryview(block), BLOCK // 2, None, None)
        return bytes(block)


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> PortAudio:
    made = PortAudio()
    monkeypatch.setitem(sys.modules, "sounddevice", made)
    return made


async def test_the_microphone_is_heard_from_the_first_frame_on(
    devices: PortAudio,
) -> None:
    said = tone(440, 0.1)
    async with microphone() as track:
        [stream] = devices.streams
        assert stream.options == {
            "samplerate": 24000,
            "channels": 1,
            "dtype": "int16",
            "blocksize": 480,
        }
        assert stream.states == []
        first = asyncio.create_task(track.recv())
        await asyncio.sleep(0)
        assert stream.states == ["started"]
        blocks = [said[at : at + BLOCK] for at in range(0, len(said), BLOCK)]
        stream.capture(*blocks)
        frames = [await first, *[await track.recv() for _ in blocks[1:]]]
        assert all(isinstance(frame, AudioFrame) for frame in frames)
        stream.capture(said[:BLOCK])
        assert await anext(pcm_of(track)) == said[:BLOCK]
        waiting = asyncio.create_task(track.recv())
        await asyncio.sleep(0)
        track.stop()
        stream.capture(said[:BLOCK])
        await waiting
        with pytest.raises(MediaStreamError):
            await track.recv()
    assert stream.states == ["started", "closed"]


async def test_of_what_nobody_sends_the_last_200_ms_are_kept(
    devices: PortAudio,
) -> None:
    async with microphone() as track:
        devices.streams[0].capture(*(bytes([n]) * BLOCK for n in range(15)))
        await asyncio.sleep(0)
        pcm = pcm_of(track)
        assert [(await anext(pcm))[0] for _ in range(10)] == [*range(5, 15)]


async def test_the_speakers_play_what_they_get_and_silence_between(
    devices: PortAudio,
) -> None:
    said = bytes(range(1, 241)) * 12
    async with speakers() as play:
        [stream] = devices.streams
        assert stream.states == ["started"]
        assert stream.play() == bytes(BLOCK)
        play(said[:1000])
        assert stream.play() == bytes(BLOCK)  # not yet enough
        play(said[1000:])
        assert b"".join(stream.play() for _ in range(3)) == said
        assert stream.play() == bytes(BLOCK)
        play(said)
        assert stream.play() == said[:BLOCK]
    assert stream.states == ["started", "closed"]


async def test_speakers_that_are_late_miss_the_oldest(devices: PortAudio) -> None:
    async with speakers() as play:
        for number in range(30):
            play(bytes([number]) * BLOCK)
        played = [devices.streams[0].play()[0] for _ in range(21)]
        assert played == [*range(10, 30), 0]


@pytest.mark.parametrize(
    ("open_device", "message"),
    [
        (microphone, r"is no microphone .* \(Error .* -1\): pass media_track=.*--in"),
        (speakers, r"are no speakers .* \(Error .* -1\): pass audio_sink=.*--out"),
    ],
)
async def test_a_device_that_is_not_there_is_told(
    devices: PortAudio, open_device: Callable[[], Any], message: str
) -> None:
    devices.failure = PortAudio.PortAudioError("Error querying device -1")
    with pytest.raises(SettingsError, match=message) as caught:
        async with open_device():
            pass
    assert caught.value.code == "missing_device"


async def test_without_sounddevice_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtra, match=r"offhook\[devices\]"):
        async with microphone():
            pass


async def test_without_portaudio_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> Any:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr("offhook.media.devices.import_module", missing)
    with pytest.raises(SettingsError, match="apt install libportaudio2"):
        async with speakers():
            pass
