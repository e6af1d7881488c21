from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from offhook.media.mixer import Layer, Mixer
from offhook.media.sounds import Sound
from offhook.protocol.rtp import Packet
from tests.media.opus import clicks, decoded, encoded, loudness, roughness, tone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offhook.media.sounds import Source

QUIET = bytes(48000)
SPEECH, SOUND = 440.0, 1200.0
HUM = Sound(tone(SOUND, 1, 0.1))


def mixing(sound: Source, before: Iterable[bytes] = (), **levels: Any) -> Mixer:
    return Mixer(Layer(sound, **levels), before)


def packets(payloads: Iterable[bytes], ms: int = 20) -> list[Packet]:
    return [
        Packet(111, False, at & 0xFFFF, 48 * ms * at, 7, payload)
        for at, payload in enumerate(payloads)
    ]


def fed(mixer: Mixer, come: list[Packet]) -> list[bytes]:
    """What is made of packets that come when they should."""
    return [p for packet in come for p in mixer.feed(packet, packet.timestamp / 48000)]


def test_speech_and_sound_are_heard_together() -> None:
    mixer = mixing(HUM.samples(loop=True), duck_db=0)
    heard = decoded(fed(mixer, packets(encoded(tone(SPEECH, 1)))))
    assert len(heard) == 24000
    assert loudness(heard[4800:], SPEECH) == pytest.approx(0.25, rel=0.05)
    assert loudness(heard[4800:], SOUND) == pytest.approx(0.1, rel=0.05)


def test_each_sound_has_its_own_level_and_end() -> None:
    other = Layer(Sound(tone(2000, 0.5, 0.1)).samples(), gain_db=-6, duck_db=0)
    mixer = mixing(HUM.samples(loop=True), duck_db=0)
    mixer.add(other)
    heard = decoded(fed(mixer, packets(encoded(tone(SPEECH, 1)))))
    both, one = heard[4800:11000], heard[14400:]
    assert loudness(both, SOUND) == pytest.approx(0.1, rel=0.05)
    assert loudness(both, 2000) == pytest.approx(0.05, rel=0.05)
    assert loudness(one, 2000) < 0.002
    assert loudness(one, SOUND) == pytest.approx(0.1, rel=0.05)
    assert other.ended and not mixer.ended
    mixer.end()
    assert mixer.ended


def test_every_packet_is_answered_at_once() -> None:
    mixer = mixing(HUM.samples(loop=True))
    for packet in packets(encoded(tone(SPEECH, 0.5))):
        assert len(mixer.feed(packet, packet.timestamp / 48000)) == 1


@pytest.mark.parametrize("ms", [10, 40, 60])
def test_packets_of_any_length_make_ours(ms: int) -> None:
    mixer = mixing(HUM.samples(loop=True), duck_db=0)
    payloads = fed(mixer, packets(encoded(tone(SPEECH, 1.2), ms=ms), ms))
    assert len(payloads) == 60
    assert loudness(decoded(payloads)[4800:], SPEECH) == pytest.approx(0.25, rel=0.05)


def test_the_sound_gives_way_to_speech() -> None:
    mixer = mixing(HUM.samples(loop=True), gain_db=-6, duck_db=-12)
    speech = encoded(QUIET + tone(SPEECH, 1) + QUIET + QUIET)
    heard = decoded(fed(mixer, packets(speech)))
    alone, under, after = (
        loudness(heard[at : at + 12000], SOUND) for at in (6000, 36000, 84000)
    )
    assert alone == pytest.approx(0.1 * 10 ** (-6 / 20), rel=0.05)
    assert under == pytest.approx(alone * 10 ** (-12 / 20), rel=0.05)
    assert after == pytest.approx(alone, rel=0.05)


def test_a_stopped_sound_fades_out_and_is_over() -> None:
    ends: list[str] = []
    layer = Layer(HUM.samples(loop=True), lambda: ends.append("over"), fade_ms=100)
    mixer = Mixer(layer)
    come = packets(encoded(QUIET))
    payloads = fed(mixer, come[:20])
    assert mixer.quiet and not mixer.ended
    layer.stop()
    payloads += fed(mixer, come[20:])
    assert mixer.ended
    layer.end()
    assert ends == ["over"]
    heard = decoded(payloads)
    assert clicks(heard) < 0.001
    assert np.abs(heard[9600 + 2600 :]).max() < 30


def test_a_sound_that_ends_is_over() -> None:
    mixer = mixing(HUM.samples())
    come = packets(encoded(QUIET + QUIET))
    fed(mixer, come[:50])
    assert not mixer.ended
    fed(mixer, come[50:52])
    assert mixer.ended


def test_speech_is_no_pause() -> None:
    mixer = mixing(HUM.samples())
    fed(mixer, packets(encoded(tone(SPEECH, 0.2))))
    assert not mixer.quiet


@pytest.mark.parametrize("application", ["voip", "lowdelay"])
def test_coming_and_going_makes_no_click(application: str) -> None:
    """The receiver decodes the speech's own packets, the mixer's, and these again."""
    speech = packets(encoded(tone(SPEECH, 3, 0.2), application=application))
    before = [packet.payload for packet in speech[45:50]]
    # The sound itself comes and goes between the seams.
    sound = Sound(bytes(4800) + tone(SOUND, 0.6, 0.1) + bytes(9600))
    mixed = fed(mixing(sound.samples(), before), speech[50:100])
    own = [packet.payload for packet in speech]
    heard = decoded([*own[:50], *mixed, *own[100:]])
    plain = clicks(decoded(own)[4800:])
    assert clicks(heard[4800:]) < plain + 0.004
    # And nothing of the speech is missing at the seams, not for 10 ms.
    for seam in (480 * 50, 480 * 100):
        for at in range(seam - 480, seam + 1920, 120):
            assert loudness(heard[at : at + 240], SPEECH) > 0.14
            assert roughness(heard[at : at + 240], SPEECH) < 0.25


def test_a_sound_that_begins_loudly_makes_no_click() -> None:
    sound = Sound(tone(SOUND, 1, 0.3)[2 * 5 :])  # from the top of a wave
    mixer = mixing(sound.samples(), fade_ms=100)
    heard = decoded(fed(mixer, packets(encoded(QUIET))))
    assert clicks(heard[:2400]) < 0.001


def test_a_lost_packet_is_repaired_by_the_next() -> None:
    pcm = encoded(tone(300, 0.4) + tone(600, 0.4), fec="1", packet_loss="30")
    come = packets(pcm)
    # The first one with the other tone is lost: nothing before tells of it.
    at = 20
    mixer = mixing(Sound(bytes(960)).samples())
    heard = decoded(fed(mixer, [*come[:at], *come[at + 1 :]]))
    lost = heard[480 * at + 240 : 480 * at + 480]
    assert loudness(lost, 600) > 0.1


def test_of_one_percent_lost_none_is_missing_and_nothing_waits() -> None:
    chance = random.Random(1)
    mixer = mixing(HUM.samples(loop=True), duck_db=0)
    come = packets(encoded(tone(SPEECH, 20)))
    lost = {at for at in range(1, 999) if chance.random() < 0.01}
    assert len(lost) > 5
    payloads = []
    for at, packet in enumerate(come):
        if at not in lost:
            made = mixer.feed(packet, packet.timestamp / 48000)
            payloads += made
            # A lost one is made up as soon as the next is there.
            assert len(payloads) == at + 1
    heard = decoded(payloads)[4800:]
    steps = heard[: len(heard) // 480 * 480].reshape(-1, 480)
    faint = [at for at, s in enumerate(steps) if loudness(s, SPEECH) < 0.1]
    assert len(faint) <= 0.1 * len(lost)


def test_packets_that_change_places_are_put_in_order() -> None:
    mixer = mixing(HUM.samples(loop=True), duck_db=0)
    come = packets(encoded(tone(SPEECH, 2)))
    for at in range(5, 95, 10):
        come[at], come[at + 1] = come[at + 1], come[at]
    payloads = []
    for at, packet in enumerate(come):
        payloads += mixer.feed(packet, at * 0.02)
    assert len(payloads) == 100
    # Only the first was taken for lost.
    assert clicks(decoded(payloads)[4800 + 9600 :]) < 0.004


def test_where_no_speech_comes_the_sound_goes_on() -> None:
    mixer = mixing(HUM.samples(loop=True))
    payloads = [payload for _ in range(50) for payload in mixer.fill()]
    heard = decoded(payloads)
    assert len(heard) == 24000
    assert loudness(heard[2400:], SOUND) == pytest.approx(0.1, rel=0.05)


def test_a_pause_without_packets_takes_its_time() -> None:
    """As with discontinuous transmission (RFC 7587 §3.1.3): no packets, but time."""
    mixer = mixing(HUM.samples(loop=True), duck_db=0)
    come = packets(encoded(tone(SPEECH, 2)))
    payloads = fed(mixer, come[:40])
    for _ in range(17):
        payloads += mixer.fill()
    # Packet 60 comes: three frames were not made up yet.
    late = [p._replace(sequence_number=p.sequence_number - 20) for p in come[60:]]
    payloads += fed(mixer, late)
    assert len(payloads) == 100
    heard = decoded(payloads)
    assert loudness(heard[480 * 50 : 480 * 58], SPEECH) < 0.01
    assert loudness(heard[480 * 62 :], SPEECH) == pytest.approx(0.25, rel=0.05)
    assert loudness(heard[4800:], SOUND) == pytest.approx(0.1, rel=0.05)


def test_what_was_held_up_on_the_way_does_not_add_up() -> None:
    mixer = mixing(HUM.samples(loop=True))
    come = packets(encoded(tone(SPEECH, 4)))
    payloads, made_up = [], 0
    for at, packet in enumerate(come):
        if at % 50 == 49:  # for half a second nothing came, and now all at once
            now = packet.timestamp / 48000
            payloads += [p for q in come[at - 24 : at + 1] for p in mixer.feed(q, now)]
        elif at % 50 > 24:
            payloads += mixer.fill()
            made_up += 1
        else:
            payloads += mixer.feed(packet, packet.timestamp / 48000)
    assert made_up > 90
    assert 200 <= len(payloads) <= 207


def test_a_flood_makes_no_more_than_speech_does() -> None:
    mixer, payload = mixing(HUM.samples(loop=True)), encoded(tone(SPEECH, 0.04))[1]
    flood = [Packet(111, False, n, n * 4800, 7, payload) for n in range(1, 1000)]
    made = sum(len(mixer.feed(packet, n / 1000)) for n, packet in enumerate(flood))
    assert made < 65


@pytest.mark.parametrize(
    "payload", [b"\x03", b"\xff\x3f", b"\xfb\xc6" + b"\xff" * 50, b"\x00", b"\xf8" * 9]
)
def test_malformed_payloads_are_made_up(payload: bytes) -> None:
    mixer = mixing(HUM.samples(loop=True))
    come = packets([*encoded(tone(SPEECH, 0.2)), payload, *encoded(tone(SPEECH, 0.2))])
    assert 20 <= len(fed(mixer, come)) <= 27


def test_another_speaker_is_heard_at_once() -> None:
    mixer = mixing(HUM.samples(loop=True), duck_db=0)
    first, other = packets(encoded(tone(SPEECH, 0.4))), packets(encoded(tone(600, 0.6)))
    other = [
        p._replace(
            ssrc=8,
            sequence_number=p.sequence_number + 9000,
            timestamp=p.timestamp + 2**31,
        )
        for p in other
    ]
    payloads = fed(mixer, first)
    for at, packet in enumerate(other):
        payloads += mixer.feed(packet, 0.4 + at * 0.02)
    assert len(payloads) == 50
    assert loudness(decoded(payloads)[12000:], 600) == pytest.approx(0.25, rel=0.05)
