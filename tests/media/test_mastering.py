from __future__ import annotations

import asyncio
import json
import stat
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import av
import httpx
import numpy as np
import pytest

from offhook.audio import dbfs
from offhook.errors import InvalidRequest, ServerError
from offhook.media.disk import Disk
from offhook.media.mastering import main, master, run
from offhook.media.recorder import Recorder
from offhook.media.spool import TRACKS, About, lock
from offhook.protocol.entries import Entry
from offhook.relay.app import create_app
from offhook.settings import Settings
from tests.caller import Caller, calling
from tests.media.clicks import say
from tests.media.test_recovery import left
from tests.media.test_spool import spooled
from tests.relays import Relay, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from offhook.relay.bridged import BridgedCall

    Speak = Callable[[str], Awaitable[bytes]]

pytestmark = pytest.mark.anyio


def pcm(path: Path) -> NDArray[np.int16]:
    """A file, as a player plays it: a row for each channel, at 48 kHz."""
    with av.open(path, "r") as file:
        resampler = av.AudioResampler(format="s16p", rate=48000)
        frames = [
            f for frame in file.decode(audio=0) for f in resampler.resample(frame)
        ]
    return np.concatenate([frame.to_ndarray() for frame in frames], axis=1)


def sounds(side: NDArray[np.int16]) -> list[tuple[float, float]]:
    """From when to when there is speech with pauses of less than half a second."""
    size = 480
    loud = [
        at / 48000
        for at in range(0, len(side), size)
        if dbfs(side[at : at + size].astype("<i2").tobytes()) > -45
    ]
    found: list[tuple[float, float]] = []
    for at in loud:
        if found and at - found[-1][1] < 0.5:
            found[-1] = (found[-1][0], at + 0.01)
        else:
            found.append((at, at + 0.01))
    return [(begin, end) for begin, end in found if end - begin > 0.1]


async def test_everything_is_made_of_a_recording(tmp_path: Path) -> None:
    folder, told = tmp_path / "rec_1", list[float]()
    caller, model = say(12), say(12, click_s=0.743, live=False)
    spooled(folder, 12, caller, model)
    about = About.read(folder)
    about.formats = ["wav", "flac"]
    about.write(folder)
    seconds, files = await master(folder, told.append)
    assert seconds == pytest.approx(12, abs=0.01)
    assert {path.name for path in files} == {path.name for path in folder.iterdir()}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 5
    heard = {form: pcm(folder / f"call.{form}") for form in ("wav", "flac", "opus")}
    assert np.array_equal(heard["wav"], heard["flac"])
    tracks = [pcm(folder / name)[0] for name in TRACKS]
    for form, (left_side, right_side) in heard.items():
        for side, track, clicks in (
            (left_side, tracks[0], caller.clicks),
            (right_side, tracks[1], model.clicks),
        ):
            assert abs(len(side) - len(track)) < 960, form
            for click in clicks[1:-1]:
                around = slice(round(48000 * click) - 960, round(48000 * click) + 960)
                peaks = [
                    int(np.argmax(abs(s[around].astype(int)))) for s in (side, track)
                ]
                assert abs(peaks[0] - peaks[1]) < 48, form
    drawn = json.loads((folder / "peaks.json").read_text())
    assert drawn["per_second"] == 50
    for side, said in (("caller", caller), ("model", model)):
        assert len(drawn[side]) == pytest.approx(600, abs=2)
        loud = [n for n, peak in enumerate(drawn[side]) if peak > 0.3]
        assert {round(click * 50) // 50 for click in said.clicks} == {
            n // 50 for n in loud
        }


async def test_what_a_dead_process_left_is_mended_first(tmp_path: Path) -> None:
    folder = tmp_path / "rec_1"
    left(folder, 6)
    (folder / "call.opus.part").write_bytes(b"of another try")
    seconds, files = await master(folder)
    assert seconds == pytest.approx(5.6, abs=0.3)
    assert About.read(folder).state == "recovered"
    assert {path.name for path in files} == {path.name for path in folder.iterdir()}


async def test_mastering_again_gives_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "rec_1"
    spooled(folder, 3, say(3), say(3))
    _, files = await master(folder)
    first = {path.name: path.read_bytes() for path in files}
    assert (await master(folder))[1] == files
    assert first.keys() == {path.name for path in folder.iterdir()}
    same = first.keys() - {"call.opus"}  # whose stream has another number
    assert {name: first[name] for name in same} == {
        name: (folder / name).read_bytes() for name in same
    }


async def test_what_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="has no recording in it"):
        await master(tmp_path)
    spooled(tmp_path / "rec_1", 3, say(3), say(3))
    (tmp_path / "rec_1" / "model.opus").unlink()
    with pytest.raises(ServerError, match="No such file"):
        await master(tmp_path / "rec_1")


async def test_one_that_is_being_made_is_not_over(tmp_path: Path) -> None:
    async with Disk() as disk, Recorder(tmp_path / "rec_1", disk):
        with pytest.raises(InvalidRequest, match="wait for its end"):
            run(tmp_path / "rec_1", lambda done: None)


async def test_one_that_another_process_makes_is_left_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "rec_1"
    spooled(folder, 3, say(3), say(3))
    part = folder / "call.opus.part"
    part.write_bytes(b"of the other one")
    with (folder / "caller.opus").open("rb") as file:
        assert lock(file.fileno())
        with pytest.raises(ServerError, match="being made already"):
            await master(folder)
        assert part.exists()
    assert await master(folder)
    assert not part.exists()


async def test_cancelled_it_ends_at_once_and_leaves_what_was_recorded(
    tmp_path: Path,
) -> None:
    folder, begun = tmp_path / "rec_1", asyncio.Event()
    spooled(folder, 60, say(60), say(60))
    before = {path.name for path in folder.iterdir()}
    task = asyncio.create_task(master(folder, lambda done: begun.set()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert {path.name for path in folder.iterdir()} == before


def test_the_process_tells_what_it_has_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "rec_1"
    spooled(folder, 3, say(3), say(3))
    assert main([str(folder)]) == 0
    *progress, made = capsys.readouterr().out.splitlines()
    assert progress[-1] == "1.00"
    assert "call.opus" in json.loads(made)["files"]
    assert main([str(tmp_path)]) == 1
    assert "no recording" in capsys.readouterr().err


class Conversation:
    """A call that is recorded, and when the caller spoke.

    Attributes:
        folder: Of the recording.
        spoke: From when to when it said something, by the recording's clock.
    """

    def __init__(self, folder: Path, disk: Disk) -> None:
        self.folder = folder
        self.spoke: list[tuple[float, float]] = []
        self._recorder = Recorder(folder, disk)
        self._began = 0.0
        self._ready, self._over = asyncio.Event(), asyncio.Event()
        self._closed = asyncio.Event()

    async def record(self, call: BridgedCall) -> None:
        assert call.caller
        self._began = time.monotonic()
        async with self._recorder as recorder:
            recorder.attach(call.caller)
            self._ready.set()
            await self._over.wait()
        self._closed.set()

    async def end(self) -> None:
        self._over.set()
        await self._closed.wait()

    async def hear(self, caller: Caller) -> None:
        """Note the events from now on."""
        caller.channel.on("message", self._note)
        await self._ready.wait()

    def say(self, caller: Caller, speech: bytes) -> None:
        samples = abs(np.frombuffer(speech, "<i2").astype(int))
        loud = np.flatnonzero(samples > 32768 * 10 ** (-45 / 20))
        now = time.monotonic() - self._began
        self.spoke.append((now + loud[0] / 24000, now + loud[-1] / 24000))
        caller.microphone.say(speech)

    def _note(self, text: str) -> None:
        self._recorder.note("model", json.loads(text))


@asynccontextmanager
async def conversing(
    local_url: str, folder: Path
) -> AsyncIterator[tuple[Conversation, Caller]]:
    async with Disk() as disk:
        conversation = Conversation(folder, disk)
        app = create_app(
            Settings.load(upstream=local_url),
            agents={"support": {"instructions": "Be brief.", "media": "bridged"}},
            on_bridged=conversation.record,
        )
        async with (
            serving(app) as url,
            httpx.AsyncClient(base_url=url, trust_env=False) as client,
        ):
            key = await Relay(url, client).grant()
            async with calling(f"{url}/v1", key=key) as caller:
                await conversation.hear(caller)
                yield conversation, caller
                await conversation.end()


async def test_a_transcript_says_when_one_hears_what_was_said(
    tmp_path: Path, local_url: str, speak: Speak
) -> None:
    folder = tmp_path / "rec_1"
    async with conversing(local_url, folder) as (conversation, caller):
        conversation.say(caller, await speak("What is seven times eight?"))
        await caller.until("output_audio_buffer.stopped")
        conversation.say(caller, await speak("Please count from one to twenty."))
        await caller.until("output_audio_buffer.started")
        conversation.say(caller, bytes(48000) + await speak("Stop it. That is enough."))
        await caller.until("output_audio_buffer.cleared")
        await caller.until("conversation.item.input_audio_transcription.completed")
    await master(folder)
    timeline = json.loads((folder / "timeline.json").read_text())
    entries = [Entry.from_json(entry) for entry in timeline["entries"]]
    turns = [entry for entry in entries if entry.kind == "turn"]
    assert [turn.who for turn in turns][:5] == ["caller", "model"] * 2 + ["caller"]
    # Where one hears it in the tracks.
    left_side, right_side = pcm(folder / "call.opus")
    heard: dict[str, Any] = {"caller": sounds(left_side), "model": sounds(right_side)}
    for turn in turns[:5]:
        begin, end = heard[turn.who].pop(0)
        assert turn.begins_ms / 1000 == pytest.approx(begin, abs=0.1)
        assert turn.ends_ms / 1000 == pytest.approx(end, abs=0.1)
    # When it was said.
    said = [turn for turn in turns if turn.who == "caller"]
    for turn, (begin, end) in zip(said, conversation.spoke, strict=True):
        assert turn.begins_ms / 1000 == pytest.approx(begin, abs=0.1)
        assert turn.ends_ms / 1000 == pytest.approx(end, abs=0.1)
    assert "56" in turns[1].text
    # What was not heard is not in it.
    assert "twenty" not in turns[3].text.lower()
    assert any(entry.kind == "interruption" for entry in entries)
    text = (folder / "transcript.txt").read_text()
    assert text.count("Caller:") == 3
    cues = (folder / "transcript.vtt").read_text().split("\n\n")
    assert cues[0] == "WEBVTT"
    assert cues[1].splitlines()[1].startswith("<v Caller>")
