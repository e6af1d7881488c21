from __future__ import annotations

from offhook.media.intake import Intake


def test_a_conversation_may_be_told_again_at_once() -> None:
    intake = Intake()
    assert {intake.event(2000) for _ in range(1900)} == {None}


def test_an_event_has_a_greatest_size() -> None:
    intake = Intake()
    assert intake.event(256 * 1024) is None
    assert intake.event(256 * 1024 + 1) == "sent an event of more than 256 KiB"


def test_many_small_events_are_too_many() -> None:
    intake = Intake()
    reasons = [intake.event(1) for _ in range(4000)]
    assert reasons[:2000] == [None] * 2000
    assert reasons[-1] == "sent more than 200 events per second"


def test_few_large_ones_are_too_much() -> None:
    intake = Intake()
    reasons = [intake.event(250_000) for _ in range(100)]
    assert reasons[:60] == [None] * 60
    assert reasons[-1] == "sent more than 2 MiB per second"


def test_a_few_channels_are_enough() -> None:
    intake = Intake()
    reasons = [intake.channel() for _ in range(17)]
    assert reasons == [None] * 16 + ["opened more than 16 data channels"]
