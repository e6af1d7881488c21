from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import offhook
from offhook.errors import InvalidRequest
from offhook.protocol.transcoding import ULAW, Transcoder

PCM = {"type": "audio/pcm", "rate": 24000}
ALAW = {"type": "audio/pcma"}
TONE = (np.sin(np.arange(24000) * 2 * np.pi * 440 / 24000) * 8000).astype("<i2")


def through(source: dict[str, Any], target: dict[str, Any], data: bytes) -> bytes:
    """Transcode in uneven chunks."""
    transcoder = Transcoder(source, target)
    chunks = [transcoder.feed(data[at : at + 962]) for at in range(0, len(data), 962)]
    return b"".join([*chunks, transcoder.feed(b"", last=True)])


@pytest.mark.parametrize("far", [PCM, ALAW, {"type": "audio/pcm"}], ids=str)
def test_a_tone_goes_there_and_back(far: dict[str, Any]) -> None:
    ulaw = through(PCM, ULAW, TONE.tobytes())
    assert len(ulaw) == 8000
    there = through(ULAW, far, ulaw)
    assert len(there) == (8000 if far is ALAW else 48000)
    back = np.frombuffer(through(ULAW, PCM, through(far, ULAW, there)), "<i2")
    spectrum = np.abs(np.fft.rfft(back * np.hanning(len(back))))
    assert int(spectrum.argmax()) == pytest.approx(440, abs=3)


def test_the_same_format_passes() -> None:
    assert through(ULAW, ULAW, b"abc") == b"abc"


@pytest.mark.parametrize(
    "format_",
    [{"type": "audio/opus"}, {}, "g711", None, {"type": "audio/pcm", "rate": 16000}],
    ids=str,
)
def test_other_formats_are_refused(format_: Any) -> None:
    for formats in ((format_, ULAW), (ULAW, format_)):
        with pytest.raises(InvalidRequest, match="audio/pcmu"):
            Transcoder(*formats)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="two bytes"):
        Transcoder(PCM, ULAW).feed(b"\0")


@pytest.mark.parametrize(
    ("target", "said"),
    [("audio/pcmu", "done"), ("audio/pcma", "pip install 'offhook[media]'")],
)
def test_only_other_formats_need_more_to_be_installed(target: str, said: str) -> None:
    code = (
        "import sys; sys.modules['soxr'] = None\n"
        "from offhook.protocol.transcoding import ULAW, Transcoder\n"
        f"try: Transcoder(ULAW, {{'type': {target!r}}}); print('done')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(offhook.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said in ran.stdout
