"""What a page shows of a turn: the words that were sought, and those not heard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offhook.protocol.journal import Entry


def hits(text: str, sought: str) -> Iterator[tuple[str, bool]]:
    """Split a text into parts, and say of each whether it is a word that was sought."""
    words = [re.escape(word) for word in re.findall(r"\w+", sought)]
    if not words:
        yield text, False
        return
    # One group: `split` returns what is between the hits and the hits in turn.
    parts = re.split(rf"(\b(?:{'|'.join(words)})\w*)", text, flags=re.IGNORECASE)
    for at, part in enumerate(parts):
        if part:
            yield part, at % 2 == 1


def unheard(entry: Entry) -> str:
    """Return of a turn what was made, but not heard: the end of it."""
    made = entry.data.get("transcript")
    if not isinstance(made, str):
        return ""
    heard = entry.text.strip()
    return made.strip().removeprefix(heard).strip() if made.startswith(heard) else ""
