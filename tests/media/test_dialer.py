from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import InvalidRequest, UpstreamError
from offhook.media.dialer import Dialer
from tests.answerer import Answerer
from tests.media.calls import Stranger, address_of, until
from tests.media.test_hardening import DATAGRAMS
from tests.media.test_servers import stun_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from av.frame import Frame

pytestmark = pytest.mark.anyio


QUEUE = "_queue"  # what a remote track has decoded
CONNECTION = "_connection"  # aioice's


class Near:
    """Notes what a dialer tells."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.frames: list[Frame] = []
        self.ends: list[str | None] = []
        self._news = asyncio.Event()

    def message(self, text: str) -> None:
        self.texts.append(text)
        self._news.set()

    def hear(self, frame: Frame) -> None:
        self.frames.append(frame)
        self._news.set()

    def ended(self, reason: str | None) -> None:
        self.ends.append(reason)
        self._news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._news.clear()
                await self._news.wait()


def silence(ms: int) -> bytes:
    return b""


@asynccontextmanager
async def calling(**options: Any) -> AsyncIterator[tuple[Dialer, Answerer, Near]]:
    """A dialer and an answerer that are connected."""
    near = Near()
    async with Answerer() as far:
        hear = options.pop("hear", near.hear)
        async with Dialer(near.message, near.ended, silence, hear, **options) as dialer:
            await dialer.dial(far.answer)
            await far.opened
            yield dialer, far, near


async def test_the_offer_goes_out_without_candidates() -> None:
    offers: list[str] = []
    near = Near()
    async with Answerer() as far, Dialer(near.message, near.ended, silence) as dialer:

        async def exchange(offer: str) -> str:
            offers.append(offer)
            return await far.answer(offer)

        await dialer.dial(exchange)
        assert (await far.opened).label == "oai-events"
    [offer] = offers
    assert "a=candidate" not in offer
    assert "opus/48000/2" in offer
    assert "a=sendrecv" in offer
    assert "a=setup:actpass" in offer
    assert len({line for line in offer.split("\r\n") if "ice-ufrag" in line}) == 1


def as_openai_answers(answer: str) -> str:
    """One UDP candidate of a lite agent, one over TCP, and no limit of its own."""
    lines: list[str] = []
    for line in answer.split("\r\n"):
        if line.startswith("a=candidate:") and " 127.0.0.1 " not in line:
            tcp = "a=candidate:2 1 tcp 1671430143 192.0.2.1 443 typ host"
            lines.append(f"{tcp} tcptype passive")
        lines.append(line.replace("message-size:65536", "message-size:1073741823"))
    lines.insert(4, "a=ice-lite")
    return "\r\n".join(lines)


async def test_an_answer_in_openais_shape_is_understood() -> None:
    near = Near()
    async with Answerer() as far, Dialer(near.message, near.ended, silence) as dialer:

        async def exchange(offer: str) -> str:
            return as_openai_answers(await far.answer(offer))

        await dialer.dial(exchange)
        await dialer.send("hello")
        assert await far.recv() == "hello"


async def test_texts_and_sound_flow_both_ways() -> None:
    async with calling() as (dialer, far, near):
        await dialer.send("there")
        assert await far.recv() == "there"
        await far.send("back")
        (await far.opened).send(b"no text")
        await far.send("again")
        await near.until(lambda: near.texts == ["back", "again"])
        await near.until(lambda: len(near.frames) > 5)
        sound = await asyncio.wait_for(far.heard(), 10)
        assert (sound.sample_rate, sound.samples) == (48000, 960)


async def test_what_nobody_hears_is_not_decoded() -> None:
    async with calling(hear=None) as (dialer, far, near):
        [receiver] = dialer.connection.getReceivers()
        await far.send("one")
        await near.until(lambda: near.texts)
        async with asyncio.timeout(10):
            while await received(dialer) < 30:
                await far.send("more")
                await dialer.send("more")
                await far.recv()
        queue: asyncio.Queue[Any] = getattr(receiver.track, QUEUE)
        assert queue.empty()


async def received(dialer: Dialer) -> int:
    stats = await dialer.connection.getStats()
    return sum(getattr(entry, "packetsReceived", 0) for entry in stats.values())


async def test_sending_waits_while_too_much_is_under_way() -> None:
    async with calling() as (dialer, far, _):
        sent: list[int] = []

        async def pour() -> None:
            for number in range(40):
                await dialer.send(str(number).ljust(200_000))
                sent.append(number)

        pouring = asyncio.create_task(pour())
        for _ in range(20):
            await asyncio.sleep(0)
        assert 0 < len(sent) < 20
        texts = [await asyncio.wait_for(far.recv(), 20) for _ in range(40)]
        await pouring
        assert [int(text) for text in texts] == list(range(40))


async def test_a_text_that_is_too_long_is_refused() -> None:
    async with calling() as (dialer, far, _):
        with pytest.raises(InvalidRequest, match="300000 characters"):
            await dialer.send("x" * 300_000)
        await dialer.send("next")
        assert await far.recv() == "next"


@pytest.mark.parametrize("what", ["connection", "channel"])
async def test_the_other_side_hangs_up(what: str) -> None:
    async with calling() as (dialer, far, near):
        if what == "connection":
            await far.close()
        else:
            (await far.opened).close()
        await near.until(lambda: near.ends)
        await dialer.send("late")
        assert near.ends == [None]


async def test_a_silent_other_side_is_given_up() -> None:
    async with calling(silence=0.3) as (_, far, near):
        await far.vanish()
        await near.until(lambda: near.ends)
        assert near.ends == ["nothing has come for 0.6 seconds"]


async def test_a_lost_path_is_told() -> None:
    async with calling() as (dialer, _, near):
        [receiver] = dialer.connection.getReceivers()
        # What aioice does when nobody has answered it for half a minute.
        connection = getattr(receiver.transport.transport, CONNECTION)
        await connection.close()
        await near.until(lambda: near.ends)
        assert near.ends == ["the network path is lost"]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "v=0\r\n",
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
        "v=0\r\nm=audio x\r\n",
    ],
)
async def test_garbage_is_no_answer(answer: str) -> None:
    near = Near()

    async def exchange(offer: str) -> str:
        return answer

    async with Dialer(near.message, near.ended, silence) as dialer:
        with pytest.raises(UpstreamError, match="does not fit our offer") as caught:
            await dialer.dial(exchange)
        assert caught.value.code == "upstream_malformed"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("m=audio 9", "m=audio 0"),
        ("BUNDLE 0 1", "BUNDLE 7 1"),
        ("a=setup:active", "a=setup:actpass"),
        ("a=mid:1", "a=mid:5"),
        ("a=sendrecv", "a=inactive"),
        ("a=rtcp-mux\r\n", ""),
    ],
)
async def test_an_answer_that_does_not_fit_is_none(old: str, new: str) -> None:
    near = Near()
    async with Answerer() as far, Dialer(near.message, near.ended, silence) as dialer:

        async def exchange(offer: str) -> str:
            answer = await far.answer(offer)
            if old == "m=audio 9":
                return answer.replace("m=audio ", "m=audio 0 x")
            assert old in answer
            return answer.replace(old, new)

        with pytest.raises(UpstreamError, match="cannot be used"):
            await dialer.dial(exchange)


async def test_what_the_exchange_raises_comes_through() -> None:
    near = Near()

    async def exchange(offer: str) -> str:
        raise LookupError("nobody knows")

    async with Dialer(near.message, near.ended, silence) as dialer:
        with pytest.raises(LookupError, match="nobody knows"):
            await dialer.dial(exchange)


async def test_whoever_hangs_up_before_the_channel_is_open_is_told() -> None:
    near = Near()
    async with Answerer() as far, Dialer(near.message, near.ended, silence) as dialer:

        async def exchange(offer: str) -> str:
            answer = await far.answer(offer)
            closing.append(asyncio.create_task(hang_up()))
            return answer

        async def hang_up() -> None:
            changed = asyncio.Event()
            dialer.connection.on("connectionstatechange", changed.set)
            while dialer.connection.connectionState != "connected":
                changed.clear()
                await changed.wait()
            await dialer.connection.close()

        closing: list[asyncio.Task[None]] = []
        with pytest.raises(UpstreamError, match="ended before it was open"):
            await dialer.dial(exchange)
        await closing[0]
        assert near.ends == []


async def test_closing_twice_and_cancelled_is_closing() -> None:
    async with calling() as (dialer, far, near):
        first = asyncio.create_task(dialer.close())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, dialer.close(), return_exceptions=True)
        await dialer.close()
        assert dialer.connection.connectionState == "closed"
        assert near.ends == []
        await asyncio.wait_for(far.wait_closed(), 10)


async def test_one_that_was_never_used_can_be_closed() -> None:
    near = Near()
    async with Dialer(near.message, near.ended, silence):
        pass


@pytest.mark.parametrize("name", ["empty", "hello", "broken stun"])
async def test_strangers_do_not_disturb(name: str) -> None:
    near = Near()
    async with Answerer() as far, Dialer(near.message, near.ended, silence) as dialer:

        async def exchange(offer: str) -> str:
            answer = await far.answer(offer)
            # Our sockets are open before the server has answered.
            await until(lambda: dialer.connection.localDescription)
            with Stranger(address_of(dialer.connection.localDescription.sdp)) as other:
                await other.sent(DATAGRAMS[name])
            return answer

        await dialer.dial(exchange)
        with Stranger(address_of(dialer.connection.localDescription.sdp)) as other:
            await other.sent(DATAGRAMS[name])
        await far.send("hello")
        await near.until(lambda: near.texts)
        assert near.ends == []


class Broken(str):
    """A text that is none on the wire."""

    def encode(self, *_: object) -> bytes:
        return b"\xff"


async def test_a_server_that_breaks_the_protocol_has_ended_the_call() -> None:
    async with calling() as (_, far, near):
        await far.send(Broken("not UTF-8, and said to be text"))
        await near.until(lambda: near.ends)
        assert near.ends == ["what came could not be understood"]


async def test_its_own_servers_are_asked_and_a_dead_one_is_not_waited_for() -> None:
    async with stun_server() as (server, named), stun_server(False) as (_, dead):
        urls = [f"stun:{each.host}:{each.port}" for each in (named, dead)]
        async with calling(ice_servers=urls) as (dialer, _, _):
            assert server.questions
            assert " 198.51.100.7 " in dialer.connection.localDescription.sdp
