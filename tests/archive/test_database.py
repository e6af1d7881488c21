from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from offhook.archive.database import opened
from offhook.archive.tables import metadata
from offhook.errors import ServerError, SettingsError
from tests.extras import without

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

pytestmark = pytest.mark.anyio


async def test_the_migrations_make_the_tables_that_we_use(database_url: str) -> None:
    def differences(connection: Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    for _ in range(2):  # the second time there is nothing to do
        async with opened(database_url) as database, database.reading() as connection:
            assert await connection.run_sync(differences) == []


@pytest.mark.parametrize("url", ["", "calls.db", "mysql://h/calls", "sqlite", "x://"])
async def test_a_url_of_no_database_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="OFFHOOK_STORE"):
        async with opened(url):
            pass


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
async def test_a_database_that_is_not_there_is_told(
    scheme: str, tmp_path: Path
) -> None:
    with pytest.raises(ServerError) as caught:
        async with opened(f"{scheme}://u:secret@/calls?host={tmp_path}"):
            pass
    assert (caught.value.code, caught.value.status) == ("store_unavailable", 503)
    assert "secret" not in caught.value.message


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    file = tmp_path / "calls.db"
    file.write_bytes(b"What is this? " * 500)
    with pytest.raises(ServerError) as caught:
        async with opened(f"sqlite:///{file}"):
            pass
    assert (caught.value.code, caught.value.status) == ("store_unavailable", 503)


async def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServerError) as caught:
        async with opened(f"sqlite:///{tmp_path}/file/calls.db"):
            pass
    assert (caught.value.code, caught.value.status) == ("store_unavailable", 503)


async def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    file = tmp_path / "kept/calls.db"
    async with opened(f"sqlite:///{file}") as database:
        async with database.writing() as connection:
            await connection.execute(text("INSERT INTO nodes VALUES ('n', 1)"))
        found = list(file.parent.iterdir())
        assert len(found) == 3  # the file and what SQLite has beside it
        assert {path.stat().st_mode & 0o777 for path in found} == {0o600}
    assert file.parent.stat().st_mode & 0o777 == 0o700


async def test_what_fails_in_a_block_changes_nothing(database_url: str) -> None:
    async with opened(database_url) as database:
        with pytest.raises(ZeroDivisionError):
            async with database.writing() as connection:
                await connection.execute(text("INSERT INTO nodes VALUES ('n', 1)"))
                raise ZeroDivisionError
        async with database.reading() as connection:
            rows = await connection.execute(text("SELECT * FROM nodes"))
            assert rows.all() == []


async def test_writers_wait_for_each_other(database_url: str) -> None:
    async with opened(database_url) as database:

        async def write(number: int) -> None:
            async with database.writing() as connection:
                # Who reads first must not find the database taken when it writes.
                await connection.execute(text("SELECT * FROM nodes"))
                await connection.execute(
                    text("INSERT INTO nodes VALUES (:id, 1)"), {"id": f"{number}"}
                )

        await asyncio.gather(*(write(number) for number in range(12)))
        async with database.reading() as connection:
            count = await connection.execute(text("SELECT count(*) FROM nodes"))
            assert count.scalar_one() == 12


async def test_the_log_is_emptied_when_nobody_reads(tmp_path: Path) -> None:
    file = tmp_path / "calls.db"
    log = tmp_path / "calls.db-wal"
    async with opened(f"sqlite:///{file}") as database:
        async with database.writing() as connection:
            await connection.execute(text("INSERT INTO nodes VALUES ('xyzzy', 1)"))
        async with database.reading() as reader:
            await reader.execute(text("SELECT * FROM nodes"))
            async with database.writing() as connection:
                await connection.execute(text("DELETE FROM nodes"))
            assert not await database.scrub()
        assert await database.scrub()
        assert log.stat().st_size == 0
        assert b"xyzzy" not in file.read_bytes()


def test_a_driver_that_is_not_installed_is_named() -> None:
    run = without("aiosqlite", "import asyncio", "from offhook.archive import database")
    said = run("asyncio.run(database.opened('sqlite://').__aenter__())")
    assert "aiosqlite is not installed" in said
    assert "offhook[store]" in said
