from __future__ import annotations

import pytest

from offhook.relay import figures


@pytest.mark.parametrize(
    ("milliseconds", "written"),
    [
        (0, "0:00"),
        (-5, "0:00"),
        (7999, "0:07"),
        (750_000, "12:30"),
        (3_723_000, "1:02:03"),
    ],
)
def test_places(milliseconds: float, written: str) -> None:
    assert figures.clock(milliseconds) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3725, "1 h 2 min"),
    ],
)
def test_durations(seconds: float, written: str) -> None:
    assert figures.duration(seconds) == written


@pytest.mark.parametrize(
    ("count", "written"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1440, "1.44 kB"),
        (512_345, "512 kB"),
        (999_700, "1 MB"),
        (2e9, "2 GB"),
    ],
)
def test_sizes(count: float, written: str) -> None:
    assert figures.size(count) == written


def test_times() -> None:
    assert figures.moment(1_764_106_620.9) == "25 Nov 2025, 21:37 UTC"
    assert figures.iso(1_764_106_620.9) == "2025-11-25T21:37:00Z"
    assert figures.delay(621.6) == "0.62 s"
