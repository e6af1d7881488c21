"""Audio of one of the session's formats as audio of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from offhook.errors import InvalidRequest, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offhook.protocol.wire_audio import WireAudio

ULAW = {"type": "audio/pcmu"}


class Transcoder:
    """Turns one stretch of audio into another format, chunk by chunk.

    Nothing is done, and nothing needed, where the formats are the same.

    Args:
        source: A format as in a session: `{"type": "audio/pcm", "rate": 24000}`.
        target: Another.

    Raises:
        InvalidRequest: A format is none that the Realtime API has.
        MissingExtra: The formats differ, and the resampler is not installed.
    """

    def __init__(self, source: Mapping[str, Any], target: Mapping[str, Any]) -> None:
        self._steps: tuple[WireAudio, WireAudio] | None = None
        kinds = [_kind(source), _kind(target)]
        if kinds[0] != kinds[1]:
            first, second = (_wire_audio(kind) for kind in kinds)
            self._steps = first, second

    def feed(self, data: bytes, last: bool = False) -> bytes:
        """Take audio and give what is ready.

        Args:
            data: What comes next.
            last: Whether it ends here; gives the rest, and nothing may follow.

        Raises:
            ValueError: Half a sample.
        """
        if self._steps is None:
            return data
        source, target = self._steps
        return target.encode(source.decode(data, last), last)


def _kind(format_: Mapping[str, Any]) -> str:
    match format_:
        case {"type": "audio/pcmu" | "audio/pcma" as kind}:
            return str(kind)
        case {"type": "audio/pcm", **more} if more.get("rate", 24000) == 24000:
            return "audio/pcm"
    raise InvalidRequest(
        f"Audio cannot be of format {format_!r}: use {{'type': 'audio/pcmu'}}, "
        "'audio/pcma', or 'audio/pcm' with a rate of 24000.",
        code="invalid_value",
        param="format",
    )


def _wire_audio(kind: str) -> WireAudio:
    try:
        from offhook.protocol.wire_audio import WireAudio
    except ImportError as error:
        raise MissingExtra("media", str(error.name)) from None
    return WireAudio({"type": kind})
