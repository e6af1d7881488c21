from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import httpx
import pytest
from agents import function_tool
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.exceptions import InvalidStatus

from offhook.agent import RealtimeAgent, RealtimeSession
from offhook.errors import SettingsError
from offhook.relay import phone as phone_routes
from offhook.relay.app import create_app
from offhook.relay.phone import PhoneCall, twilio_routes
from offhook.relay.signature import signature
from offhook.settings import Settings
from offhook.transports.twilio import TwilioRealtimeTransportLayer
from tests.phone import Phone, listening, to_ulaw
from tests.relays import error_of, serving
from tests.transports.conformance import got, scripted, upcoming
from tests.witness import Witness
from tests.words import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from websockets.asyncio.server import ServerConnection

    from offhook.speech import Engines

pytestmark = pytest.mark.anyio

AUTH = "canary-0123456789abcdef"
CALLER = "+15550100"
HOST = "voice.example.com"
FORM = {"CallSid": "CA1", "From": CALLER, "To": "+15550101", "Digits": ""}


@dataclass
class Office:
    """Where the telephone rings, seen from Twilio."""

    url: str
    prefix: str = ""

    async def ring(
        self, form: dict[str, str] = FORM, /, **headers: str
    ) -> httpx.Response:
        """Ask what to do with a call."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            path = f"{self.prefix}/twilio/voice"
            return await client.post(path, data=form, headers=headers)

    async def signed_ring(self) -> httpx.Response:
        url = f"https://{HOST}{self.prefix}/twilio/voice"
        signed = {"X-Twilio-Signature": signature(AUTH, url, FORM.items())}
        return await self.ring(Host=HOST, **signed)

    @asynccontextmanager
    async def stream(self, url: str, **headers: str) -> AsyncIterator[Phone]:
        """Open the stream that TwiML named, as if its name led here."""
        here, there = urlsplit(self.url), urlsplit(url)
        target = f"ws://{there.netloc}{there.path}"
        where: dict[str, Any] = {"host": here.hostname, "port": here.port}
        async with listening(target, additional_headers=headers, **where) as phone:
            yield phone

    @asynccontextmanager
    async def called(self) -> AsyncIterator[Phone]:
        """Let this machine call, and be talking."""
        url, parameters = connected(await self.ring())
        async with self.stream(url) as phone:
            await phone.start(parameters)
            yield phone


@asynccontextmanager
async def office(answer: Any, **options: Any) -> AsyncIterator[Office]:
    app = Starlette(routes=twilio_routes(answer, **options))
    async with serving(app) as url:
        yield Office(url)


def connected(response: httpx.Response) -> tuple[str, dict[str, str]]:
    """Read the TwiML: the stream's address, and its parameters."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/xml")
    assert response.headers["cache-control"] == "no-store"
    root = ElementTree.fromstring(response.content)
    [stream] = root.findall("./Connect/Stream")
    named = {p.attrib["name"]: p.attrib["value"] for p in stream}
    return stream.attrib["url"], named


def nobody(call: PhoneCall) -> Any:
    raise AssertionError("somebody was let in")


class Desk:
    """Answers calls over a model of the test's, and remembers them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls: list[PhoneCall] = []
        self.client: asyncio.Future[TwilioRealtimeTransportLayer]
        self.client = asyncio.get_running_loop().create_future()

    def answer(self, call: PhoneCall) -> TwilioRealtimeTransportLayer:
        self.calls.append(call)
        client = TwilioRealtimeTransportLayer(call.websocket, url=self.url)
        client.once("connected", lambda: self.client.set_result(client))
        return client


@asynccontextmanager
async def desk(
    script: Callable[[ServerConnection], Awaitable[None]] | None = None,
) -> AsyncIterator[Desk]:
    async def wait(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with scripted(script or wait) as url:
        yield Desk(url)


async def test_who_calls_is_answered(
    local_url: str, engines: Engines, speak: Callable[[str], Awaitable[bytes]]
) -> None:
    url = local_url.replace("http", "ws", 1) + "/realtime?model=gpt-realtime"
    clients: list[TwilioRealtimeTransportLayer] = []

    async def answer(call: PhoneCall) -> TwilioRealtimeTransportLayer:
        clients.append(TwilioRealtimeTransportLayer(call.websocket, url=url))
        clients[-1].on("audio", lambda event: said.append(len(event.data)))
        turns.set_result(clients[-1].stream("turn_done"))
        return clients[-1]

    said = list[int]()
    turns: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    witness = Witness()
    relay = create_app(Settings.load(store="none"), observers=[witness])
    options = {"api_key": "sk-any", "relay": relay}
    async with office(answer, **options) as place, place.called() as phone:
        await phone.say(to_ulaw(await speak("What is seven times eight?")))
        await phone.say(b"\xff" * 8000)
        assert (await got(anext(await got(turns)))).status == "completed"
        while len(phone.heard) < sum(said):
            await phone.until("mark")
            await phone.play()
        assert "56" in plain(await engines.recognise(phone.pcm()))
        [client] = clients
        begun, cut = (
            upcoming(client, name) for name in ("audio", "conversation.item.truncated")
        )
        client.send_message("Please count from one to twenty.")
        item = (await got(begun)).item_id
        while (await phone.until("mark"))["mark"]["name"] != f"{item}:0:24000:g1":
            pass
        await phone.play(1000)
        await phone.say(to_ulaw(await speak("Stop it, please, that is enough.")))
        truncated = await got(cut)
        # A mark came back at 1000 ms; playback may be 50 ms ahead.
        assert (truncated["item_id"], truncated["audio_end_ms"]) == (item, 1050)
        await phone.until("clear")
        ended = upcoming(client, "disconnected")
        await phone.hang_up()
        await got(ended)
        call = await witness.end()
    assert (call.id, call.path, call.reason) == ("CA1", "phone", "caller")
    said_so = [entry for entry in witness.entries if entry.who == "model"]
    assert any("56" in entry.data["transcript"] for entry in said_so)
    [cut_off] = [entry for entry in said_so if "20" in entry.data["transcript"]]
    assert cut_off.data["transcript"].startswith(cut_off.text)
    assert len(cut_off.text) < len(cut_off.data["transcript"])
    [stop] = [entry for entry in witness.entries if entry.kind == "interruption"]
    assert stop.data["audio_end_ms"] == 1050


async def test_what_the_call_knows() -> None:
    def more(form: Any) -> dict[str, str]:
        return {"topic": f'<"orders" & {form["Digits"]}\0>', "Ünï": "cödé\n"}

    async with desk() as at, office(at.answer, api_key="a", parameters=more) as place:
        url, parameters = connected(await place.ring())
        assert url == place.url.replace("http", "ws") + "/twilio/media"
        told = {
            "From": CALLER,
            "To": "+15550101",
            "topic": '<"orders" & >',
            "Ünï": "cödé\n",
        }
        assert parameters.pop("offhook_token").startswith("ek_")
        assert parameters == told
        async with place.called() as phone:
            client = await got(at.client)
            [call] = at.calls
            assert (call.call_sid, call.parameters) == ("CA1", told)
            assert client.started.parameters == told
            assert CALLER not in repr(call)
            await phone.hang_up()


async def test_either_side_hangs_up() -> None:
    left = asyncio.Event()

    async def script(connection: ServerConnection) -> None:
        async for text in connection:
            if json.loads(text)["type"] == "goodbye":
                await connection.close()
        left.set()

    async with desk(script) as at, office(at.answer, api_key="a") as place:
        async with place.called() as phone:
            await got(at.client)
            await phone.hang_up()
            await got(left.wait())
        left.clear()
        at.client = asyncio.get_running_loop().create_future()
        async with place.called() as phone:
            (await got(at.client)).send_event({"type": "goodbye"})
            await got(phone.socket.wait_closed())
            assert phone.socket.close_code == 1000
            await got(left.wait())


class Dictation:
    """A session that only listens, and leaves the hanging up to others."""

    def __init__(self, call: PhoneCall) -> None:
        self.websocket = call.websocket
        self.heard: list[str] = []
        self.closed = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def connect(self, *, api_key: object = None) -> None:
        self.tasks.append(asyncio.create_task(self.listen()))

    async def listen(self) -> None:
        while True:
            self.heard.append(json.loads(await self.websocket.receive_text())["event"])

    async def close(self) -> None:
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.closed.set()


async def test_a_session_of_any_kind_is_closed_with_the_call() -> None:
    sessions: list[Dictation] = []

    def answer(call: PhoneCall) -> Dictation:
        sessions.append(Dictation(call))
        return sessions[-1]

    async with office(answer) as place:
        async with place.called() as phone:
            await phone.press("1")
            await phone.hang_up()
        [session] = sessions
        await got(session.closed.wait())
        assert session.heard == ["connected", "start", "dtmf", "stop"]


async def test_who_hangs_up_ends_the_tools_of_an_agent(
    local_url: str, speak: Callable[[str], Awaitable[bytes]]
) -> None:
    url = local_url.replace("http", "ws", 1) + "/realtime?model=gpt-realtime"
    running, ended = asyncio.Event(), asyncio.Event()

    @function_tool
    async def get_weather(city: str) -> str:
        """Get the weather of a city."""
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return city

    agent = RealtimeAgent(name="Support", tools=[get_weather])
    formats: list[Any] = []

    def answer(call: PhoneCall) -> RealtimeSession:
        transport = TwilioRealtimeTransportLayer(call.websocket, url=url)
        transport.on("session.updated", lambda event: formats.append(event["session"]))
        return RealtimeSession(agent, transport=transport)

    async with office(answer, api_key="sk-any") as place, place.called() as phone:
        await phone.say(to_ulaw(await speak("What is the weather in Paris?")))
        await phone.say(b"\xff" * 8000)
        await got(running.wait())
        await phone.hang_up()
        await got(ended.wait())
    both = [formats[-1]["audio"][side]["format"] for side in ("input", "output")]
    assert both == [{"type": "audio/pcmu"}] * 2


async def test_only_this_machine_may_call_without_an_auth_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "offhook"):
        async with office(nobody) as place:
            for headers in ({"Host": HOST}, {"X-Forwarded-For": "192.0.2.1"}):
                refused = await place.ring(**headers)
                error = error_of(refused, 403, "missing_auth_token")
                assert "auth_token" in error["message"]
            url, _ = connected(await place.ring())
            with pytest.raises(InvalidStatus) as caught:
                async with place.stream(url, **{"X-Forwarded-For": "192.0.2.1"}):
                    pass
            assert caught.value.response.status_code == 403
    assert "from this machine only" in caplog.messages[0]
    assert CALLER not in caplog.text


async def test_what_twilio_has_signed_may_call() -> None:
    async with (
        desk() as at,
        office(at.answer, api_key="a", auth_token=AUTH) as place,
    ):
        url, parameters = connected(await place.signed_ring())
        assert url == f"wss://{HOST}/twilio/media"
        signed = {"X-Twilio-Signature": signature(AUTH, url)}
        async with place.stream(url, **signed) as phone:
            await phone.start(parameters)
            await got(at.client)


async def test_what_twilio_has_not_signed_may_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, "offhook"):
        async with office(nobody, auth_token=AUTH) as place:
            for headers in ({}, {"X-Twilio-Signature": signature(AUTH, place.url)}):
                error_of(await place.ring(**headers), 403, "invalid_signature")
            url, parameters = connected(await place.signed_ring())
            for headers in ({}, {"X-Twilio-Signature": signature("another", url)}):
                with pytest.raises(InvalidStatus) as caught:
                    async with place.stream(url, **headers):
                        pass
                assert caught.value.response.status_code == 403
    for secret in (AUTH, CALLER, parameters["offhook_token"]):
        assert secret not in caplog.text


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"From": CALLER}, 400, "missing_parameter"),
        ({"CallSid": "CA 1\n"}, 400, "missing_parameter"),
        ({f"f{number}": "" for number in range(501)}, 400, "invalid_form"),
    ],
    ids=["none", "odd", "many"],
)
async def test_a_form_that_twilio_would_not_send(
    form: dict[str, str], status: int, code: str
) -> None:
    async with office(nobody) as place:
        error_of(await place.ring(form), status, code)
        async with httpx.AsyncClient(base_url=place.url, trust_env=False) as client:
            refused = await client.post("/twilio/voice", json=FORM)
            error_of(refused, 415, "unsupported_content_type")
            assert (await client.get("/twilio/voice")).status_code == 405


async def test_a_token_is_for_one_stream_of_its_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "offhook")
    async with desk() as at, office(at.answer, api_key="a") as place:
        url, parameters = connected(await place.ring())
        for wrong, call_sid in (
            ({}, "CA1"),
            ({"offhook_token": "ek_forged"}, "CA1"),
            (parameters, "CA2"),
        ):
            async with place.stream(url) as phone:
                await phone.start(wrong, call_sid)
                await got(phone.socket.wait_closed())
                assert phone.socket.close_code == 1008
        assert at.calls == []
        async with place.stream(url) as phone:
            await phone.start(parameters)
            await got(at.client)
        async with place.stream(url) as phone:
            await phone.start(parameters)
            await got(phone.socket.wait_closed())
            assert phone.socket.close_code == 1008
        assert len(at.calls) == 1
    said = [line for line in caplog.messages if line.startswith("refused a stream")]
    assert said == [
        "refused a stream: its token is none of ours",
        "refused a stream: its token is none of ours",
        "refused a stream: its token is another call's",
        "refused a stream: its token has been used",
    ]


async def test_a_stream_that_ends_before_it_begins_is_named_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "offhook")
    async with office(nobody) as place:
        url, _ = connected(await place.ring())
        async with place.stream(url) as phone:
            await phone.socket.close()
    assert "refused a stream: it was closed (1000) before it began" in caplog.messages


async def test_processes_of_one_account_know_each_others_tokens() -> None:
    async with (
        desk() as at,
        office(nobody, auth_token=AUTH) as one,
        office(at.answer, api_key="a", auth_token=AUTH) as other,
    ):
        url, parameters = connected(await one.signed_ring())
        signed = {"X-Twilio-Signature": signature(AUTH, url)}
        async with other.stream(url, **signed) as phone:
            await phone.start(parameters)
            await got(at.client)


async def test_what_is_no_stream_is_refused() -> None:
    async with office(nobody) as place:
        url, _ = connected(await place.ring())
        async with place.stream(url) as phone:
            await phone.socket.send(b"binary")
            for _ in range(4):
                await phone.press("1")
            await got(phone.socket.wait_closed())
            assert phone.socket.close_code == 1008
        async with place.stream(url):
            pass


async def test_a_stream_that_does_not_start_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(phone_routes, "_START_SECONDS", 0.02)
    async with office(nobody) as place:
        url, _ = connected(await place.ring())
        async with place.stream(url) as phone:
            await got(phone.socket.wait_closed())
            assert phone.socket.close_code == 1008


@pytest.mark.parametrize("shown", [True, False], ids=["in", "behind"])
async def test_routes_can_be_mounted(shown: bool) -> None:
    routes = twilio_routes(nobody, auth_token=AUTH, public_url=f"https://{HOST}/a")
    inner = Starlette(routes=routes)
    app = Starlette(routes=[Mount("/b", app=inner)]) if shown else inner
    prefix = "/b" if shown else ""
    async with serving(app) as url:
        asked = f"https://{HOST}/a{prefix}/twilio/voice"
        signed = {"X-Twilio-Signature": signature(AUTH, asked, FORM.items())}
        stream, _ = connected(await Office(url, prefix).ring(**signed))
        assert stream == f"wss://{HOST}/a{prefix}/twilio/media"


async def test_a_call_that_cannot_be_answered_is_hung_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(call: PhoneCall) -> Any:
        raise LookupError(call.parameters["From"])

    async def unreachable(call: PhoneCall) -> Any:
        nowhere = "ws://127.0.0.1:1/"
        return TwilioRealtimeTransportLayer(call.websocket, url=nowhere, api_key="a")

    for answer in (broken, unreachable):
        async with office(answer) as place, place.called() as phone:
            await got(phone.socket.wait_closed())
            assert phone.socket.close_code == 1000
    assert "call CA1 failed: The server cannot be reached" in caplog.text
    assert "call CA1 failed: LookupError" in caplog.text


async def test_a_telephone_call_has_one_of_the_relays_places() -> None:
    relay = create_app(Settings.load(store="none", max_calls=1))
    options = {"api_key": "a", "relay": relay}
    async with desk() as at, office(at.answer, **options) as place:
        async with place.called(), place.called() as second:
            await got(second.socket.wait_closed())
            assert second.socket.close_code == 1008
            client = await got(at.client)
        while client.status != "disconnected":
            await got(upcoming(client, "disconnected"))
        assert len(at.calls) == 1


async def test_a_session_that_fails_at_its_end_leaves_no_call_behind() -> None:
    class Stubborn:
        async def connect(self, **_: Any) -> None:
            raise LookupError

        def on(self, *_: Any) -> None:
            """Tell nothing."""

        async def close(self) -> None:
            raise LookupError

    witness = Witness()
    relay = create_app(Settings.load(store="none"), observers=[witness])
    async with office(lambda _: Stubborn(), relay=relay) as place, place.called():
        assert (await witness.end()).reason == "failed"
    assert relay.state.relay.limits.held == 0


@pytest.mark.parametrize(
    "options", [{"auth_token": ""}, {"auth_token": " "}, {"public_url": "example.com"}]
)
def test_settings_that_open_the_door_by_mistake_are_refused(
    options: dict[str, Any],
) -> None:
    with pytest.raises(SettingsError):
        twilio_routes(nobody, **options)
