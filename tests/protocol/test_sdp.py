from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from offhook.errors import InvalidRequest
from offhook.protocol.sdp import MAX_BYTES, check_offer
from tests.protocol.offers import BROWSERS

SHA_256 = "a=fingerprint:sha-256 " + ":".join(["0F"] * 32)
LINES = [
    "v=0",
    "o=- 1 2 IN IP4 127.0.0.1",
    "s=-",
    "t=0 0",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 0",
    "a=ice-ufrag:ab+/",
    "a=ice-pwd:0123456789abcdefghijkl",
    SHA_256,
    "a=candidate:1 1 udp 1 192.0.2.1 9 typ host",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "a=end-of-candidates",
]


def sdp(*lines: str, end: str = "\r\n") -> bytes:
    return "".join(line + end for line in lines).encode()


def with_line(old: str, *new: str) -> bytes:
    changed: list[str] = []
    for line in LINES:
        changed += new if line.startswith(old) else [line]
    assert changed != LINES
    return sdp(*changed)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_an_offer_passes(end: str) -> None:
    offer = sdp(*LINES, end=end)
    assert check_offer(offer).encode() == offer


def test_further_fingerprints_and_a_camera_pass() -> None:
    check_offer(with_line("a=fingerprint", "a=fingerprint:sha-512 00", SHA_256))
    check_offer(sdp(*LINES, "m=video 9 UDP/TLS/RTP/SAVPF 96"))


@pytest.mark.parametrize(
    ("offer", "reason"),
    [
        (b"", "empty"),
        (b"\r\n", "empty"),
        (b"hello\r\n", "v=0"),
        (b" v=0\r\n", "v=0"),
        (b"v=0\r\n", "no audio"),
        (b"v=0\r\ns=\xff\r\n", "UTF-8"),
        (sdp(*LINES).strip(), "unstripped"),
        (sdp(*LINES, "a=" + "x" * MAX_BYTES), "16 KiB"),
        (sdp(*LINES, "a=" + "x" * 4095), "line 12 is longer"),
        (sdp(*LINES, "hello"), "line 12 is not"),
        (sdp(*LINES, ""), "line 12 is not"),
        (sdp(*LINES, "a=x\x00"), "line 12 is not"),
        (sdp(*LINES, "a=x\rm=audio"), "line 12 is not"),
        (sdp(*LINES, "a=x\u2028m=audio"), "line 12 is not"),
        (sdp(*LINES, "a=x\u0085m=audio"), "line 12 is not"),
        (sdp(*LINES, *["m=video 9 RTP/AVP 96"] * 2), "more than 3"),
        (with_line("m=audio", "m=video 9 RTP/AVP 96"), "no audio"),
        (with_line("m=audio", "m=audio 0 RTP/AVP 0"), "no audio"),
        (with_line("m=audio", "m=audio"), "malformed"),
        (with_line("m=audio", "m=audio x RTP/AVP 0"), "malformed"),
        (with_line("m=application", "m=image 9 udptl t38"), "malformed"),
        (with_line("a=ice-ufrag"), "no a=ice-ufrag"),
        (with_line("a=ice-ufrag", "a=ice-ufrag:abc"), "ice-ufrag is malformed"),
        (with_line("a=ice-ufrag", "a=ice-ufrag:ab cd"), "ice-ufrag is malformed"),
        (with_line("a=ice-pwd"), "no a=ice-pwd"),
        (with_line("a=ice-pwd", "a=ice-pwd:short"), "ice-pwd is malformed"),
        (with_line("a=fingerprint"), "no a=fingerprint"),
        (with_line("a=fingerprint", "a=fingerprint:sha-999 00"), "malformed"),
        (with_line("a=fingerprint", SHA_256[:-3]), "fingerprint is malformed"),
    ],
)
def test_another_offer_is_refused_with_its_reason(offer: bytes, reason: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        check_offer(offer)
    assert (error.value.status, error.value.code) == (400, "invalid_offer")
    assert reason in str(error.value)


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_get_a_verdict(offer: bytes) -> None:
    try:
        text = check_offer(offer)
    except InvalidRequest as error:
        assert error.code == "invalid_offer"
    else:
        assert text.encode() == offer


@given(
    st.integers(0, len(LINES)),
    st.text(max_size=40),
    st.sampled_from(["", "a=", "m=", "m=audio ", "a=fingerprint:", "a=ice-pwd:"]),
)
@example(11, "\x85m=audio 9 RTP/AVP 0", "a=x")
def test_what_passes_is_bounded_for_every_later_parser(
    place: int, text: str, start: str
) -> None:
    offer = sdp(*LINES[:place], start + text, *LINES[place:])
    try:
        passed = check_offer(offer)
    except InvalidRequest:
        return
    assert passed.encode() == offer
    lines = passed.splitlines()
    assert len(lines) == passed.count("\n")
    assert sum(line.startswith("m=") for line in lines) <= 3


@pytest.mark.parametrize("browser", BROWSERS)
def test_the_offers_of_browsers_pass(browser: str) -> None:
    assert check_offer(BROWSERS[browser]).encode() == BROWSERS[browser]


@pytest.mark.parametrize(
    ("group", "mids", "reason"),
    [
        ("0 1", ("0", "1"), None),
        ("1 0", ("0", "1"), None),
        ("0", ("0", "1"), None),
        ("7 1", ("0", "1"), "BUNDLE names an unknown mid"),
        ("0 0", ("0", "1"), "BUNDLE names an unknown mid"),
        ("", ("0", "1"), "BUNDLE names an unknown mid"),
        ("0 1", ("0", "0"), "not unique"),
        ("0 1", ("0", "a b"), "a=mid are malformed"),
        ("0 1\r\na=group:BUNDLE 0", ("0", "1"), "more than one BUNDLE"),
    ],
)
def test_a_bundle_is_of_lines_that_are_there(
    group: str, mids: tuple[str, str], reason: str | None
) -> None:
    audio, data = (f"a=mid:{mid}" for mid in mids)
    offer = sdp(
        *LINES[:4], f"a=group:BUNDLE {group}", *LINES[4:9], audio, LINES[9], data
    )
    if reason is None:
        check_offer(offer)
    else:
        with pytest.raises(InvalidRequest, match=reason):
            check_offer(offer)
