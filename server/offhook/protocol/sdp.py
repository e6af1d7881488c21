"""Looks at an SDP offer before anything expensive or paid for does.

Bounded and pure: each line is looked at once, and the bytes are never changed.
A full parser may take 180 ms for an offer of 200 m-lines and accepts offers
without a fingerprint; this one refuses both.
"""

from __future__ import annotations

import re

from offhook.errors import InvalidRequest

MAX_BYTES = 16 * 1024
MAX_LINE = 4 * 1024
MAX_MEDIA = 3  # audio, the data channel, and a camera

# No control characters, and none of Unicode's line ends: a later parser that splits
# at those would see lines that were not counted here.
_LINE = re.compile(r"[a-z]=[^\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]*")
_MEDIA = re.compile(r"m=(audio|video|application) \d{1,5}(/\d{1,5})? \S+ \S.*")
_NEEDED = {
    # RFC 8839 §5.4: 4 to 256 ice-chars, and 22 to 256 for the password.
    "ice-ufrag": re.compile(r"[A-Za-z0-9+/]{4,256}"),
    "ice-pwd": re.compile(r"[A-Za-z0-9+/]{22,256}"),
    # RFC 8122 §5; further hashes may follow, but WebRTC needs SHA-256.
    "fingerprint": re.compile(r"(?i:sha-256) [0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31}"),
}
_MID = re.compile(r"[!#$%&'*+.^_`{|}~\w-]{1,32}", re.ASCII)


def check_offer(offer: bytes) -> str:
    """Check that this may be an offer of one audio call, and return its text.

    Raises:
        InvalidRequest: It is not; the message says what is wrong.
    """
    if not offer.strip():
        raise invalid("it is empty")
    if len(offer) > MAX_BYTES:
        raise invalid(f"it is larger than {MAX_BYTES // 1024} KiB")
    try:
        text = offer.decode()
    except UnicodeDecodeError:
        raise invalid("it is not UTF-8 text") from None
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if lines[0] != "v=0":
        raise invalid("it does not start with v=0")
    if lines.pop():
        raise invalid("its last line has no end: send the SDP as it is, unstripped")
    _check_lines(lines)
    _check_media([line for line in lines if line.startswith("m=")])
    _check_attributes(lines)
    _check_bundle(lines)
    return text


def _check_lines(lines: list[str]) -> None:
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE:
            raise invalid(f"line {number} is longer than {MAX_LINE} characters")
        if not _LINE.fullmatch(line):
            raise invalid(f"line {number} is not of the form x=…")


def _check_media(media: list[str]) -> None:
    if len(media) > MAX_MEDIA:
        raise invalid(f"it has more than {MAX_MEDIA} m-lines")
    if not all(_MEDIA.fullmatch(line) for line in media):
        raise invalid("an m-line is malformed")
    # RFC 3264 §6: port 0 is an m-line that is not wanted.
    if not any(re.match(r"m=audio (?!0[ /])", line) for line in media):
        raise invalid("it has no audio m-line")


def _check_attributes(lines: list[str]) -> None:
    for name, value in _NEEDED.items():
        prefix = f"a={name}:"
        given = [line[len(prefix) :] for line in lines if line.startswith(prefix)]
        if not given:
            raise invalid(f"it has no a={name}")
        # Of several fingerprints one has to be SHA-256; the others may differ.
        enough = any if name == "fingerprint" else all
        if not enough(value.fullmatch(text) for text in given):
            raise invalid(f"its a={name} is malformed")


def _check_bundle(lines: list[str]) -> None:
    """Check that what is to share a transport is there (RFC 9143 §7.2)."""
    mids = [line[6:] for line in lines if line.startswith("a=mid:")]
    if not all(map(_MID.fullmatch, mids)) or len(set(mids)) < len(mids):
        raise invalid("its a=mid are malformed or not unique")
    groups = [line.split()[1:] for line in lines if line.startswith("a=group:BUNDLE")]
    if len(groups) > 1:
        raise invalid("it has more than one BUNDLE")
    for group in groups:
        if not group or len(set(group)) < len(group) or not set(mids).issuperset(group):
            raise invalid("its BUNDLE names an unknown mid, none, or one twice")


def invalid(reason: str) -> InvalidRequest:
    """Make the error of an offer that cannot be answered."""
    return InvalidRequest(f"Invalid SDP offer: {reason}.", code="invalid_offer")
