from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any

import pytest
from aioice import Candidate, Connection, stun
from aioice.ice import CandidatePair

from offhook.media import private
from offhook.media.filter import FilteredProtocol, SourceFilter
from tests.media.calls import BINDING_REQUEST, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

HOME = ("192.0.2.1", 5000)
SOCKET = object()
DTLS = b"\x16\xfe\xfd" + bytes(50)


def rtp(stream: int = 1, size: int = 100) -> bytes:
    return b"\x80\x6f" + bytes(6) + stream.to_bytes(4, "big") + bytes(size - 12)


def rtcp(stream: int) -> bytes:
    return b"\x80\xc9" + bytes(6) + stream.to_bytes(4, "big") + bytes(20)


class Gate:
    """A filter before an ICE connection that knows its caller."""

    def __init__(self, allowance: float = math.inf) -> None:
        self.connection = Connection(ice_controlling=False)
        self.connection.remote_username = "them"
        self.proofs = 0
        self.filter = SourceFilter(self.connection, allowance, self.prove)

    def prove(self) -> None:
        self.proofs += 1

    def check(
        self,
        username: str | None = None,
        password: str | None = None,
        method: stun.Method = stun.Method.BINDING,
        priority: bool = True,
    ) -> bytes:
        """A connectivity check; by default what a caller sends."""
        request = stun.Message(method, stun.Class.REQUEST)
        user = (
            f"{self.connection.local_username}:them" if username is None else username
        )
        request.attributes["USERNAME"] = user
        if priority:
            request.attributes["PRIORITY"] = 1
        key = password or self.connection.local_password
        request.add_message_integrity(key.encode())
        return bytes(request)

    def reason(
        self, data: bytes, source: tuple[str, int] = HOME, socket: object = SOCKET
    ) -> str | None:
        return self.filter.reason_to_drop(socket, data, source)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\x00", "malformed"),
        (b"\x03" * 20, "malformed"),
        (b"\x04", "unknown"),
        (b"\x13", "unknown"),
        (b"\x40" * 8, "unknown"),
        (b"\x7f", "unknown"),
        (b"\xc0", "unknown"),
        (b"\xff" * 2000, "unknown"),
        (b"\x14", "stranger"),
        (b"\x3f" + bytes(9000), "stranger"),
        (b"\x80" + bytes(1499), "stranger"),
        (b"\xbf" + bytes(1499), "stranger"),
        (b"\x80" + bytes(1500), "oversized"),
    ],
)
async def test_a_strangers_datagrams_are_dropped(
    gate: Gate, data: bytes, reason: str
) -> None:
    assert gate.reason(data) == reason


async def test_that_somebody_knows_our_password_is_told(gate: Gate) -> None:
    for data in (BINDING_REQUEST, gate.check(password="wrong"), DTLS, rtp()):
        gate.reason(data)
    assert gate.proofs == 0
    gate.reason(gate.check())
    assert gate.proofs == 1


async def test_who_knows_our_password_is_let_through(gate: Gate) -> None:
    assert gate.reason(gate.check()) is None
    assert gate.reason(DTLS) is None
    assert gate.reason(rtp()) is None
    assert gate.reason(rtcp(1)) is None
    # What is dangerous from anybody is dropped all the same.
    assert gate.reason(b"") == "empty"
    assert gate.reason(rtp(size=1501)) == "oversized"
    assert gate.reason(rtp(size=1500)) is None
    # It has proved itself on this socket and from this port only.
    assert gate.reason(DTLS, ("192.0.2.1", 5001)) == "stranger"
    assert gate.reason(DTLS, ("192.0.2.2", 5000)) == "stranger"
    assert gate.reason(DTLS, socket=object()) == "stranger"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"username": "other:them"}, None),
        ({"username": "{ours}:other"}, None),
        ({"username": "{ours}"}, None),
        ({"password": "x" * 22}, None),
        ({"method": stun.Method.ALLOCATE}, None),
        ({"priority": False}, "malformed"),
    ],
)
async def test_a_check_that_proves_nothing_opens_nothing(
    gate: Gate, changes: dict[str, Any], reason: str | None
) -> None:
    ours = gate.connection.local_username
    given = {
        key: value.format(ours=ours) if key == "username" else value
        for key, value in changes.items()
    }
    assert gate.reason(gate.check(**given)) == reason
    assert gate.reason(DTLS) == "stranger"


async def test_a_check_that_comes_before_the_offer_is_applied_counts(
    gate: Gate,
) -> None:
    gate.connection.remote_username = None
    assert gate.reason(gate.check()) is None
    assert gate.reason(DTLS) is None


async def test_what_is_no_request_is_for_the_transaction_that_waits_for_it(
    gate: Gate,
) -> None:
    for kind in (stun.Class.RESPONSE, stun.Class.ERROR, stun.Class.INDICATION):
        assert gate.reason(bytes(stun.Message(stun.Method.BINDING, kind))) is None
    assert gate.reason(DTLS) == "stranger"


async def test_who_proves_nothing_gets_four_answers(gate: Gate) -> None:
    reasons = [gate.reason(BINDING_REQUEST) for _ in range(20)]
    assert reasons == [None] * 4 + ["unauthentic"] * 16


async def test_a_call_comes_from_eight_addresses_at_most(gate: Gate) -> None:
    reasons = [gate.reason(gate.check(), ("192.0.2.1", port)) for port in range(10)]
    assert reasons == [None] * 8 + ["sources"] * 2
    # Known ones may check as often as they like.
    assert {gate.reason(gate.check(), ("192.0.2.1", 7)) for _ in range(50)} == {None}


async def test_old_addresses_make_room_for_new_ones_but_not_the_one_in_use(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offhook.media.filter._MAX_SOURCES", 3)
    used = ("192.0.2.1", 0)
    far = Candidate("1", 1, "udp", 1, *used, "host")
    pair = CandidatePair(SOCKET, far)  # type: ignore[arg-type]  # sends nothing
    monkeypatch.setitem(vars(gate.connection)["_nominated"], 1, pair)
    for port in range(5):
        assert gate.reason(gate.check(), ("192.0.2.1", port)) is None
    open_ports = [p for p in range(5) if gate.reason(DTLS, ("192.0.2.1", p)) is None]
    assert open_ports == [0, 3, 4]


async def test_what_nobody_reads_is_not_kept(gate: Gate) -> None:
    gate.reason(gate.check())
    for _ in range(512):
        assert gate.reason(DTLS) is None
        gate.connection.data_received(DTLS, 1)
    assert gate.reason(DTLS) == "backlog"


async def test_media_comes_as_fast_as_a_microphone_may_send(gate: Gate) -> None:
    gate.reason(gate.check())
    reasons = [gate.reason(rtp()) for _ in range(3000)]
    assert reasons[:1000] == [None] * 1000
    assert "rate" in reasons


async def test_a_call_has_few_streams(gate: Gate) -> None:
    gate.reason(gate.check())
    reasons = [gate.reason(rtp(stream)) for stream in range(20)]
    assert reasons == [None] * 16 + ["streams"] * 4
    assert gate.reason(rtp(3)) is None
    assert gate.reason(rtcp(99)) is None


async def test_the_filter_says_once_what_it_dropped(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "offhook"):
        gate.filter.close()
        assert caplog.messages == []
        gate.filter.dropped.update(["empty", "stranger", "empty"])
        gate.filter.close()
    assert caplog.messages == ["datagrams dropped: 2 empty, 1 stranger"]


async def test_a_closed_filter_knows_nobody(gate: Gate) -> None:
    gate.reason(gate.check())
    gate.filter.close()
    assert gate.reason(DTLS) == "stranger"


class Sent(asyncio.DatagramTransport):
    """Where a socket's datagrams go."""

    def __init__(self) -> None:
        super().__init__()
        self.datagrams: list[tuple[bytes, object]] = []

    def sendto(self, data: object, addr: object = None) -> None:
        assert isinstance(data, bytes)
        self.datagrams.append((data, addr))


@pytest.fixture
def sent() -> Iterator[Sent]:
    yield Sent()


def protocol(gate: Gate, sent: Sent) -> FilteredProtocol:
    made = FilteredProtocol(gate.connection, gate.filter)
    made.connection_made(sent)
    made.local_candidate = Candidate("1", 1, "udp", 1, "192.0.2.9", 1, "host")
    return made


async def test_strangers_are_asked_for_no_more_than_the_allowance(sent: Sent) -> None:
    gate = Gate(allowance=100)
    socket = protocol(gate, sent)
    question = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    for port in range(9):
        socket.send_stun(question, ("203.0.113.1", port))
    assert sum(len(data) for data, _ in sent.datagrams) == 100
    assert gate.filter.dropped == {"allowance": 4}
    # Answers, and questions to who has proved itself, are free.
    socket.send_stun(stun.Message(stun.Method.BINDING, stun.Class.RESPONSE), HOME)
    gate.reason(gate.check(), socket=socket)
    socket.send_stun(question, HOME)
    assert [addr for _, addr in sent.datagrams[-2:]] == [HOME, HOME]


async def test_a_datagram_that_breaks_something_is_only_counted(
    gate: Gate, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise AssertionError

    socket = protocol(gate, sent)
    monkeypatch.setattr(gate.connection, "request_received", broken)
    socket.datagram_received(gate.check(), ("2001:db8::1", 5000, 0, 0))
    socket.datagram_received(b"", HOME)
    assert gate.filter.dropped == {"broken": 1, "empty": 1}
    # Of an IPv6 address two parts count.
    assert gate.filter.has_proved(socket, ("2001:db8::1", 5000))


async def found(candidates: list[Candidate]) -> list[Candidate]:
    return candidates


async def test_who_has_answered_our_check_is_let_through(
    gate: Gate, sent: Sent
) -> None:
    """As a server with ICE lite, which sends none of its own."""
    socket = protocol(gate, sent)
    connection = gate.connection
    connection.remote_password = "x" * 22
    far = Candidate("1", 1, "udp", 1, HOME[0], HOME[1], "host")
    await connection.add_remote_candidate(far)
    private.adopt(connection, socket)
    private.gather_with(connection, lambda **_: found([socket.local_candidate]))
    await connection.gather_candidates()
    connecting = asyncio.create_task(connection.connect())
    await until(lambda: sent.datagrams)
    assert gate.reason(DTLS, socket=socket) == "stranger"
    request = stun.parse_message(sent.datagrams[0][0])
    response = stun.Message(
        stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id
    )
    response.attributes["XOR-MAPPED-ADDRESS"] = ("192.0.2.9", 1)
    response.add_message_integrity(b"x" * 22)
    socket.datagram_received(bytes(response), HOME)
    await until(lambda: gate.reason(DTLS, socket=socket) is None)
    connecting.cancel()
    await asyncio.wait([connecting])
