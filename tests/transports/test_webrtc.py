from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    VideoStreamTrack,
)
from aiortc.contrib.media import MediaPlayer, MediaRecorder
from starlette.responses import Response

from offhook.audio import dbfs
from offhook.errors import (
    HandshakeRefused,
    InvalidRequest,
    MissingExtra,
    UpstreamError,
)
from offhook.local import serving
from offhook.media.factory import PeerFactory
from offhook.protocol.reconnect import Reconnect
from offhook.settings import LocalSettings
from offhook.testing.conformance import TransportConformance
from offhook.transports.webrtc import OpenAIRealtimeWebRTC
from tests.answerer import Answerer, answering
from tests.caller import Microphone
from tests.relays import ANSWER, Recorder, hold
from tests.transports.conformance import HEARD, UPDATED, Conformance, got, upcoming
from tests.waves import read, written
from tests.words import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from offhook.speech import Engines
    from offhook.transports.base import RealtimeTransportLayer
    from tests.transports.conformance import Make, Scripted, Server

pytestmark = pytest.mark.anyio

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


def transport(url: str | None, **options: Any) -> OpenAIRealtimeWebRTC:
    """Make one without devices."""
    none: dict[str, Any] = {"media_track": None, "audio_sink": None}
    return OpenAIRealtimeWebRTC(url=url, api_key="sk-any", **{**none, **options})


@pytest.fixture
def url(local_url: str) -> str:
    return f"{local_url}/realtime/calls"


class Ear:
    """Hears the answers; what comes is a clock, too."""

    def __init__(self) -> None:
        self.pcm = bytearray()
        self._news = asyncio.Event()

    def __call__(self, pcm: bytes) -> None:
        self.pcm += pcm
        self._news.set()

    async def more(self, ms: int) -> bytes:
        """Wait for the next milliseconds."""
        start = len(self.pcm)
        async with asyncio.timeout(ms / 1000 + 10):
            while len(self.pcm) < start + ms * 48:
                self._news.clear()
                await self._news.wait()
        return bytes(self.pcm[start:])


async def silent(call: Server) -> None:
    """Take the session, and say no more."""
    await call.send(UPDATED)
    await call.wait_closed()


class TestWebRTC(Conformance):
    @pytest.fixture
    def make(self) -> Make:
        return lambda url: transport(url, audio_events=True)

    @pytest.fixture
    def url(self, local_url: str) -> str:
        return f"{local_url}/realtime/calls"

    @pytest.fixture
    def scripted(self) -> Scripted:
        return answering

    async def test_audio_goes_in_and_comes_out(  # type: ignore[override]  # asks for more
        self, url: str, engines: Engines, speak: Callable[[str], Awaitable[bytes]]
    ) -> None:
        """It flows beside the events, at real time."""
        voice, heard, words = Microphone(), bytearray(), list[str]()
        async with transport(url, media_track=voice, audio_events=True) as client:
            played = upcoming(client, "output_audio_buffer.stopped")
            asked, items = upcoming(client, TRANSCRIBED), set[str]()
            client.on("audio", lambda event: heard.extend(event.data))
            client.on("audio", lambda event: items.add(event.item_id))
            client.on("audio_transcript_delta", lambda event: words.append(event.delta))
            await client.connect(initial_session_config=HEARD)
            voice.say(await speak("What is seven times eight?"))
            await got(played)
            assert "seven times eight" in (await got(asked))["transcript"].lower()
            assert "56" in "".join(words)
            assert "56" in plain(await engines.recognise(bytes(heard)))
            assert items == {client.history[-1]["item_id"]}

    async def test_an_answer_is_interrupted(self, url: str) -> None:  # type: ignore[override]  # for less
        """The server knows what was heard, and stops the sound."""
        ear = Ear()
        async with transport(url, audio_sink=ear, audio_events=True) as client:
            sounds, told, cleared, cut, done = (
                upcoming(client, name)
                for name in (
                    "audio",
                    "audio_interrupted",
                    "output_audio_buffer.cleared",
                    "conversation.item.truncated",
                    "turn_done",
                )
            )
            await client.connect()
            client.send_message("Please count from one to twenty.")
            item = (await got(sounds)).item_id
            while dbfs(await ear.more(100)) < -40:
                pass
            client.interrupt()
            assert told.done()
            await got(cleared)
            assert (await got(cut))["item_id"] == item
            assert (await got(done)).status in ("cancelled", "completed")
            await ear.more(200)  # what was on its way
            assert dbfs(await ear.more(400)) < -80

    @pytest.mark.parametrize(("code", "fails"), [(1000, 0)])
    async def test_the_server_closes(
        self, make: Make, scripted: Scripted, code: int, fails: int
    ) -> None:
        await super().test_the_server_closes(make, scripted, code, fails)


class TestAsAnyTransport(TransportConformance):
    steps = 30

    @pytest.fixture
    async def make(
        self, engines: Engines, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[Callable[[], RealtimeTransportLayer]]:
        """The server waits less than 15 seconds for those who have thought better."""
        impatient = partial(PeerFactory, patience=3)
        monkeypatch.setattr("offhook.local.app.PeerFactory", impatient)
        async with serving(LocalSettings.model_validate({"port": 0})) as local_url:
            yield lambda: transport(f"{local_url}/realtime/calls")


async def test_a_file_speaks_and_a_file_records(
    url: str,
    engines: Engines,
    speak: Callable[[str], Awaitable[bytes]],
    tmp_path: Path,
) -> None:
    spoken = written(tmp_path / "caller.wav", await speak("What is two plus two?"))
    track = MediaPlayer(spoken).audio
    recorder = MediaRecorder(str(tmp_path / "answer.wav"))
    assert track
    ended: list[None] = []
    async with transport(url, media_track=track, audio_sink=recorder) as client:
        played = upcoming(client, "output_audio_buffer.stopped")
        await client.connect()
        track.on("ended", lambda: ended.append(None))
        await got(played)
    # It has ended by itself, as files do; and the recorder is ours to end.
    await recorder.stop()
    said = await engines.recognise(read(tmp_path / "answer.wav"))
    assert "four" in said.lower() or "4" in said


async def test_who_is_muted_is_not_heard_and_stays_so(
    url: str, speak: Callable[[str], Awaitable[bytes]]
) -> None:
    voice, ear, begun = Microphone(), Ear(), list[Any]()
    async with transport(url, media_track=voice, audio_sink=ear) as client:
        assert client.muted is False
        client.mute(True)
        client.on("input_audio_buffer.speech_started", begun.append)
        await client.connect(initial_session_config=HEARD)
        voice.say(await speak("What time is it?"))
        while voice.pcm:
            await ear.more(20)
        await ear.more(500)
        assert begun == []
        await client.close()
        assert client.muted is True
        await client.connect()
        client.mute(False)
        asked = upcoming(client, TRANSCRIBED)
        voice.say(await speak("What is seven times eight?"))
        assert "seven times eight" in (await got(asked))["transcript"].lower()
        assert client.muted is False


async def test_overlapping_connects_share_one_call(url: str) -> None:
    async with transport(url) as client:
        told: list[str] = []
        client.on("connection_change", told.append)
        await asyncio.gather(client.connect(), client.connect())
        await client.connect()
        assert told == ["connecting", "connected"]


async def test_the_call_and_its_connection_can_be_seen() -> None:
    async with answering(silent) as url, transport(url) as client:
        assert (client.call_id, client.peer_connection) == (None, None)
        await client.connect()
        first = (client.call_id, client.peer_connection)
        assert first[0] == "rtc_1"
        assert first[1] is not None
        assert first[1].connectionState == "connected"
        await client.close()
        last = (client.call_id, client.peer_connection)
        assert last == ("rtc_1", None)
        await client.connect()
        assert client.call_id == "rtc_2"


async def test_a_server_that_closes_the_channel_only_has_hung_up() -> None:
    async def half(call: Server) -> None:
        assert isinstance(call, Answerer)
        await call.send(UPDATED)
        (await call.opened).close()

    errors: list[Any] = []
    async with answering(half) as url, transport(url) as client:
        client.on("error", errors.append)
        ended = upcoming(client, "disconnected")
        await client.connect()
        await got(ended)
        assert (client.status, client.peer_connection) == ("disconnected", None)
    assert errors == []


async def test_who_was_hung_up_on_does_not_call_again() -> None:
    async def brief(call: Server) -> None:
        await call.send(UPDATED)
        await call.close()

    told: list[Any] = []
    again = Reconnect(attempts=1, seconds=0.01)
    async with answering(brief) as url, transport(url, reconnect=again) as client:
        client.on("reconnecting", told.append)
        client.on("error", told.append)
        ended = upcoming(client, "disconnected")
        await client.connect()
        await got(ended)
        assert (told, client.status) == ([], "disconnected")


async def test_a_session_that_has_expired_can_come_back() -> None:
    async def short(call: Server) -> None:
        await call.send(UPDATED)
        assert isinstance(call, Answerer)
        if client.call_id == "rtc_1":
            await call.send('{"type": "error", "error": {"code": "session_expired"}}')
            (await call.opened).close()
        await call.wait_closed()

    again = Reconnect(attempts=1, seconds=0.01)
    async with answering(short) as url, transport(url, reconnect=again) as client:
        back = upcoming(client, "reconnected")
        await client.connect()
        await got(back)
        assert (client.call_id, client.status) == ("rtc_2", "connected")


async def test_an_event_that_is_too_long_is_told_and_the_call_goes_on() -> None:
    async def echo(call: Server) -> None:
        await call.send(UPDATED)
        async for text in call:
            await call.send(text)

    async with answering(echo) as url, transport(url) as client:
        failed, back = upcoming(client, "error"), upcoming(client, "mine")
        await client.connect()
        client.send_event({"type": "theirs", "image": "x" * 300_000})
        client.send_event({"type": "mine", "text": "x" * 200_000})
        assert (await got(failed)).error.code == "event_too_long"
        assert len((await got(back))["text"]) == 200_000
        assert client.status == "connected"


async def test_the_hook_gets_the_connection_with_track_and_channel() -> None:
    seen: list[RTCPeerConnection] = []

    def look(connection: RTCPeerConnection) -> None:
        assert connection.getSenders()[0].track.kind == "audio"
        assert connection.sctp is not None
        seen.append(connection)

    async with (
        answering(silent) as url,
        transport(url, change_peer_connection=look) as client,
    ):
        await client.connect()
        assert seen == [client.peer_connection]


async def test_the_hook_may_give_another_connection() -> None:
    made: list[RTCPeerConnection] = []

    async def replace(connection: RTCPeerConnection) -> RTCPeerConnection:
        made.extend((connection, RTCPeerConnection(RTCConfiguration([]))))
        return made[-1]

    async with (
        answering(silent) as url,
        transport(url, change_peer_connection=replace) as client,
    ):
        await client.connect()
        old, new = made
        assert client.peer_connection is new
        assert old.connectionState == "closed"
        await client.close()
        assert new.connectionState == "closed"


async def test_ice_servers_may_be_given() -> None:
    servers = ["stun:127.0.0.1:9", RTCIceServer("turn:127.0.0.1:9", "me", "secret")]
    async with answering(silent) as url, transport(url, ice_servers=servers) as client:
        posted = upcoming(client, "session.updated")
        connecting = asyncio.create_task(client.connect())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncio.shield(posted)  # it waits for the dead server
        await client.close()
        with pytest.raises(InvalidRequest, match="before it had connected"):
            await connecting


@pytest.mark.parametrize("track", [VideoStreamTrack(), "caller.wav", object()])
def test_what_is_sent_has_to_be_an_audio_track(track: Any) -> None:
    with pytest.raises(InvalidRequest, match="media_track has to be"):
        transport("", media_track=track)


@pytest.mark.parametrize("sink", ["answer.wav", "", 5, Path("answer.wav")])
def test_who_hears_has_to_be_a_sink(sink: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"MediaRecorder\('answer.wav'\)"):
        transport("", audio_sink=sink)


@pytest.mark.parametrize("server", ["http://x", 5, {"urls": "stun:127.0.0.1"}])
async def test_an_ice_server_that_is_none_is_told(server: Any) -> None:
    async with transport("http://127.0.0.1:1/calls", ice_servers=[server]) as one:
        with pytest.raises(InvalidRequest, match="ice_servers"):
            await one.connect()
        assert one.status == "disconnected"


async def test_a_changed_connection_that_is_none_is_told() -> None:
    def change(connection: RTCPeerConnection) -> Any:
        return connection.getSenders()

    url = "http://127.0.0.1:1/calls"
    async with transport(url, change_peer_connection=change) as one:
        with pytest.raises(InvalidRequest, match="RTCPeerConnection or None, not list"):
            await one.connect()
        assert one.status == "disconnected"


async def test_a_call_is_not_joined_over_webrtc() -> None:
    async with transport("http://127.0.0.1:1/calls") as client:
        with pytest.raises(InvalidRequest, match="OpenAIRealtimeWebSocket"):
            await client.connect(call_id="rtc_1")
        assert client.status == "disconnected"


async def test_openai_is_where_it_goes_by_default() -> None:
    client = transport(None)
    asked: list[str] = []

    def key() -> str:
        asked.append(client.status)
        raise LookupError("no key today")

    with pytest.raises(LookupError):
        await client.connect(api_key=key)
    assert asked == ["connecting"]


async def test_a_refusal_is_told_in_the_servers_words(recorder: Recorder) -> None:
    recorder.fail(400, "No such model for hunter2.")
    async with transport(f"{recorder.url}/realtime/calls") as client:
        with pytest.raises(HandshakeRefused, match="No such model") as caught:
            await client.connect(api_key="hunter2")
        assert caught.value.http_status == 400
        assert "hunter2" not in str(caught.value)
        assert client.status == "disconnected"


async def test_an_answer_that_is_none_is_told(recorder: Recorder) -> None:
    recorder.reply = Response(ANSWER, 201)
    async with transport(f"{recorder.url}/realtime/calls") as client:
        with pytest.raises(UpstreamError, match="does not fit our offer"):
            await client.connect()


async def nobody(call: Server) -> None:
    raise AssertionError("nobody should come")


async def test_a_call_that_never_opens_is_given_up() -> None:
    def unreachable(answer: str) -> str:
        # Checks that do not prove who they come from are not answered.
        return answer.replace("a=ice-pwd:", "a=ice-pwd:x")

    async with (
        answering(nobody, unreachable) as url,
        transport(url, open_timeout=0.5) as client,
    ):
        with pytest.raises(UpstreamError, match="UDP ports may be blocked") as caught:
            await client.connect()
        assert (caught.value.code, caught.value.status) == ("upstream_timeout", 504)
        assert (client.status, client.peer_connection) == ("disconnected", None)


async def test_a_server_that_does_not_answer_is_given_up(recorder: Recorder) -> None:
    recorder.reply = hold
    url = f"{recorder.url}/realtime/calls"
    async with transport(url, open_timeout=0.2) as client:
        with pytest.raises(UpstreamError, match=r"0\.2 seconds, answer the offer"):
            await client.connect()


async def test_an_answer_without_audio_is_told() -> None:
    def quiet(answer: str) -> str:
        return answer.replace("a=sendrecv", "a=inactive")

    async with answering(nobody, quiet) as url, transport(url) as client:
        with pytest.raises(UpstreamError, match="it has no audio"):
            await client.connect()


def belongings() -> tuple[int, set[str], set[asyncio.Task[Any]]]:
    """What a connection may leave behind, but for the loop's own pool of threads."""
    threads = {t.name for t in threading.enumerate()}
    pool = {name for name in threads if name.startswith("asyncio_")}
    return len(os.listdir("/proc/self/fd")), threads - pool, asyncio.all_tasks()


async def given_back(before: tuple[int, set[str], set[asyncio.Task[Any]]]) -> None:
    descriptors, threads, tasks = before
    async with asyncio.timeout(10):
        while True:
            now = belongings()
            if now[0] <= descriptors and now[1] <= threads and now[2] <= tasks:
                return
            await asyncio.sleep(0)


@pytest.mark.parametrize("turns", [1, 2, 4, 8, 16, 32, 64, 128, 256, 512])
@pytest.mark.parametrize("end", ["cancel", "close"])
async def test_whenever_a_connect_is_ended_it_leaves_nothing_behind(
    turns: int, end: str
) -> None:
    before = belongings()
    async with answering(silent) as url:
        client = transport(url, audio_events=True, media_track=Microphone())
        connecting = asyncio.create_task(client.connect())
        for _ in range(turns):
            await asyncio.sleep(0)
        if end == "cancel":
            connecting.cancel()
            await asyncio.wait([connecting])
        else:
            await client.close()
        assert client.status == "disconnected"
        with contextlib.suppress(asyncio.CancelledError, InvalidRequest):
            await connecting
        await client.connect()
        await client.close()
    await given_back(before)


def resident() -> int:
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def test_fifty_calls_leave_nothing_behind(url: str) -> None:
    """And no memory: after the first thirty, which warm up both sides."""

    async def cycles(count: int) -> int:
        for _ in range(count):
            await client.connect()
            await client.close()
        gc.collect()
        return resident()

    client = transport(url, audio_events=True, media_track=Microphone())
    warm, before = await cycles(30), belongings()
    assert await cycles(50) - warm < 4 * 2**20
    await given_back(before)


LEAVING = """\
import asyncio, sys
from offhook import OpenAIRealtimeWebRTC

async def main():
    options = {"media_track": None, "audio_sink": lambda pcm: None}
    client = OpenAIRealtimeWebRTC(url=sys.argv[1], api_key="sk-any", **options)
    await client.connect()
    raise ValueError("the program's own")

asyncio.run(main())
"""


async def test_a_program_that_leaves_without_a_close_ends(url: str) -> None:
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", LEAVING, url],
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert ended.stderr.endswith("ValueError: the program's own\n")
    assert "pending" not in ended.stderr


def test_without_the_extra_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['aiortc'] = None; import offhook\n"
        "try: offhook.OpenAIRealtimeWebRTC\n"
        "except offhook.MissingExtra as error: print(error)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip().endswith("pip install 'offhook[media]'")


async def test_without_a_device_it_says_so(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    for strict in ({"media_track": "microphone"}, {"audio_sink": "speakers"}):
        options: dict[str, Any] = {"url": url, "api_key": "any", **strict}
        async with OpenAIRealtimeWebRTC(**options) as client:
            with pytest.raises(MissingExtra, match="devices"):
                await client.connect()
            assert client.status == "disconnected"


async def test_without_any_device_a_call_goes_on_in_silence(
    monkeypatch: pytest.MonkeyPatch, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    async with OpenAIRealtimeWebRTC(url=url, api_key="any") as client:
        await client.connect()
        assert client.status == "connected"
    assert caplog.text.count("goes on without a device") == 2
    assert "offhook[devices]" in caplog.text
