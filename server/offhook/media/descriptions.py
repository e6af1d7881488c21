"""What aiortc does not check in the session descriptions that it takes."""

from __future__ import annotations

from aiortc.sdp import SessionDescription


def check_bundle(sdp: str) -> None:
    """Refuse a BUNDLE of lines that are not there (RFC 9143 §7.2).

    aiortc would leave the others without a transport, and could not even close.

    Raises:
        ValueError: There is one, or this is no description.
    """
    description = SessionDescription.parse(sdp)
    mids = {media.rtp.muxId for media in description.media}
    for group in description.group:
        if not mids.issuperset(group.items):
            raise ValueError("a group names an unknown mid")
