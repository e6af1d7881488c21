from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from aiortc import AudioStreamTrack, MediaStreamTrack, VideoStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, AudioStream

from offhook.audio import resample
from offhook.errors import SettingsError
from offhook.media.sounds import LiveSource, Sound
from tests.media.opus import decoded, loudness, tone

if TYPE_CHECKING:
    from pathlib import Path

    from offhook.media.sounds import Source

pytestmark = pytest.mark.anyio


def written(path: Path, pcm: bytes, rate: int, layout: str) -> Path:
    """An audio file of PCM, in the format that its name says."""
    with av.open(str(path), "w") as container:
        codec = {".wav": "pcm_s16le", ".ogg": "libopus", ".mp3": "libmp3lame"}
        stream = container.add_stream(codec[path.suffix], rate=rate)
        assert isinstance(stream, AudioStream)
        stream.layout = layout
        samples = np.frombuffer(pcm, "<i2").reshape(1, -1)
        if layout == "stereo":
            samples = np.repeat(samples, 2, axis=1)
        frame = AudioFrame.from_ndarray(samples, format="s16", layout=layout)
        frame.sample_rate = rate
        for part in av.AudioResampler(frame_size=960).resample(frame):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "rate", "layout"),
    [
        ("hold.wav", 44100, "stereo"),
        ("hold.wav", 8000, "mono"),
        ("hold.ogg", 48000, "stereo"),
    ],
)
async def test_a_file_is_read_and_encoded(
    tmp_path: Path, name: str, rate: int, layout: str
) -> None:
    pcm = resample(tone(440, 1), 24000, rate)
    sound = await Sound.load(written(tmp_path / name, pcm, rate, layout))
    assert len(sound.pcm) == pytest.approx(24000, abs=1000)
    assert loudness(sound.pcm[2400:21600], 440) == pytest.approx(0.25, rel=0.05)
    heard = decoded(sound.packets)
    assert len(heard) == pytest.approx(len(sound.pcm), abs=480)
    assert loudness(heard[2400:21600], 440) == pytest.approx(0.25, rel=0.05)


async def test_pcm_of_any_rate_is_taken() -> None:
    sound = await Sound.of_pcm(resample(tone(440, 0.5), 24000, 16000), 16000)
    assert len(sound.pcm) == pytest.approx(12000, abs=5)


def test_a_sound_has_another_level() -> None:
    quiet = Sound(tone(440, 0.5)).at(-6)
    assert loudness(quiet.pcm, 440) == pytest.approx(0.125, rel=0.05)
    assert loudness(decoded(quiet.packets)[2400:9600], 440) == pytest.approx(
        0.125, rel=0.1
    )
    loud = Sound(tone(440, 0.5)).at(20)
    assert loud.pcm.max() == 32767


async def test_what_cannot_be_read_is_the_operators_fault(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    for path in (tmp_path / "text.wav", tmp_path / "none.wav"):
        with pytest.raises(SettingsError, match=path.name):
            await Sound.load(path)
    with pytest.raises(SettingsError, match="without a sample"):
        await Sound.of_pcm(b"")


def taken(source: Source) -> list[int]:
    """The next 20 ms."""
    samples = source.take(480)
    assert samples is not None
    return [int(sample) for sample in samples]


async def test_samples_end_with_the_sound_or_begin_again() -> None:
    sound = Sound(np.arange(700, dtype="<i2").tobytes())
    once, again = sound.samples(), sound.samples(loop=True)
    parts = [once.take(480) for _ in range(3)]
    assert [None if part is None else len(part) for part in parts] == [480, 220, None]
    looped = np.concatenate(
        [part for _ in range(5) if (part := again.take(480)) is not None]
    )
    assert list(looped) == [n % 700 for n in range(2400)]


async def test_a_sound_shorter_than_a_frame_can_go_on_and_on() -> None:
    sound = Sound(np.arange(7, dtype="<i2").tobytes())
    assert taken(sound.samples(loop=True)) == [n % 7 for n in range(480)]


async def test_packets_end_with_the_sound_or_begin_again() -> None:
    sound = Sound(tone(440, 0.05))
    assert len(list(sound.payloads())) == 3
    again = sound.payloads(loop=True)
    assert [next(again) for _ in range(7)] == [*sound.packets * 2, sound.packets[0]]


class Tape(MediaStreamTrack):
    """Gives frames as fast as they are read, and then ends, or fails."""

    kind = "audio"

    def __init__(self, *frames: AudioFrame, error: Exception | None = None) -> None:
        super().__init__()
        self.frames = list(frames)
        self.error = error or MediaStreamError()

    async def recv(self) -> AudioFrame:
        if not self.frames:
            raise self.error
        return self.frames.pop(0)


def frame(pcm: bytes, rate: int, layout: str = "mono") -> AudioFrame:
    samples = np.frombuffer(pcm, "<i2").reshape(1, -1)
    made = AudioFrame.from_ndarray(samples, format="s16", layout=layout)
    made.sample_rate, made.pts = rate, 12345
    made.time_base = Fraction(1, rate)
    return made


async def everything(source: LiveSource) -> bytes:
    pcm = b""
    async with asyncio.timeout(5):
        while (part := source.take(480)) is not None:
            pcm += part.tobytes()
            await asyncio.sleep(0)
    return pcm


async def test_a_track_is_heard_to_its_end_whatever_its_format() -> None:
    loud = resample(tone(440, 0.5), 24000, 48000)
    stereo = np.repeat(np.frombuffer(tone(440, 0.5), "<i2"), 2).astype("<i2").tobytes()
    tape = Tape(
        *(
            frame(stereo[at : at + 1920], 24000, "stereo")
            for at in range(0, 48000, 1920)
        ),
        *(frame(loud[at : at + 1920], 48000) for at in range(0, 48000, 1920)),
    )
    source = LiveSource(lambda: tape)
    running = asyncio.create_task(source.run())
    pcm = np.frombuffer(await everything(source), "<i2")
    await running
    assert len(pcm) == pytest.approx(24000, abs=100)
    assert loudness(pcm[:12000], 440) == pytest.approx(0.25, rel=0.05)
    assert loudness(pcm[12000:], 440) == pytest.approx(0.25, rel=0.05)
    assert tape.readyState == "ended"


async def test_a_track_is_read_no_faster_than_it_is_heard() -> None:
    tape = Tape(*(frame(bytes(960), 24000) for _ in range(100)))
    source = LiveSource(lambda: tape)
    running = asyncio.create_task(source.run())
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(tape.frames) > 85
    running.cancel()
    await asyncio.wait([running])
    assert tape.readyState == "ended"


async def test_a_track_that_ran_dry_gets_its_cushion_again() -> None:
    """Else each of its frames would have a hole in it."""
    frames: asyncio.Queue[AudioFrame] = asyncio.Queue()
    tape = Tape()
    tape.recv = frames.get  # type: ignore[method-assign]  # waits for what comes
    source = LiveSource(lambda: tape)
    running = asyncio.create_task(source.run())

    async def lengths(arriving: int, taking: int) -> list[int]:
        for _ in range(arriving):
            frames.put_nowait(frame(bytes(960), 24000))
        for _ in range(10):
            await asyncio.sleep(0)
        return [len(taken(source)) for _ in range(taking)]

    assert await lengths(1, 1) == [0]
    assert await lengths(1, 3) == [480, 480, 0]
    assert await lengths(1, 1) == [0]
    assert await lengths(1, 2) == [480, 480]
    running.cancel()
    await asyncio.wait([running])


async def test_what_is_late_is_left_out_and_not_the_end() -> None:
    source = LiveSource(AudioStreamTrack)
    assert taken(source) == []


@pytest.mark.parametrize("error", [ValueError("broken"), MediaStreamError()])
async def test_a_track_that_fails_is_over(error: Exception) -> None:
    source = LiveSource(lambda: Tape(error=error))
    await source.run()
    assert source.take(480) is None


async def test_a_track_that_cannot_be_made_is_over() -> None:
    def fail() -> MediaStreamTrack:
        raise OSError("no such device")

    source = LiveSource(fail)
    await source.run()
    assert source.take(480) is None


async def test_pictures_are_passed_over() -> None:
    tape: MediaStreamTrack = VideoStreamTrack()
    source = LiveSource(lambda: tape)
    running = asyncio.create_task(source.run())
    await asyncio.sleep(0)
    tape.stop()
    await running
    assert source.take(480) is None
