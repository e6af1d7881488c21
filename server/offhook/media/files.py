"""Sound in files."""

from __future__ import annotations

import av

from offhook.errors import InvalidRequest

_RATE = 24000


def read_pcm(path: str) -> bytes:
    """Read a file with sound, of any kind that FFmpeg knows, as 24 kHz PCM.

    Raises:
        InvalidRequest: There is no such file, or no sound in it.
    """
    resampler = av.AudioResampler(format="s16", layout="mono", rate=_RATE)
    pcm = bytearray()
    try:
        with av.open(path) as container:
            for frame in (*container.decode(audio=0), None):
                for part in resampler.resample(frame):
                    pcm += bytes(part.planes[0])[: part.samples * 2]
    except (av.FFmpegError, IndexError, OSError) as error:
        why = getattr(error, "strerror", None) or "there is no sound in it"
        raise InvalidRequest(
            f"{path} cannot be heard: {why}.", code="unreadable_audio"
        ) from None
    return bytes(pcm)
