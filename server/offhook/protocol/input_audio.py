"""The input audio buffer: what the caller said and nobody has committed yet."""

from __future__ import annotations

BYTES_PER_MS = 48  # 24 kHz, 16 bit, mono

# A caller who never commits must not fill the memory: 5 minutes.
_LONGEST_MS = 300_000


class InputAudio:
    """24 kHz PCM on the clock of the call's own audio.

    Attributes:
        end_ms: How much audio has come in since the call began.
    """

    def __init__(self) -> None:
        self._pcm = bytearray()
        self._start_byte = 0

    @property
    def end_ms(self) -> int:
        """How much audio has come in since the call began."""
        return (self._start_byte + len(self._pcm)) // BYTES_PER_MS

    @property
    def length_ms(self) -> int:
        """How much of it is still here."""
        return len(self._pcm) // BYTES_PER_MS

    def append(self, pcm: bytes) -> None:
        """Add what was heard; past five minutes the oldest is dropped."""
        self._pcm += pcm
        if self.length_ms > _LONGEST_MS:
            self.forget_before(self.end_ms - _LONGEST_MS)

    def take(self, start_ms: int, end_ms: int) -> bytes:
        """Remove everything up to `end_ms` and return what began at `start_ms`."""
        pcm = self.peek(start_ms, end_ms)
        self.forget_before(end_ms)
        return pcm

    def peek(self, start_ms: int, end_ms: int) -> bytes:
        """Return what was heard between two times, as far as it is still here."""
        first = max(0, start_ms * BYTES_PER_MS - self._start_byte)
        last = max(0, end_ms * BYTES_PER_MS - self._start_byte)
        return bytes(self._pcm[first:last])

    def forget_before(self, at_ms: int) -> None:
        """Drop what is older than `at_ms`."""
        drop = min(max(0, at_ms * BYTES_PER_MS - self._start_byte), len(self._pcm))
        del self._pcm[:drop]
        self._start_byte += drop

    def clear(self) -> None:
        """Drop everything; the clock goes on."""
        self.forget_before(self.end_ms)
