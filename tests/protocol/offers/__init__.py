"""Offers of real browsers with a microphone, a camera and a data channel, and mutants.

Chromium 156 and Firefox 153 made them.
"""

from __future__ import annotations

import random
from pathlib import Path

BROWSERS = {
    path.stem: path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.sdp"))
}
_NASTY = (
    "",
    " ",
    ":",
    "0",
    "-1",
    "x",
    "99999",
    "4294967296",
    "1" * 300,
    "é",
    "\u2028",
    "\u017f",
    "٣",
    "a=ice-lite",
    "a=rtcp-fb:* nack",
    "a=bundle-only",
    "a=candidate:1 1 udp 1 127.0.0.1 5000 typ host",
)


def mutant(seed: int) -> bytes:
    """Make an offer that is wrong somewhere; the same for the same seed."""
    chance = random.Random(seed)
    lines = chance.choice(list(BROWSERS.values())).decode().split("\r\n")
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        _damage(lines, chance)
    data = "\r\n".join(lines).encode()
    if chance.random() < 0.1:
        at = chance.randrange(len(data))
        data = data[:at] + chance.randbytes(chance.randrange(4)) + data[at + 1 :]
    return data


def _damage(lines: list[str], chance: random.Random) -> None:
    at = chance.randrange(len(lines))
    line = lines[at]
    match chance.randrange(9):
        case 0:
            del lines[at]
        case 1:
            lines.insert(chance.randrange(len(lines) + 1), line)
        case 2:
            other = chance.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = line[: chance.randrange(len(line) + 1)]
        case 4:
            words = line.replace(":", " : ").split()
            if words:
                words[chance.randrange(len(words))] = chance.choice(_NASTY)
            lines[at] = " ".join(words).replace(" : ", ":")
        case 5:
            lines.insert(at, chance.choice(_NASTY))
        case 6:
            spot = chance.randrange(len(line) + 1)
            lines[at] = line[:spot] + chance.choice(_NASTY) + line[spot + 1 :]
        case 7:
            # As many as fit: what is quadratic shows.
            lines[at:at] = [line] * chance.randrange(400)
        case _:
            digits = [i for i, c in enumerate(line) if c.isdigit()]
            if digits:
                spot = chance.choice(digits)
                lines[at] = line[:spot] + str(chance.randrange(10)) + line[spot + 1 :]
