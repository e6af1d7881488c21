from __future__ import annotations

import asyncio
import fractions
from typing import TYPE_CHECKING

import numpy as np
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
)
from aiortc.contrib.media import MediaPlayer, MediaRecorder
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, AudioResampler, VideoFrame

from offhook.audio import dbfs
from offhook.media.tracks import PulledTrack, pcm_of
from tests.caller import Microphone

if TYPE_CHECKING:
    from pathlib import Path

    from av.frame import Frame
    from numpy.typing import NDArray

pytestmark = pytest.mark.anyio

FRAME = 960


def tone(hertz: int, seconds: float, rate: int = 24000) -> bytes:
    time = np.arange(int(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * hertz * time)).astype("<i2").tobytes()


def loudest_hertz(pcm: bytes, rate: int) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax()) * rate / len(samples)


class Source:
    """Gives what it has, and counts how often it was asked."""

    def __init__(self, pcm: bytes = b"") -> None:
        self.pcm = pcm
        self.asked: list[int] = []

    def pull(self, ms: int) -> bytes:
        self.asked.append(ms)
        taken, self.pcm = self.pcm[: ms * 48], self.pcm[ms * 48 :]
        return taken


async def frames(track: PulledTrack, count: int) -> list[AudioFrame]:
    return [await track.recv() for _ in range(count)]


def samples_of(received: list[AudioFrame]) -> NDArray[np.int16]:
    return np.concatenate([frame.to_ndarray()[0] for frame in received])


async def test_frames_follow_each_other_without_a_gap() -> None:
    received = await frames(PulledTrack(Source().pull), 5)
    assert [frame.pts for frame in received] == [0, 960, 1920, 2880, 3840]
    assert {frame.samples for frame in received} == {FRAME}
    assert {frame.time_base for frame in received} == {fractions.Fraction(1, 48000)}
    assert {frame.sample_rate for frame in received} == {48000}
    assert {(f.format.name, f.layout.name) for f in received} == {("s16", "mono")}


async def test_a_frame_comes_every_20_ms_and_asks_for_20_ms() -> None:
    source = Source()
    track = PulledTrack(source.pull)
    loop = asyncio.get_running_loop()
    await track.recv()
    began = loop.time()
    await frames(track, 10)
    assert 0.19 < loop.time() - began < 0.5
    assert source.asked == [20] * 11


async def test_where_nothing_comes_there_is_silence() -> None:
    received = await frames(PulledTrack(Source(tone(440, 0.01)).pull), 5)
    assert samples_of(received[:3]).any()
    assert not samples_of(received[3:]).any()


async def test_a_tone_is_sent_whole_and_without_clicks() -> None:
    """The resampler gives blocks of its own size, which are not frames."""
    track = PulledTrack(Source(tone(440, 1.2)).pull)
    sent = samples_of(await frames(track, 60)).astype(float)
    start = int(np.argmax(np.abs(sent) > 100))
    assert start < 0.03 * 48000
    steady = sent[start + 480 : start + 480 + 48000]
    # A sine never steps further than this from one sample to the next.
    assert np.abs(np.diff(steady)).max() < 8000 * 2 * np.pi * 440 / 48000 * 1.1
    assert loudest_hertz(steady.astype("<i2").tobytes(), 48000) == 440


async def test_a_loop_that_was_held_up_does_not_send_everything_at_once() -> None:
    source = Source()
    track = PulledTrack(source.pull)
    await frames(track, 2)
    loop = asyncio.get_running_loop()
    held_up = loop.time() + 0.5
    while loop.time() < held_up:
        pass
    began = loop.time()
    await frames(track, 5)
    assert loop.time() - began > 0.07


async def test_a_stopped_track_has_no_next_frame() -> None:
    track = PulledTrack(Source().pull)
    await track.recv()
    track.stop()
    with pytest.raises(MediaStreamError):
        await track.recv()


class Tape(MediaStreamTrack):
    """A remote track that plays these frames, and ends."""

    kind = "audio"

    def __init__(self, *given: Frame) -> None:
        super().__init__()
        self._frames = list(given)

    async def recv(self) -> Frame:
        if not self._frames:
            raise MediaStreamError
        return self._frames.pop(0)


def recorded(pcm: bytes, rate: int, layout: str) -> AudioFrame:
    samples = np.frombuffer(pcm, "<i2").reshape(1, -1)
    frame = AudioFrame.from_ndarray(samples, format="s16", layout=layout)
    frame.sample_rate = rate
    return frame


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
async def test_whatever_the_codec_speech_keeps_its_pitch_and_its_length(
    rate: int, layout: str
) -> None:
    channels = 2 if layout == "stereo" else 1
    mono = np.frombuffer(tone(440, 1, rate), "<i2")
    tape = Tape(
        *(
            recorded(np.repeat(part, channels).tobytes(), rate, layout)
            for part in mono.reshape(50, -1)
        )
    )
    pcm = b"".join([chunk async for chunk in pcm_of(tape)])
    assert len(pcm) == pytest.approx(48000, abs=48 * 50)
    assert loudest_hertz(pcm[4800:-4800], 24000) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("form", ["s16p", "flt", "fltp", "s32", "dbl"])
async def test_whatever_the_samples_both_sides_are_heard(form: str) -> None:
    left, right = (np.frombuffer(tone(hertz, 1, 48000), "<i2") for hertz in (440, 880))
    both = np.stack([left, right], axis=1).reshape(1, -1)
    frame = AudioFrame.from_ndarray(both, format="s16", layout="stereo")
    frame.sample_rate = 48000
    [converted] = AudioResampler(format=form, layout="stereo").resample(frame)
    pcm = b"".join([chunk async for chunk in pcm_of(Tape(converted))])
    spectrum = np.abs(np.fft.rfft(np.frombuffer(pcm, "<i2").astype(float)))
    scale = len(pcm) / 2 / 24000
    loudest = {round(float(at / scale)) for at in spectrum.argsort()[-2:]}
    assert loudest == {440, 880}
    assert np.abs(np.frombuffer(pcm, "<i2")).max() == pytest.approx(7000, rel=0.1)


async def test_a_player_that_does_not_decode_is_decoded(tmp_path: Path) -> None:
    recorder = MediaRecorder(str(tmp_path / "tone.ogg"))
    recorder.addTrack(Tape(*(recorded(tone(440, 0.02, 48000), 48000, "mono"),) * 50))
    await recorder.start()
    for _ in range(200):
        await asyncio.sleep(0)
    await recorder.stop()
    track = MediaPlayer(str(tmp_path / "tone.ogg"), decode=False).audio
    assert track
    async with asyncio.timeout(10):
        pcm = b"".join([chunk async for chunk in pcm_of(track)])
    assert len(pcm) == pytest.approx(48000, rel=0.1)
    assert dbfs(pcm) > -30


async def test_reading_ends_with_the_track() -> None:
    assert [chunk async for chunk in pcm_of(Tape())] == []


async def test_what_is_not_audio_is_passed_over() -> None:
    tape = Tape(VideoFrame(16, 16), recorded(tone(440, 1, 48000), 48000, "mono"))
    assert len([chunk async for chunk in pcm_of(tape)]) == 1


@pytest.mark.parametrize("codec", ["audio/opus", "audio/PCMU", "audio/G722"])
async def test_a_tone_crosses_a_real_connection(codec: str) -> None:
    near, far = (RTCPeerConnection(RTCConfiguration([])) for _ in range(2))
    arrived: asyncio.Future[MediaStreamTrack] = asyncio.Future()
    far.on("track", arrived.set_result)
    source = Source(tone(440, 1.5))
    near.addTrack(PulledTrack(source.pull))
    capabilities = RTCRtpSender.getCapabilities("audio").codecs
    chosen = [c for c in capabilities if c.mimeType == codec]
    near.getTransceivers()[0].setCodecPreferences(chosen)
    far.addTrack(Microphone())
    try:
        await near.setLocalDescription(await near.createOffer())
        await far.setRemoteDescription(near.localDescription)
        await far.setLocalDescription(await far.createAnswer())
        await near.setRemoteDescription(far.localDescription)
        async with asyncio.timeout(10):
            heard = await _until_quiet(await arrived)
    finally:
        await near.close()
        await far.close()
    # The connection begins a little later than the tone does.
    assert 1.2 < len(heard) / 48000 < 1.65
    assert loudest_hertz(heard, 24000) == pytest.approx(440, abs=2)


async def _until_quiet(track: MediaStreamTrack) -> bytes:
    heard = b""
    async for chunk in pcm_of(track):
        if not chunk or np.abs(np.frombuffer(chunk, "<i2")).max() > 300:
            heard += chunk
        elif len(heard) > 24000:
            break
    return heard


async def test_a_muted_track_asks_on_and_gives_nothing() -> None:
    source = Source()
    track = PulledTrack(source.pull)
    await frames(track, 1)
    track.mute()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.15):
            await track.recv()
    assert len(source.asked) > 5
    waiting = asyncio.create_task(track.recv())
    track.stop()
    with pytest.raises(MediaStreamError):
        await waiting
