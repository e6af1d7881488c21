from __future__ import annotations

import numpy as np
import pytest

from offhook.protocol.wire_audio import WireAudio

TONE = (np.sin(np.arange(24000) * 2 * np.pi * 440 / 24000) * 8000).astype("<i2")


def test_pcm_stays_as_it_is() -> None:
    wire = WireAudio({"type": "audio/pcm", "rate": 24000})
    assert wire.decode(wire.encode(TONE.tobytes())) == TONE.tobytes()
    with pytest.raises(ValueError, match="two bytes"):
        wire.decode(b"\0")


@pytest.mark.parametrize("law", ["audio/pcmu", "audio/pcma"])
def test_a_tone_survives_the_telephone(law: str) -> None:
    wire = WireAudio({"type": law})
    encoded = wire.encode(TONE.tobytes(), last=True)
    assert len(encoded) == 8000
    decoded = np.frombuffer(wire.decode(encoded, last=True), "<i2").astype(float)
    assert len(decoded) == 24000
    spectrum = np.abs(np.fft.rfft(decoded * np.hanning(len(decoded))))
    loudest = int(spectrum.argmax()) * 24000 / len(decoded)
    assert loudest == pytest.approx(440, abs=3)
