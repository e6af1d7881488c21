"""The tables of the store; `migrations/` makes them.

A call has a number beside its id, because its words point to it by the thousand.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()

_number = BigInteger().with_variant(Integer, "sqlite")
# Compared byte by byte, or the words from "hel" on are no range of the index.
_word = Text().with_variant(Text(collation="C"), "postgresql")

# Processes that write here; what one that is not seen any more left open is closed.
nodes = Table(
    "nodes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("seen", Double, nullable=False),
)

calls = Table(
    "calls",
    metadata,
    Column("number", _number, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("agent", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("began", Double, nullable=False),
    Column("model", Text),
    Column("origin", Text),
    Column("connected", Double),
    Column("ended", Double),
    Column("seconds", Double),
    Column("reason", Text),
    Column("error", Text),
    Column("consent", Boolean),
    Column("turns", Integer, nullable=False),
    Column("usage", JSON, nullable=False),
    Column("statistics", JSON, nullable=False),
    Column("recording", Text),
    Column("node", Text),  # whose it is, while it lasts
)
Index("calls_began", calls.c.began, calls.c.number)
Index("calls_agent", calls.c.agent, calls.c.began, calls.c.number)
Index("calls_seconds", calls.c.seconds, calls.c.number)
for _index, _only, _columns in (
    ("calls_recording", calls.c.recording, (calls.c.began, calls.c.number)),
    ("calls_node", calls.c.node, (calls.c.node,)),
):
    _given = _only.is_not(None)
    Index(_index, *_columns, sqlite_where=_given, postgresql_where=_given)

entries = Table(
    "entries",
    metadata,
    Column("number", _number, primary_key=True),
    Column(
        "call", _number, ForeignKey("calls.number", ondelete="CASCADE"), nullable=False
    ),
    Column("kind", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("begins_ms", Integer, nullable=False),
    Column("ends_ms", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("data", JSON, nullable=False),
)
Index("entries_call", entries.c.call, entries.c.number)

# Which words were said in which call. Rows, not a full-text index of the database's
# own: what is deleted from such an index may stay in its files until it is rebuilt.
words = Table(
    "words",
    metadata,
    Column("word", _word, primary_key=True),
    Column("call", _number, primary_key=True),
    sqlite_with_rowid=False,
)

recordings = Table(
    "recordings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("call", Text, nullable=False),
    Column("began", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("progress", Double, nullable=False),
    Column("seconds", Double),
    Column("files", JSON, nullable=False),
    Column("expires", Double),
    Column("error", Text),
    Column("node", Text),  # who works on it
)
Index("recordings_call", recordings.c.call)
Index("recordings_expires", recordings.c.expires)
