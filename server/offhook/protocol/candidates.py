"""Which of a caller's addresses our peer may send a packet to.

Whoever writes an offer chooses the addresses in it. A peer that tries them all is a
port scanner inside the operator's network, and a cannon outside of it.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from ipaddress import IPv4Network, IPv6Network

    Network = IPv4Network | IPv6Network
    Address = IPv4Address | IPv6Address

MAX_CANDIDATES = 10

# RFC 8839 §5.1. One component: RTCP is multiplexed.
_CANDIDATE = re.compile(
    r"a=candidate:([\w+/-]{1,32}) 1 (?:udp|UDP) (\d{1,10}) ([\w.:]{2,45}) (\d{1,5})"
    r" typ (host|srflx|relay)(?: .*)?",
    re.ASCII,
)
# IPv6 addresses that a gateway turns into the IPv4 address at their end: NAT64
# (RFC 6052, RFC 8215) and what RFC 4291 §2.5.5.1 calls compatible.
_EMBEDDING = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/96", "::/96")))
_LAN = tuple(
    map(
        ip_network,
        ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
    )
)
# Deprecated, and still global in the registries: site-local and 6to4's relays.
_NEVER = tuple(map(ip_network, ("fec0::/10", "192.88.99.0/24")))
# What answers to machines in a cloud, at addresses that look public or private.
_METADATA = frozenset(
    map(
        ip_address,
        # Azure, Alibaba, Oracle, AWS over IPv6; the common one is link-local.
        ("168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"),
    )
)


def admitted(
    offer: str, *, lan: bool = False, own: Sequence[Network] = ()
) -> list[str]:
    """Return the candidates of an offer that may be tried, as values of `a=candidate`.

    Args:
        offer: One that `check_offer` has passed.
        lan: Admit private addresses and the server's own subnets.
        own: The server's own subnets.
    """
    found = dict.fromkeys(_usable(offer, lan, own))
    return list(found)[:MAX_CANDIDATES]


def may_reach(address: str, *, lan: bool = False, own: Sequence[Network] = ()) -> bool:
    """Tell whether an address, as numbers, is one that a caller may have."""
    try:
        given = ip_address(address)
    except ValueError:
        return False
    reached = _reached(given)
    if any(
        (
            reached in _METADATA,
            reached.is_loopback,
            reached.is_link_local,
            reached.is_multicast,
            reached.is_reserved,
            reached.is_unspecified,
            any(reached in network for network in _NEVER),
        )
    ):
        return False
    if any(reached in network for network in _LAN):
        return lan
    if any(reached in network or given in network for network in own):
        return lan
    # IANA's registries: without documentation, benchmarks, Teredo and the like.
    return reached.is_global


def _usable(offer: str, lan: bool, own: Sequence[Network]) -> Iterator[str]:
    for line in offer.splitlines():
        match = _CANDIDATE.fullmatch(line)
        if match is None:
            continue
        foundation, priority, host, port, kind = match.groups()
        # Below 1024 there are services, and no caller.
        if not 1024 <= int(port) <= 65535 or int(priority) >= 2**32:
            continue
        if may_reach(host, lan=lan, own=own):
            address = ip_address(host)
            address = getattr(address, "ipv4_mapped", None) or address
            yield f"{foundation} 1 udp {priority} {address} {port} typ {kind}"


def _reached(address: Address) -> Address:
    """Undo what hides an IPv4 address in an IPv6 one (as in CVE-2020-26262)."""
    if isinstance(address, IPv4Address):
        return address
    hidden = address.ipv4_mapped or address.sixtofour
    if hidden is None and any(address in network for network in _EMBEDDING):
        hidden = IPv4Address(int(address) & 0xFFFFFFFF)
    return hidden or address
