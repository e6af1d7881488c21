"""Calls, what was said in them, and their recordings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_word = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "nodes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("seen", sa.Double, nullable=False),
    )
    _calls()
    op.create_table(
        "entries",
        sa.Column("number", _number, primary_key=True),
        sa.Column(
            "call",
            _number,
            sa.ForeignKey("calls.number", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("begins_ms", sa.Integer, nullable=False),
        sa.Column("ends_ms", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
    )
    op.create_index("entries_call", "entries", ["call", "number"])
    op.create_table(
        "words",
        sa.Column("word", _word, primary_key=True),
        sa.Column("call", _number, primary_key=True),
        sqlite_with_rowid=False,
    )
    _recordings()


def _calls() -> None:
    table = op.create_table(
        "calls",
        sa.Column("number", _number, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("began", sa.Double, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("origin", sa.Text),
        sa.Column("connected", sa.Double),
        sa.Column("ended", sa.Double),
        sa.Column("seconds", sa.Double),
        sa.Column("reason", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("consent", sa.Boolean),
        sa.Column("turns", sa.Integer, nullable=False),
        sa.Column("usage", sa.JSON, nullable=False),
        sa.Column("statistics", sa.JSON, nullable=False),
        sa.Column("recording", sa.Text),
        sa.Column("node", sa.Text),
    )
    op.create_index("calls_began", "calls", ["began", "number"])
    op.create_index("calls_agent", "calls", ["agent", "began", "number"])
    op.create_index("calls_seconds", "calls", ["seconds", "number"])
    for name, only, columns in (
        ("calls_recording", table.c.recording, ["began", "number"]),
        ("calls_node", table.c.node, ["node"]),
    ):
        given = only.is_not(None)
        op.create_index(
            name, "calls", columns, sqlite_where=given, postgresql_where=given
        )


def _recordings() -> None:
    op.create_table(
        "recordings",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("call", sa.Text, nullable=False),
        sa.Column("began", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("progress", sa.Double, nullable=False),
        sa.Column("seconds", sa.Double),
        sa.Column("files", sa.JSON, nullable=False),
        sa.Column("expires", sa.Double),
        sa.Column("error", sa.Text),
        sa.Column("node", sa.Text),
    )
    op.create_index("recordings_call", "recordings", ["call"])
    op.create_index("recordings_expires", "recordings", ["expires"])
