"""Cuts a text, as it arrives, into sentences that can be spoken one by one."""

from __future__ import annotations

import re

_LIMIT = 240
"""Longer than any sentence that is pleasant to wait for."""

_END = re.compile(r"""[.!?…]+["'”\u2019)\]]*(?=\s)|\n""")
_TITLES = frozenset(
    "mr mrs ms dr prof st sr jr vs etc no fig approx e.g i.e a.m p.m u.s u.k".split()
)


class Splitter:
    """Collects pieces of text and gives every sentence as soon as it is complete."""

    def __init__(self) -> None:
        self._text = ""

    def feed(self, piece: str) -> list[str]:
        """Take the next piece and give the sentences that it completes."""
        self._text += piece
        sentences = []
        while cut := _next_cut(self._text):
            sentences.append(self._text[:cut].strip())
            self._text = self._text[cut:]
        return [sentence for sentence in sentences if sentence]

    def flush(self) -> list[str]:
        """Give what is left: the text ends here."""
        rest, self._text = self._text.strip(), ""
        return [rest] if rest else []


def split(text: str) -> list[str]:
    """The sentences of a whole text."""
    splitter = Splitter()
    return splitter.feed(text) + splitter.flush()


def _next_cut(text: str) -> int:
    """Where the first sentence ends; 0 while nobody can tell."""
    for match in _END.finditer(text):
        if match[0] != "." or not _abbreviates(text[: match.start()]):
            return match.end() if match.end() <= _LIMIT else _forced_cut(text)
    return _forced_cut(text) if len(text) > _LIMIT else 0


def _abbreviates(before: str) -> bool:
    """Whether the full stop after this text belongs to its last word."""
    line = before.rpartition("\n")[2].strip()
    word = line.rpartition(" ")[2].lstrip("(\"'“\u2018")
    initial = len(word) == 1 and word.isupper() and word != "I"
    numbers_a_list = line.isdigit()
    return word.lower() in _TITLES or initial or numbers_a_list


def _forced_cut(text: str) -> int:
    """Where to cut what is too long: after a clause, else between two words."""
    head = text[:_LIMIT]
    clause = max(head.rfind(mark) for mark in (", ", "; ", ": ", "\u2014 "))
    if clause > 0:
        return clause + 1
    word = head.rfind(" ")
    return word if word > 0 else _LIMIT
