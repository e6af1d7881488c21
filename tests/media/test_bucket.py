from __future__ import annotations

from offhook.media.bucket import Bucket


def test_a_burst_and_then_the_rate() -> None:
    bucket = Bucket(rate=10, burst=3)
    assert [bucket.take(100.0) for _ in range(5)] == [True, True, True, False, False]
    assert not bucket.take(100.05)
    assert bucket.take(100.15)
    assert not bucket.take(100.15)


def test_it_never_holds_more_than_the_burst() -> None:
    bucket = Bucket(rate=10, burst=3)
    bucket.take(0)
    assert [bucket.take(1000) for _ in range(4)] == [True, True, True, False]


def test_an_amount_is_taken_whole_or_not_at_all() -> None:
    bucket = Bucket(rate=1, burst=10)
    assert not bucket.take(0, 11)
    assert bucket.take(0, 10)
    assert not bucket.take(1, 2)
    assert bucket.take(2, 2)
