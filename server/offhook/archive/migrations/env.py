"""What Alembic runs to bring a database to the newest shape."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
# The transaction is the caller's: it holds the lock, too.
context.run_migrations()
