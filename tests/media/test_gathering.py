from __future__ import annotations

import re
import socket
import time
from contextlib import ExitStack

import pytest

from offhook.errors import ServerError
from offhook.media.network import Network
from offhook.media.peer import Peer
from offhook.media.servers import IceServers
from tests.media.calls import Call, Ear, address_of, nothing
from tests.media.test_servers import stun_server
from tests.protocol.offers import BROWSERS

pytestmark = pytest.mark.anyio

OFFER = BROWSERS["firefox"].decode()


async def candidates(network: Network, servers: IceServers | None = None) -> list[str]:
    """The candidates of an answer, as `host port typ … raddr … rport …`."""
    async with Peer(Ear(), nothing, network=network, servers=servers) as peer:
        answer = await peer.answer(OFFER)
    return re.findall(r"^a=candidate:\S+ 1 udp \d+ (.*)\r$", answer, re.M)


def free_ports(count: int) -> range:
    """Some ports in a row that nobody has."""
    for first in range(40_000, 60_000, count):
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    stack.enter_context(opened)
                    opened.bind(("", port))
            except OSError:
                continue
            return range(first, first + count)
    raise AssertionError


async def test_calls_use_the_ports_that_they_may() -> None:
    ports = free_ports(3)
    async with Call(network=Network(ports=ports)) as call:
        answer = await call.answered()
        assert address_of(answer)[1] in ports
        await call.accept(answer)
        await call.open()


async def test_a_caller_for_whom_no_port_is_left_may_come_again() -> None:
    ports = free_ports(2)
    network = Network(ports=ports)
    with ExitStack() as stack:
        hosts = {line.split()[0] for line in await candidates(network)}
        for host in hosts:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            for port in ports:
                taken = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
                taken.bind((host, port))
        with pytest.raises(ServerError) as caught:
            await candidates(network)
    assert (caught.value.status, caught.value.code) == (503, "server_busy")
    assert caught.value.retry_after == "5"
    assert await candidates(network)


async def test_the_address_outside_is_offered_beside_that_inside() -> None:
    found = await candidates(Network(address="198.51.100.7"))
    inside = [line.split()[:2] for line in found if line.endswith("typ host")]
    ipv4 = [(host, port) for host, port in inside if ":" not in host]
    assert [line for line in found if "srflx" in line] == [
        f"198.51.100.7 {port} typ srflx raddr {host} rport {port}"
        for host, port in ipv4
    ]
    assert ipv4


async def test_a_stun_server_tells_our_address() -> None:
    async with stun_server() as (_, named):
        network = Network((named,))
        async with IceServers(network) as servers:
            found = await candidates(network, servers)
    assert [line for line in found if line.startswith("198.51.100.7 ")]


async def test_a_dead_stun_server_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("offhook.media.servers.ANSWER_SECONDS", 0.2)
    async with stun_server(up=False) as (server, named):
        network = Network((named,))
        async with IceServers(network) as servers:
            await servers.usable()
            questions = server.questions
            assert await candidates(network, servers)
            # Nobody was asked, so that nobody was waited for.
            assert server.questions == questions


async def test_one_that_has_just_died_holds_up_one_call_by_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("offhook.media.gathering.ANSWER_SECONDS", 0.2)
    async with stun_server() as (server, named):
        network = Network((named,))
        async with IceServers(network) as servers:
            assert await servers.usable() == [named]
            server.up = False
            began = time.monotonic()
            assert await candidates(network, servers)
            assert 0.2 <= time.monotonic() - began < 3
            assert await servers.usable() == []
