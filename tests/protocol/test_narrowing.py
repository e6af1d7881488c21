from __future__ import annotations

import re

import pytest
from aiortc.sdp import SessionDescription

from offhook.errors import InvalidRequest
from offhook.protocol.narrowing import narrowed
from offhook.protocol.sdp import check_offer
from tests.protocol.offers import BROWSERS, mutant

FIREFOX = check_offer(BROWSERS["firefox"])

# All that may be left of an offer: nothing else reaches aiortc.
LINE = re.compile(
    r"v=0|o=- 0 0 IN IP4 0\.0\.0\.0|s=-|t=0 0|a=group:BUNDLE( \S{1,32}){1,3}"
    r"|m=(audio|video) 9 UDP/TLS/RTP/SAVPF \d{2,3}|c=IN IP4 0\.0\.0\.0"
    r"|m=application 9 UDP/DTLS/SCTP webrtc-datachannel|a=mid:\S{1,32}"
    r"|a=ice-(ufrag|pwd):[\w+/]{4,256}|a=setup:(actpass|active|passive)"
    r"|a=fingerprint:(?i:sha-(256|384|512)) [0-9A-Fa-f:]+|a=rtcp-mux"
    r"|a=rtpmap:\d{2,3} (?i:opus/48000/2|VP8/90000)"
    r"|a=(sendrecv|sendonly|recvonly|inactive)|a=ssrc:\d{1,10} cname:-"
    r"|a=extmap:\d{1,2} urn:ietf:params:rtp-hdrext:(sdes:mid|ssrc-audio-level)"
    r"|a=sctp-port:\d{1,5}|a=max-message-size:\d{1,19}|a=candidate:.*",
    re.ASCII,
)


def check(text: str) -> None:
    lines = text.removesuffix("\r\n").split("\r\n")
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert len(lines) < 60
    SessionDescription.parse(text)


@pytest.mark.parametrize("browser", BROWSERS)
def test_the_offers_of_browsers_pass(browser: str) -> None:
    text = narrowed(check_offer(BROWSERS[browser]))
    check(text)
    assert len(text) < 1400
    description = SessionDescription.parse(text)
    kinds = [(media.kind, media.rtp.muxId) for media in description.media]
    assert kinds == [("audio", "0"), ("video", "1"), ("application", "2")]
    codecs = [c.mimeType for m in description.media for c in m.rtp.codecs]
    assert codecs == ["audio/opus", "video/VP8"]
    given = SessionDescription.parse(BROWSERS[browser].decode())
    for kept, media in zip(description.media, given.media, strict=True):
        assert kept.ice == media.ice
        assert kept.dtls == media.dtls
        assert kept.direction == (media.direction if kept.rtp.codecs else None)
    assert description.media[0].ssrc[0].ssrc == given.media[0].ssrc[0].ssrc
    assert description.media[2].sctp_port == 5000


def test_candidates_are_those_that_are_given() -> None:
    offer = check_offer(BROWSERS["chromium"])
    assert "a=candidate:" in offer
    assert "a=candidate:" not in narrowed(offer)
    text = narrowed(offer, ["1 1 udp 1 192.0.2.1 5000 typ host"])
    description = SessionDescription.parse(text)
    assert [len(media.ice_candidates) for media in description.media] == [1, 0, 0]
    # Otherwise aiortc would fail at the first disappointment.
    assert not any(media.ice_candidates_complete for media in description.media)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("a=group:BUNDLE 0 1 2", "a=group:BUNDLE 0 1", "BUNDLE leaves an m-line out"),
        ("a=group:BUNDLE 0 1 2\r\n", "", "a=group is missing"),
        ("a=mid:2\r\n", "", "a=mid is missing"),
        ("a=setup:actpass", "a=setup:holdconn", "a=setup is missing or malformed"),
        ("a=rtcp-mux\r\n", "", "a=rtcp-mux"),
        ("UDP/TLS/RTP/SAVPF 109", "RTP/AVP 109", "not encrypted"),
        ("opus/48000/2", "opus/48000", "does not offer Opus"),
        ("a=rtpmap:109 ", "a=rtpmap:63 ", "does not offer Opus"),
        ("SAVPF 109 ", "SAVPF ", "does not offer Opus"),
        ("VP8/90000", "VP9/90000", "does not offer VP8"),
        ("webrtc-datachannel", "5000", "not a data channel"),
        ("a=sctp-port:5000\r\n", "", "a=sctp-port is missing"),
        ("a=sctp-port:5000", "a=sctp-port:0", "a=sctp-port or"),
        ("a=sctp-port:5000", "a=sctp-port:65536", "a=sctp-port or"),
        ("a=max-message-size:1", "a=max-message-size:x", "a=max-message-size is"),
    ],
)
def test_what_our_peer_cannot_answer_is_refused(
    old: str, new: str, reason: str
) -> None:
    # Some of these `check_offer` refuses already, where they come in.
    changed = FIREFOX.replace(old, new)
    assert changed != FIREFOX
    with pytest.raises(InvalidRequest) as caught:
        narrowed(changed)
    assert (caught.value.status, caught.value.code) == (400, "invalid_offer")
    assert reason in str(caught.value)


def test_one_line_needs_no_group() -> None:
    audio = FIREFOX[: FIREFOX.index("m=video")].replace("a=group:BUNDLE 0 1 2\r\n", "")
    check(narrowed(audio))


def test_the_first_of_the_bundle_has_the_transport() -> None:
    changed = FIREFOX.replace("BUNDLE 0 1 2", "BUNDLE 2 0 1")
    at = changed.index("m=application")
    changed = changed[:at] + changed[at:].replace("a=ice-ufrag:", "a=ice-ufrag:data")
    text = narrowed(changed, ["1 1 udp 1 192.0.2.1 5000 typ host"])
    assert set(re.findall("a=ice-ufrag:(.*)\r", text)) == {"data4872a381"}
    last = SessionDescription.parse(text).media[2]
    assert (last.kind, len(last.ice_candidates)) == ("application", 1)


def test_without_a_size_messages_are_small() -> None:
    changed = re.sub("a=max-message-size:.*\r\n", "", FIREFOX)
    assert "a=max-message-size:65536\r\n" in narrowed(changed)


def test_what_comes_in_numbers_is_cut() -> None:
    prints = "".join(f"a=fingerprint:sha-512 {n:02X}{':00' * 63}\r\n" for n in range(9))
    many = FIREFOX.replace("a=fingerprint", f"{prints}a=fingerprint", 1)
    with pytest.raises(InvalidRequest, match="fingerprint"):
        narrowed(many.replace("sha-256", "\u017fha-256"))
    more = FIREFOX.replace("a=ssrc:2651735720", "a=ssrc:1 x\r\na=ssrc:2 x\r\na=ssrc:3")
    assert re.findall("a=ssrc:.*", narrowed(more))[0] == "a=ssrc:1 cname:-\r"
    assert len(re.findall("a=ssrc:", narrowed(more))) == 2  # one of each m-line


def test_mutants_are_refused_or_harmless() -> None:
    passed = 0
    for seed in range(4000):
        try:
            text = narrowed(check_offer(mutant(seed)))
        except InvalidRequest as error:
            assert (error.status, error.code) == (400, "invalid_offer")
        else:
            passed += 1
            check(text)
    # If all were refused, or none, they would not be mutants of offers.
    assert 400 < passed < 3600
