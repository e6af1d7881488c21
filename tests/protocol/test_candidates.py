from __future__ import annotations

from ipaddress import ip_network

import pytest

from offhook.protocol.candidates import MAX_CANDIDATES, admitted, may_reach


def line(address: str, port: int = 5000, kind: str = "host", proto: str = "udp") -> str:
    return f"a=candidate:1 1 {proto} 2122260223 {address} {port} typ {kind}"


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::",
    ],
)
def test_public_addresses_may_be_reached(address: str) -> None:
    assert may_reach(address)
    assert may_reach(address, lan=True)


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "172.31.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "fd12::1",
        "::ffff:10.0.0.1",
        "64:ff9b::c0a8:101",
        "2002:a00:1::",
    ],
)
def test_private_addresses_only_where_the_operator_says_so(address: str) -> None:
    assert not may_reach(address)
    assert may_reach(address, lan=True)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "192.88.99.1",
        "224.0.0.251",
        "239.1.2.3",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fd00:ec2::254",
        "ff02::fb",
        "2001:db8::1",
        "2001::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "localhost",
        "example.com",
        "1f4712db-ea17-4bcf-a596-105139dfd8bf.local",
        "127.1",
        "0x7f000001",
        "2130706433",
        "",
    ],
)
def test_some_are_never_reached(address: str) -> None:
    assert not may_reach(address)
    assert not may_reach(address, lan=True)
    assert admitted(f"{line(address)}\r\n", lan=True) == []


def test_the_servers_own_subnets_are_private() -> None:
    own = [ip_network("8.8.8.0/24"), ip_network("2606:4700::/32")]
    for address in ("8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8"):
        assert not may_reach(address, own=own)
        assert may_reach(address, own=own, lan=True)
    assert may_reach("8.8.4.4", own=own)


def test_a_candidate_is_written_anew() -> None:
    offer = f"{line('8.8.8.8')} raddr 10.0.0.1 rport 9 generation 0 x\r\n"
    assert admitted(offer) == ["1 1 udp 2122260223 8.8.8.8 5000 typ host"]
    assert admitted(f"{line('::ffff:8.8.8.8')}\r\n") == admitted(offer)
    assert admitted(f"{line('8.8.8.8', proto='UDP')}\r\n") == admitted(offer)


@pytest.mark.parametrize(
    "refused",
    [
        line("8.8.8.8", proto="tcp"),
        line("8.8.8.8", port=0),
        line("8.8.8.8", port=53),
        line("8.8.8.8", port=65536),
        line("8.8.8.8", kind="prflx"),
        line("8.8.8.8").replace(" 1 udp", " 2 udp"),
        line("8.8.8.8").replace("2122260223", "4294967296"),
        line("8.8.8.8").replace("candidate:1", "candidate:é"),
        line("8.8.8.8")[:-5],
        "a=candidate:",
    ],
)
def test_others_are_not_used(refused: str) -> None:
    assert admitted(f"{refused}\r\n") == []


def test_no_more_than_ten_count_and_each_once() -> None:
    many = "".join(f"{line(f'8.8.{n}.8')}\r\n" * 3 for n in range(100))
    kept = admitted(many)
    assert len(kept) == len(set(kept)) == MAX_CANDIDATES
    assert kept[-1] == "1 1 udp 2122260223 8.8.9.8 5000 typ host"
    # Those that are refused take no place.
    assert admitted(f"{line('10.0.0.1')}\r\n" * 50 + many) == kept
