"""Audio as it stands in events ⇄ 24 kHz PCM, which everything here works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offhook.audio import (
    Resampler,
    alaw_decode,
    alaw_encode,
    ulaw_decode,
    ulaw_encode,
)

if TYPE_CHECKING:
    from offhook.protocol.session_config import Session

_G711 = {
    "audio/pcmu": (ulaw_decode, ulaw_encode),
    "audio/pcma": (alaw_decode, alaw_encode),
}


class WireAudio:
    """What one caller or one answer says: the resampler keeps state between chunks."""

    def __init__(self, format_: Session) -> None:
        self._codec = _G711.get(format_["type"])
        self._up = Resampler(8000, 24000)
        self._down = Resampler(24000, 8000)

    def decode(self, data: bytes, last: bool = False) -> bytes:
        """Return 24 kHz PCM.

        Args:
            data: In this format.
            last: Whether the audio ends here; only then the last 25 ms come out.

        Raises:
            ValueError: Half a sample.
        """
        if self._codec:
            return self._up.feed(self._codec[0](data), last)
        if len(data) % 2:
            raise ValueError("PCM16 has two bytes a sample")
        return data

    def encode(self, pcm: bytes, last: bool = False) -> bytes:
        """Return 24 kHz PCM in this format.

        Args:
            pcm: What is said next.
            last: Whether the audio ends here; only then the last 40 ms come out.
        """
        return self._codec[1](self._down.feed(pcm, last)) if self._codec else pcm
