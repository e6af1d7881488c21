"""Strangers who know where a peer listens, and callers who mean no good."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import os
import re
import socket
import struct
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aioice.stun
import pytest
import uvloop
from aioice import Candidate
from aioice.ice import CandidatePair
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection

from offhook.errors import SettingsError
from offhook.media import hardening, private
from offhook.media.hardening import close, configured, harden
from offhook.media.network import Network
from offhook.media.peer import Peer
from offhook.media.servers import IceServers
from offhook.protocol.sdp import check_offer
from tests.media.calls import (
    BINDING_REQUEST,
    Call,
    Ear,
    Stranger,
    address_of,
    called,
    client_hello,
    nothing,
    until,
)
from tests.protocol.offers import BROWSERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.media.calls import Address

pytestmark = pytest.mark.anyio

# RFC 8489 §14.5: known, and of the wrong length.
BROKEN_STUN = struct.pack("!HHI12sHH", 1, 16, 0x2112A442, b"x" * 12, 0x19, 11) + bytes(
    12
)
CHROMIUM = BROWSERS["chromium"].decode()
DATAGRAMS = {
    "empty": b"",
    "zeros": bytes(1400),
    "byte": b"\x14",
    "hello": client_hello(),
    "alert": b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28",
    "rtp": b"\x80" + bytes(1499),
    "long rtp": b"\x80" + bytes(1500),
    "long rtcp": b"\x80\xc8" + bytes(1499),
    "broken stun": BROKEN_STUN,
    "junk": b"\xff" * 1400,
}


@pytest.fixture(scope="module", autouse=True)
async def accidents() -> AsyncIterator[None]:
    """Nothing may reach the event loop's exception handler."""
    seen: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: seen.append(context))
    yield
    gc.collect()
    await asyncio.sleep(0)
    loop.set_exception_handler(None)
    assert seen == []


@pytest.mark.parametrize("server", [False, True], ids=["client", "server"])
@pytest.mark.parametrize("moment", ["before", "during", "live"])
@pytest.mark.parametrize("datagram", DATAGRAMS.values(), ids=DATAGRAMS)
async def test_a_stranger_cannot_disturb(
    datagram: bytes, moment: str, server: bool
) -> None:
    async with Call(server) as call:
        answer = await call.answered()
        with Stranger(address_of(answer)) as stranger:
            if moment == "before":
                await stranger.sent(datagram)
            await call.accept(answer)
            if moment == "during":
                stranger.send(datagram)
            await call.open()
            if moment == "live":
                await stranger.sent(datagram)
            await call.echo(2)
        assert call.peer.dropped.total() == 1


async def test_calls_outlive_an_empty_datagram() -> None:
    async def one() -> None:
        async with called() as call:
            with Stranger(address_of(call.answer)) as stranger:
                await stranger.sent(b"")
            await call.echo()

    await asyncio.gather(*(one() for _ in range(20)))


async def test_calls_connect_in_spite_of_a_client_hello() -> None:
    async def one() -> None:
        async with Call() as call:
            answer = await call.answered()
            with Stranger(address_of(answer)) as stranger:
                await stranger.sent(DATAGRAMS["hello"])
            await call.accept(answer)
            await call.open()

    await asyncio.gather(*(one() for _ in range(10)))


class Flood:
    """A thousand datagrams per second of each of three kinds."""

    def __init__(self, stranger: Stranger) -> None:
        self._stranger = stranger
        self.count = 0
        self._next = asyncio.get_running_loop().call_soon(self._pour)

    def _pour(self) -> None:
        for datagram in (DATAGRAMS["hello"], b"", b"\x80" + bytes(1601)):
            for _ in range(5):
                self._stranger.send(datagram)
                self.count += 1
        self._next = asyncio.get_running_loop().call_later(0.005, self._pour)

    def stop(self) -> None:
        self._next.cancel()


async def test_calls_connect_and_live_on_in_a_flood() -> None:
    for _ in range(8):
        async with Call() as call:
            answer = await call.answered()
            with Stranger(address_of(answer)) as stranger:
                flood = Flood(stranger)
                await call.accept(answer)
                await call.open()
                await call.echo(20)
                flood.stop()
            assert flood.count >= 60
            assert call.peer.dropped.keys() == {"stranger", "empty", "oversized"}


def resident() -> int:
    """Bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def seen(call: Call, count: int) -> bool:
    return call.peer.dropped.total() >= count


@pytest.mark.parametrize("junk", [b"\xff" * 1400, bytes(1400), b"\x16" * 1400])
async def test_junk_does_not_fill_the_memory_of_who_waits(junk: bytes) -> None:
    async with Call() as call:
        answer = await call.answered()
        with Stranger(address_of(answer)) as stranger:
            await stranger.sent(junk)
            before = resident()
            # Unread they would take 4 KiB each: 40 MiB.
            for sent in range(50, 10_000, 50):
                for _ in range(50):
                    stranger.send(junk)
                await until(functools.partial(seen, call, sent))
        assert resident() - before < 2**20


async def test_who_proves_nothing_gets_few_answers() -> None:
    async with Call() as call:
        answer = await call.answered()
        with Stranger(address_of(answer)) as stranger:
            for _ in range(3):
                await stranger.sent(b"")
            for _ in range(100):
                stranger.send(BINDING_REQUEST)
            await until(lambda: call.peer.dropped["unauthentic"] > 96)


class Router:
    """A NAT between a caller and a peer: it hides the caller behind its own socket."""

    def __init__(self, inside: Address) -> None:
        self._inner = self._socket(inside[0])
        self._peer = inside
        self._caller: Address | None = None
        self._outer = self._socket(inside[0])
        loop = asyncio.get_running_loop()
        loop.add_reader(self._inner, self._out)
        loop.add_reader(self._outer, self._in, self._outer)

    @property
    def address(self) -> Address:
        """Where the caller has to send to."""
        host, port = self._inner.getsockname()
        return host, port

    def rebind(self) -> None:
        """Forget the binding: from now on the caller has another address."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._outer)
        self._outer.close()
        self._outer = self._socket(self._peer[0])
        loop.add_reader(self._outer, self._in, self._outer)

    def close(self) -> None:
        for each in (self._inner, self._outer):
            asyncio.get_running_loop().remove_reader(each)
            each.close()

    def _socket(self, host: str) -> socket.socket:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.setblocking(False)
        opened.bind((host, 0))
        return opened

    def _out(self) -> None:
        data, self._caller = self._inner.recvfrom(65536)
        self._outer.sendto(data, self._peer)

    def _in(self, outer: socket.socket) -> None:
        data, _ = outer.recvfrom(65536)
        if self._caller:
            self._inner.sendto(data, self._caller)


async def test_a_caller_may_move_once_it_has_proved_who_it_is() -> None:
    async with Call() as call:
        answer = await call.answered()
        router = Router(address_of(answer))
        # Nothing but the way through the router.
        [line] = re.findall(r"a=candidate:\S+ 1 udp \d+ [\d.]+ \d+ typ host", answer)[
            :1
        ]
        host, port = router.address
        through = re.sub(r"[\d.]+ \d+ typ", f"{host} {port} typ", line)
        bare = re.sub(r"a=candidate:.*\r\n", "", answer)
        await call.accept(
            bare.replace("a=end-of-candidates", f"{through}\r\na=end-of-candidates")
        )
        await call.open()
        await call.echo(2)
        router.rebind()
        # The microphone goes on, from an address that nobody knows.
        await until(lambda: call.peer.dropped["stranger"])
        heard = len(call.ear.pcm)
        # As a browser: its checks nominate again. aiortc would ask in five seconds.
        ice = private.ice_of(call.caller.channel.transport.transport)
        [(protocol, address)] = private.nominated(ice)
        far = Candidate("1", 1, "udp", 1, *address, "host")
        request = ice.build_request(CandidatePair(protocol, far), nominate=True)
        key = str(ice.remote_password).encode()
        await protocol.request(request, address, integrity_key=key)
        await call.echo(2)
        await call.ear.until(lambda: len(call.ear.pcm) > heard + 4800)
        router.close()


class Broken(str):
    """A text that is none on the wire."""

    def encode(self, *_: object) -> bytes:
        return b"\xff"


async def test_who_breaks_the_protocol_ends_its_own_call_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with called() as other, called() as call:
        call.caller.channel.send(Broken("not UTF-8, and said to be text"))
        async with asyncio.timeout(10):
            await call.peer.run()
        await other.echo(2)
    told = [r.message for r in caplog.records if r.name.startswith("offhook")]
    assert told == ["the call broke: UnicodeDecodeError"]


@pytest.mark.parametrize(
    ("count", "size"), [(1, 300_000), (20, 10), (3, 100_000)], ids=str
)
async def test_who_sends_too_much_is_cut_off(
    count: int,
    size: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # aiortc is too slow to send as much as is too much.
    monkeypatch.setattr("offhook.media.intake._EVENTS_AT_ONCE", 10)
    monkeypatch.setattr("offhook.media.intake._EVENTS_PER_SECOND", 1)
    monkeypatch.setattr("offhook.media.intake._BYTES_AT_ONCE", 250_000)
    monkeypatch.setattr("offhook.media.intake._BYTES_PER_SECOND", 1)
    async with called() as call:
        channel = call.caller.channel
        # aiortc, as a browser, would keep to what we take.
        vars(channel.transport)["_remote_max_message_size"] = 0
        for _ in range(count):
            channel.send("x" * size)
        async with asyncio.timeout(10):
            await call.peer.run()
        assert len(call.ear.messages) == min(count - 1, 10)
    told = [r.message for r in caplog.records if "the call ends" in r.message]
    assert len(told) == 1


async def test_who_opens_too_many_channels_is_cut_off() -> None:
    async with called() as call:
        for n in range(20):
            call.caller.peer.createDataChannel(str(n))
        async with asyncio.timeout(10):
            await call.peer.run()


async def test_a_listener_that_fails_ends_its_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("of the listener")

    for method in ("message", "audio"):
        async with called() as call:
            vars(call.ear)[method] = fail
            call.caller.send("ping")
            async with asyncio.timeout(10):
                await call.peer.run()
    assert [bool(r.exc_info) for r in caplog.records] == [True, True]


async def test_whoever_writes_an_offer_cannot_aim_us_at_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aioice.stun, "RETRY_RTO", 0.005)
    async with Call() as probe:
        host, _ = address_of(await probe.answered())
    if host.startswith("127."):
        pytest.skip("this machine has no network: nothing is ever sent to loopback")
    with ExitStack() as stack:
        victims = [stack.enter_context(victim(host)) for _ in range(200)]
        lines = "".join(
            f"a=candidate:1 1 udp 1 {host} {each.getsockname()[1]} typ host\r\n"
            for each in victims
        )
        offer = CHROMIUM.replace("a=sctp-port", f"{lines}a=sctp-port")
        for candidates in ("none", "public", "lan"):
            network = Network(candidates=candidates)
            async with Peer(Ear(), nothing, network=network) as peer:
                await peer.answer(check_offer(offer.encode()))
                with pytest.raises(TimeoutError):
                    # Seven checks of each, in what are 63 seconds otherwise.
                    async with asyncio.timeout(0.7 if candidates == "lan" else 0.1):
                        await peer.run()
            got = [data for each in victims for data in received(each)]
            # Where the operator wants these, they are still not many.
            assert bool(got) == (candidates == "lan")
            assert len(got) <= 70
            assert sum(map(len, got)) <= len(offer)


def victim(host: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.bind((host, 0))
    return opened


def received(opened: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(BlockingIOError):
        while True:
            yield opened.recv(2048)


def test_it_is_the_same_on_uvloop() -> None:
    async def disturbed() -> None:
        for server in (False, True):
            async with Call(server) as call:
                answer = await call.answered()
                with Stranger(address_of(answer)) as stranger:
                    for name in ("empty", "hello", "broken stun"):
                        await stranger.sent(DATAGRAMS[name])
                    await call.accept(answer)
                    await call.open()
                    stranger.send(b"")
                    await call.echo(5)
                assert call.peer.dropped.total() == 4

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(disturbed())


async def test_who_takes_nothing_is_cut_off(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offhook.media.peer._MAX_UNSENT_BYTES", 500_000)
    async with called() as call:
        await call.caller.channel.transport.transport.transport.stop()
        for _ in range(9):
            call.peer.send("x" * 60_000)
        async with asyncio.timeout(10):
            await call.peer.run()
    assert "the caller takes no events: the call ends" in caplog.messages


async def test_who_offers_is_as_safe_as_who_answers() -> None:
    """As a client does, whose server may let it be the DTLS server."""
    ours, theirs = (RTCPeerConnection(RTCConfiguration([])) for _ in range(2))
    broken: list[Exception] = []
    opened, echoed = asyncio.Event(), asyncio.Event()
    channel = ours.createDataChannel("x")
    channel.on("open", opened.set)
    channel.on("message", lambda _: echoed.set())
    theirs.on("datachannel", lambda c: c.on("message", c.send))
    network = Network()
    [filter] = harden(ours, network, IceServers(network), broken.append)
    try:
        await ours.setLocalDescription(await ours.createOffer())
        target = address_of(ours.localDescription.sdp)
        await theirs.setRemoteDescription(ours.localDescription)
        await theirs.setLocalDescription(await theirs.createAnswer())
        with Stranger(target) as stranger:
            for name in ("empty", "hello", "broken stun"):
                await stranger.sent(DATAGRAMS[name])
            await ours.setRemoteDescription(theirs.localDescription)
            async with asyncio.timeout(10):
                await opened.wait()
                await stranger.sent(b"")
                channel.send("ping")
                await echoed.wait()
    finally:
        await ours.close()
        await theirs.close()
    assert (filter.dropped.total(), broken) == (4, [])


def test_the_servers_of_a_connection_are_those_it_was_made_with() -> None:
    servers = [
        RTCIceServer("stun:stun.example.com"),
        RTCIceServer(["turn:a", "turn:b?transport=tcp"], "me", "open sesame"),
    ]
    network = configured(RTCPeerConnection(RTCConfiguration(servers)))
    assert [str(server) for server in network.ice_servers] == [
        "stun:stun.example.com:3478",
        "turn:a:3478",
        "turn:b:3478",
    ]
    assert network.login(network.ice_servers[2], 0) == ("me", "open sesame")
    assert configured(RTCPeerConnection(RTCConfiguration([]))) == Network(
        candidates="public"
    )
    # What it has by default is aiortc's choice.
    [default] = configured(RTCPeerConnection()).ice_servers
    assert default.scheme == "stun"


def test_servers_of_a_connection_that_cannot_be_used_are_named() -> None:
    servers = [RTCIceServer("stuns:stun.example.com")]
    with pytest.raises(SettingsError, match=r"stuns:stun\.example\.com"):
        configured(RTCPeerConnection(RTCConfiguration(servers)))


LEAVING = """\
import asyncio
from tests.media.calls import Call

async def hold(call, there):
    async with call.peer:
        await call.accept(await call.answered())
        await call.open()
        there.set()
        await call.peer.run()

async def main():
    there = asyncio.Event()
    holding = asyncio.create_task(hold(Call(), there))
    await there.wait()
    raise ValueError("the program's own")

asyncio.run(main())
"""


async def test_a_program_that_leaves_its_loop_in_a_call_ends() -> None:
    """The end of the loop cancels aiortc's own tasks before they are closed."""
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", LEAVING],
        capture_output=True,
        text=True,
        timeout=10,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ended.stderr.endswith("ValueError: the program's own\n")
    assert "pending" not in ended.stderr


class Endless(RTCPeerConnection):
    """As one is whose own close was cancelled."""

    async def close(self) -> None:
        await asyncio.Event().wait()


async def test_a_close_that_never_ends_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardening, "_CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(hardening, "_LEAVE_SECONDS", 0.1)
    before = asyncio.all_tasks()
    await asyncio.wait_for(close(Endless(RTCConfiguration([])), []), 10)
    await until(lambda: asyncio.all_tasks() == before)
