"""Where our transports differ from the JavaScript SDK 0.20 on purpose.

The README has the same table, and tests compare: a difference that is not here fails,
and so does one that is here and no longer occurs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """One difference.

    Attributes:
        what: What is different, in a sentence, with its reason.
        theirs: Patterns of lines that only the SDK's trace has.
        ours: Patterns of lines that only our trace has.
    """

    what: str
    theirs: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()


DECISIONS: dict[str, Decision] = {}
