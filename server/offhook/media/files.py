"""Sound in files."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import av

from offhook.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

_RATE = 24000


def read_pcm(path: str) -> bytes:
    """Read a file with sound, of any kind that FFmpeg knows, as 24 kHz PCM.

    Raises:
        InvalidRequest: There is no such file, or no sound in it.
    """
    return b"".join(_pieces(path))


def check_sound(path: str) -> None:
    """See whether a file has sound, by its beginning; see `read_pcm`."""
    for _ in _pieces(path):
        return


def _pieces(path: str) -> Iterator[bytes]:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=_RATE)
    try:
        with av.open(path) as container:
            for frame in chain(container.decode(audio=0), [None]):
                for part in resampler.resample(frame):
                    yield bytes(part.planes[0])[: part.samples * 2]
    except (av.FFmpegError, IndexError, OSError) as error:
        why = getattr(error, "strerror", None) or "there is no sound in it"
        raise InvalidRequest(
            f"{path} cannot be heard: {why}.", code="unreadable_audio"
        ) from None
