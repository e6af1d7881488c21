"""From one sample rate to another, without clicks between chunks."""

from __future__ import annotations

import soxr  # type: ignore[import-untyped]  # ships no types

from offhook.audio.pcm import from_float, to_float


class Resampler:
    """Resamples one direction of one call, chunk by chunk, for its whole life.

    A new one per chunk is what makes calls click: the filter's memory is lost.
    """

    def __init__(self, src: int, dst: int) -> None:
        # Floats, because libsoxr dithers integers: chunks would differ from the whole.
        # LQ delays by 1.2 ms; the higher qualities by 20 to 30 ms, in bursts.
        self._stream = (
            soxr.ResampleStream(src, dst, 1, dtype="float32", quality="LQ")
            if src != dst
            else None
        )

    def feed(self, pcm: bytes, last: bool = False) -> bytes:
        """Take PCM16 of whole samples and give what is ready.

        Args:
            pcm: The next chunk.
            last: Whether the stream ends here; gives the rest, and nothing may follow.
        """
        if self._stream is None:
            return pcm
        return from_float(self._stream.resample_chunk(to_float(pcm), last=last))


def resample(pcm: bytes, src: int, dst: int) -> bytes:
    """Resample a whole piece of audio at once."""
    return Resampler(src, dst).feed(pcm, last=True)
