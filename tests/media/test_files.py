from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import pytest

from offhook.audio import dbfs
from offhook.errors import InvalidRequest
from offhook.media.files import read_pcm

if TYPE_CHECKING:
    from pathlib import Path


def test_any_rate_and_any_number_of_channels_is_read(tmp_path: Path) -> None:
    path = str(tmp_path / "tone.wav")
    square = (b"\0\x20" * 40 + b"\0\xe0" * 40) * 441  # two channels, 44.1 kHz
    with wave.open(path, "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", "not compressed"))
        file.writeframes(square)
    pcm = read_pcm(path)
    assert abs(len(pcm) / 2 / 24000 - len(square) / 4 / 44100) < 0.005
    assert -14 < dbfs(pcm) < -10


@pytest.mark.parametrize("content", [b"", b"no sound at all"])
def test_what_cannot_be_heard_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "thing.wav"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match=r"thing\.wav cannot be heard"):
        read_pcm(str(path))
