"""The database under the store: SQLite in a file, or PostgreSQL."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    InterfaceError,
    OperationalError,
    TimeoutError,
)
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from offhook.errors import MissingExtra, ServerError, SettingsError, redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy import Connection, Engine
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",  # as many hosts write it
}

# Held while the tables are made: any number will do that nobody else takes.
_MIGRATING = 0x0FF_400C
_ONE_AT_A_TIME = threading.Lock()
_ATTEMPTS = 20
_PAUSE_SECONDS = 0.25

_BUSY_MS = 5000
_PRAGMAS = (
    f"busy_timeout = {_BUSY_MS}",
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "foreign_keys = ON",
    "secure_delete = ON",  # what is deleted is overwritten
)


class Database:
    """An engine, and what differs between the two kinds of databases."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection whose reads agree with each other."""
        with _reached():
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection whose writes happen all or none."""
        with _reached():
            async with self._engine.connect() as connection:
                await connection.execution_options(offhook_writes=True)
                async with connection.begin():
                    yield connection

    async def scrub(self) -> bool:
        """Take what was deleted out of SQLite's log too; False: a reader is in the way.

        PostgreSQL does so by itself: its autovacuum, and the turn of its log.
        """
        if not self.is_sqlite:
            return True
        checkpoint = text("PRAGMA wal_checkpoint(TRUNCATE)")
        hurried, patient = (
            text(f"PRAGMA busy_timeout = {ms}") for ms in (50, _BUSY_MS)
        )
        with _reached():
            async with self._engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                await connection.execute(hurried)
                blocked, *_ = (await connection.execute(checkpoint)).one()
                await connection.execute(patient)
        return not blocked


_DOWN = (DatabaseError, OperationalError)


@contextmanager
def _reached() -> Iterator[None]:
    """Tell a database that is down, or full, from a mistake of ours."""
    try:
        yield
    except (DatabaseError, InterfaceError, TimeoutError, OSError) as error:
        # SQLite's word for a file that is broken, or none of its own, has no subclass.
        if isinstance(error, DatabaseError) and type(error) not in _DOWN:
            raise
        # Without the statement, whose values may be what somebody said.
        cause = getattr(error, "orig", None) or error
        raise ServerError(
            f"The store cannot be reached: {redact(str(cause))}",
            code="store_unavailable",
            status=503,
        ) from None


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """Connect, and bring the tables to this version's shape.

    Any number of processes may do so at once.

    Raises:
        SettingsError: The URL is of no database that can be used.
        MissingExtra: Its driver is not installed.
        ServerError: It cannot be reached.
    """
    with _reached():
        address = _address(url)
    try:
        engine = create_async_engine(address, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise MissingExtra("store", str(error.name)) from None
    _listen(engine.sync_engine)
    try:
        with _reached():
            await asyncio.to_thread(_bring_up, address)
        yield Database(engine)
    finally:
        await engine.dispose()


def _address(url: str) -> URL:
    try:
        address = make_url(url)
        driver = _DRIVERS[address.get_backend_name()]
    except (ArgumentError, KeyError):
        raise SettingsError(
            "store (OFFHOOK_STORE) must be `sqlite:///…`, `postgresql://…` or `none`",
            code="invalid_settings",
        ) from None
    if address.get_backend_name() == "sqlite" and address.database:
        folder = Path(address.database).parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its other files the mode of this one.
        Path(address.database).touch(mode=0o600)
    if address.get_backend_name() != "sqlite":
        # Whoever asks would wait for two minutes.
        address = address.update_query_dict({"connect_timeout": "10", **address.query})
    return address.set(drivername=driver)


def _listen(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)


def _prepare(connection: Any, record: object) -> None:
    # The driver would begin transactions by a logic of its own, and not for DDL.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # Who reads first and then writes may not be let in: writers say so at once.
    writes = connection.get_execution_options().get("offhook_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _bring_up(address: URL) -> None:
    """Bring the tables to the newest shape, by a connection of its own."""
    if address.get_backend_name() == "sqlite":
        address = address.set(drivername="sqlite")
    engine = create_engine(address, poolclass=NullPool)
    _listen(engine)
    # What Alembic works on is global to the process.
    with _ONE_AT_A_TIME:
        for attempt in range(_ATTEMPTS):
            try:
                with engine.connect() as connection:
                    _migrate(connection.execution_options(offhook_writes=True))
                return
            except OperationalError as error:
                # SQLite does not wait where several processes begin its log.
                if "locked" not in str(error.orig) or attempt == _ATTEMPTS - 1:
                    raise
            time.sleep(_PAUSE_SECONDS)


def _migrate(connection: Connection) -> None:
    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    with connection.begin():
        if connection.dialect.name != "sqlite":  # which lets one write at a time anyway
            lock = text("SELECT pg_advisory_xact_lock(:key)")
            connection.execute(lock, {"key": _MIGRATING})
        command.upgrade(config, "head")
