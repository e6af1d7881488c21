"""What a page shows of an entry: the words that were sought or not heard, and marks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offhook.protocol.journal import Entry


# The marks that have words; others are shown by their names.
_MARKS = {
    "guard.expelled": "Hung up: the caller changed the session again",
    "guard.restored": "Put back: what the caller changed of the session",
    "guard.surrendered": "Unguarded: the upstream shows the session otherwise",
    "journal.full": "No more is kept of this call",
    "offhook.recording.started": "Recording began",
    "offhook.recording.stopped": "Recording ended",
    "recording.failed": "Recording failed",
}


def mark(entry: Entry) -> str:
    """Put into words what the server noted."""
    text = _MARKS.get(entry.text, entry.text)
    event, why, what = (entry.data.get(name) for name in ("event", "why", "what"))
    if isinstance(what, list):
        why = ", ".join(map(str, what))
    said = f"{text}: {why}" if why else text
    return f"{event}: {said}" if event and said else said or str(event or "")


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
