"""How times, lengths and sizes are written on the pages."""

from __future__ import annotations

from datetime import UTC, datetime


def clock(milliseconds: float) -> str:
    """Write a place in a call: 0:07, 12:30, 1:02:03."""
    seconds = max(0, int(milliseconds // 1000))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{seconds:02}"
    return f"{minutes}:{seconds:02}"


def duration(seconds: float) -> str:
    """Write how long something lasted: 7 s, 3 min 5 s, 1 h 2 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def delay(milliseconds: float) -> str:
    """Write how long somebody waited: 0.62 s."""
    return f"{milliseconds / 1000:.2f} s"


def moment(unix: float) -> str:
    """Write a time of the calendar: 25 Nov 2026, 21:37 UTC."""
    return f"{datetime.fromtimestamp(unix, UTC):%-d %b %Y, %H:%M} UTC"


def iso(unix: float) -> str:
    """Write a time for programs, as RFC 3339 has it."""
    return f"{datetime.fromtimestamp(unix, UTC):%Y-%m-%dT%H:%M:%SZ}"


def size(count: float) -> str:
    """Write how large a file is: 512 bytes, 1.4 MB."""
    units = iter(("kB", "MB", "GB"))
    unit = "bytes"
    while count >= 999.5 and unit != "GB":
        count /= 1000
        unit = next(units)
    return f"{count:.3g} {unit}"


FILTERS = {
    function.__name__: function
    for function in (clock, delay, duration, iso, moment, size)
}
