"""When to connect again, and after what pause."""

from __future__ import annotations

from dataclasses import dataclass

from offhook.errors import HandshakeRefused, UpstreamError, WireClosed

# The server went away or failed, or the network did (RFC 6455 §7.4.1, and the list of
# codes at IANA). Whatever else it closes with, it would close with again.
_PASSING = (1001, 1006, 1011, 1012, 1013, 1014)


@dataclass(frozen=True)
class Reconnect:
    """How often and how patiently to connect again after a connection broke.

    A session of OpenAI's ends after an hour, which counts as broken, too.

    Attributes:
        attempts: How many in a row; one that succeeds begins to count anew.
        seconds: The pause before the first; each further one is twice as long.
        longest: No pause is longer, in seconds.
    """

    attempts: int = 5
    seconds: float = 0.5
    longest: float = 8.0

    def worthwhile(self, failure: Exception, attempt: int) -> bool:
        """Whether this attempt should be made after this failure."""
        if attempt > self.attempts:
            return False
        match failure:
            case WireClosed(close_code=code):
                return code in _PASSING
            case HandshakeRefused(http_status=status):
                return status == 429 or status >= 500
        return isinstance(failure, UpstreamError)

    def delay(self, attempt: int, random: float) -> float:
        """Return the seconds before an attempt.

        Args:
            attempt: The first is 1.
            random: From 0 to 1; those who lost one server do not all come back at once.
        """
        pause = min(self.longest, self.seconds * 2.0 ** (attempt - 1))
        return pause * (0.5 + random / 2)
