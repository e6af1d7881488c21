"""Rewrites an offer so that a peer with one voice and one data channel needs no more.

Every value in the result was matched, so that the parser behind it can neither
stumble nor toil: its time grows with the product of some lines' numbers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from offhook.protocol.sdp import invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_AUDIO = r"(?:UDP|TCP)/TLS/RTP/SAVPF"
_DATA = r"(?:UDP|TCP)/DTLS/SCTP"
# RFC 8122 §5, with as many bytes as aiortc compares.
_FINGERPRINT = re.compile(
    "(?i:{})".format(
        "|".join(
            rf"sha-{bits} [0-9a-f]{{2}}(?::[0-9a-f]{{2}}){{{bits // 8 - 1}}}"
            for bits in (256, 384, 512)
        )
    ),
    re.ASCII,
)
# Few: each is compared with the caller's certificate.
_MAX_FINGERPRINTS = 4
_CODECS = {
    # RFC 3551 §3: 96 to 127 are free, and only those does aiortc take over.
    "audio": re.compile(r"(9[6-9]|1[01]\d|12[0-7]) (?i:opus/48000/2)", re.ASCII),
    # A camera is declined, in a codec that every browser has (RFC 7742 §5).
    "video": re.compile(r"(9[6-9]|1[01]\d|12[0-7]) (?i:VP8/90000)", re.ASCII),
}
_EXTENSION = re.compile(
    r"([1-9]|1[0-4])(?:/\w+)? "
    r"(urn:ietf:params:rtp-hdrext:(?:sdes:mid|ssrc-audio-level))",
    re.ASCII,
)
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
# RFC 8841 §6.1: where an offer does not say.
_MESSAGE_SIZE = "65536"


def narrowed(offer: str, candidates: Sequence[str] = ()) -> str:
    """Rewrite an offer for our own peer.

    Args:
        offer: One that `check_offer` has passed.
        candidates: The values of `a=candidate` to put in; none of the offer's stays.

    Raises:
        InvalidRequest: `invalid_offer`: it is not one of WebRTC with Opus.
    """
    session, sections = _split(offer)
    mids = [_first("mid", r"\S+", section) for section in sections]
    if len(sections) > 1:
        bundle = _first("group", r"BUNDLE( \S+)+", session).split()[1:]
        if set(bundle) != set(mids):
            raise invalid("its BUNDLE leaves an m-line out")
    else:
        bundle = mids
    # RFC 9143 §7.3: the m-line that is named first has the transport of all.
    transport = _transport(sections[mids.index(bundle[0])], session)
    lines = ["v=0", "o=- 0 0 IN IP4 0.0.0.0", "s=-", "t=0 0"]
    lines.append(f"a=group:BUNDLE {' '.join(bundle)}")
    for mid, section in zip(mids, sections, strict=True):
        lines += [*_media(section), f"a=mid:{mid}", *transport]
        if mid == bundle[0]:
            lines += [f"a=candidate:{candidate}" for candidate in candidates]
    return "".join(f"{line}\r\n" for line in lines)


def _split(offer: str) -> tuple[list[str], list[list[str]]]:
    sections: list[list[str]] = [[]]
    for line in offer.splitlines():
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    return sections[0], sections[1:]


def _values(section: list[str], name: str) -> list[str]:
    prefix = f"a={name}:"
    return [line[len(prefix) :] for line in section if line.startswith(prefix)]


def _first(name: str, pattern: str, *sections: list[str]) -> str:
    """Return the first value that fits, of the first section that has any."""
    for section in sections:
        for value in _values(section, name):
            if re.fullmatch(pattern, value, re.ASCII):
                return value
    raise invalid(f"a={name} is missing or malformed")


def _transport(section: list[str], session: list[str]) -> list[str]:
    lines = [
        f"a={name}:{_first(name, pattern, section, session)}"
        for name, pattern in (
            ("ice-ufrag", r"\S+"),
            ("ice-pwd", r"\S+"),
            ("setup", "actpass|active|passive"),
        )
    ]
    given = _values(section, "fingerprint") or _values(session, "fingerprint")
    prints = [value for value in given if _FINGERPRINT.fullmatch(value)]
    if not any(value.lower().startswith("sha-256") for value in prints):
        raise invalid("a=fingerprint is missing or malformed")
    return lines + [f"a=fingerprint:{value}" for value in prints[:_MAX_FINGERPRINTS]]


def _media(section: list[str]) -> Iterator[str]:
    kind, _, profile, *formats = section[0][2:].split()
    if kind == "application":
        if not re.fullmatch(_DATA, profile) or formats != ["webrtc-datachannel"]:
            raise invalid("its m=application is not a data channel of WebRTC")
        port = _first("sctp-port", r"\d{1,5}", section)
        size = (_values(section, "max-message-size") or [_MESSAGE_SIZE])[0]
        if not 0 < int(port) < 2**16 or not re.fullmatch(r"[0-9]{1,19}", size):
            raise invalid("a=sctp-port or a=max-message-size is malformed")
        yield "m=application 9 UDP/DTLS/SCTP webrtc-datachannel"
        yield from ("c=IN IP4 0.0.0.0", f"a=sctp-port:{port}")
        yield f"a=max-message-size:{size}"
        return
    if not re.fullmatch(_AUDIO, profile) or "a=rtcp-mux" not in section:
        raise invalid(f"its m={kind} is not encrypted, or without a=rtcp-mux")
    codec = _codec(section, kind, formats)
    yield f"m={kind} 9 UDP/TLS/RTP/SAVPF {codec.split()[0]}"
    yield from ("c=IN IP4 0.0.0.0", "a=rtcp-mux", f"a=rtpmap:{codec}")
    yield next(
        (f"a={way}" for way in _DIRECTIONS if f"a={way}" in section), "a=sendrecv"
    )
    yield from _extensions(section)
    for value in _values(section, "ssrc"):
        source, _, rest = value.partition(" ")
        if re.fullmatch(r"[0-9]{1,10}", source) and int(source) < 2**32 and rest:
            yield f"a=ssrc:{source} cname:-"
            break


def _codec(section: list[str], kind: str, formats: list[str]) -> str:
    for value in _values(section, "rtpmap"):
        match = _CODECS[kind].fullmatch(value)
        if match and match[1] in formats:
            return value
    name = "Opus" if kind == "audio" else "VP8"
    raise invalid(f"its m={kind} does not offer {name}")


def _extensions(section: list[str]) -> Iterator[str]:
    taken: dict[str, str] = {}
    for value in _values(section, "extmap"):
        match = _EXTENSION.fullmatch(value)
        if match and match[1] not in taken and match[2] not in taken.values():
            taken[match[1]] = match[2]
            yield f"a=extmap:{match[1]} {match[2]}"
