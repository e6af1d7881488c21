"""Calls, what was said in them, and their recordings, in SQL.

Each process that writes is a node, which says every few seconds that it lives. What a
node that does so no more left open is closed by the others, or by the next start.
"""

from __future__ import annotations

import secrets
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Table,
    bindparam,
    delete,
    exists,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from offhook.archive import queries, rows
from offhook.archive.database import Database, opened
from offhook.archive.records import CallRecord, Page, RecordingRecord
from offhook.archive.tables import calls, entries, nodes, recordings, words
from offhook.archive.words import split
from offhook.errors import InvalidRequest, NotFound, ServerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from offhook.archive.records import CallQuery
    from offhook.protocol.entries import Entry

BEAT_SECONDS = 10.0
_LEASE_SECONDS = 3 * BEAT_SECONDS


class Store:
    """What is kept of calls.

    Every method is one transaction: a cancelled one has no effect, or all of it.

    Raises:
        ServerError: From every method: the database cannot be reached.
    """

    def __init__(self, database: Database, node: str) -> None:
        """Take an open database, and this process's name in it."""
        self._database = database
        self._node = node

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Store]:
        """Open the store at an SQL URL, and make or update its tables.

        Raises:
            SettingsError: The URL is of no database that can be used.
            ServerError: It cannot be reached.
        """
        async with opened(url) as database:
            store = cls(database, f"node_{secrets.token_hex(8)}")
            await store.beat(time.time())
            try:
                yield store
            finally:
                with suppress(ServerError):  # the others notice it in time
                    await store.leave()

    # Writing

    async def write(
        self,
        written: Iterable[CallRecord] = (),
        said: Iterable[tuple[str, Entry]] = (),
        recorded: Iterable[RecordingRecord] = (),
    ) -> None:
        """Keep calls and recordings as they are now, and what happened in calls.

        Entries of calls that are not here, any more, are left out.
        """
        lines = list(said)
        async with self._database.writing() as connection:
            await self._put(
                connection, calls, [rows.of_call(c, self._node) for c in written]
            )
            if lines:
                await self._say(connection, lines)
            for recording in recorded:
                await self._put(
                    connection, recordings, [rows.of_recording(recording, self._node)]
                )
                await connection.execute(
                    update(calls)
                    .where(calls.c.id == recording.call)
                    .values(recording=recording.id)
                )

    async def beat(self, now: float) -> int:
        """Say that this process lives, and close what dead ones left open.

        Returns:
            How many calls that were.
        """
        async with self._database.writing() as connection:
            await self._put(connection, nodes, [{"id": self._node, "seen": now}])
            dead = nodes.c.seen < now - _LEASE_SECONDS
            left = await connection.execute(
                select(calls.c.number, calls.c.began, nodes.c.seen)
                .join(nodes, nodes.c.id == calls.c.node)
                .where(dead)
            )
            closed = [
                {
                    "_number": number,
                    "ended": max(began, seen),
                    "seconds": max(0.0, seen - began),
                }
                for number, began, seen in left
            ]
            if closed:
                await connection.execute(
                    update(calls)
                    .where(calls.c.number == bindparam("_number"))
                    .values(reason="server_lost", node=None),
                    closed,
                )
            await connection.execute(delete(nodes).where(dead))
            return len(closed)

    async def leave(self) -> None:
        """Say that this process ends: what it left open is free at once."""
        async with self._database.writing() as connection:
            await connection.execute(
                update(nodes).where(nodes.c.id == self._node).values(seen=0.0)
            )

    # Reading

    async def find(self, query: CallQuery) -> Page:
        """List calls.

        Raises:
            InvalidRequest: The query has a wrong cursor or limit.
        """
        async with self._database.reading() as connection:
            found = (await connection.execute(queries.listed(query))).all()
        shown = found[: query.limit]
        more = len(found) > query.limit
        return Page(
            tuple(rows.call(row) for row in shown),
            queries.cursor(query, shown[-1]) if more else None,
        )

    async def agents(self) -> list[str]:
        """Name the agents that were called, in order."""
        async with self._database.reading() as connection:
            found = select(calls.c.agent).distinct().order_by(calls.c.agent)
            return list((await connection.execute(found)).scalars())

    async def call(self, call_id: str) -> CallRecord:
        """Return one call.

        Raises:
            NotFound: There is none of this id.
        """
        return rows.call(await self._one(calls, call_id, _no_call()))

    async def entries(self, call_id: str) -> list[Entry]:
        """Return what happened in a call, in the order in which it began."""
        async with self._database.reading() as connection:
            found = await connection.execute(
                select(entries)
                .join(calls, calls.c.number == entries.c.call)
                .where(calls.c.id == call_id)
                .order_by(entries.c.begins_ms, entries.c.number)
            )
            return [rows.entry(row) for row in found]

    async def openings(self, call_ids: Sequence[str]) -> dict[str, str]:
        """Return the callers' first words, by the ids of the calls that have any."""
        # A look at each call's first entries, however many more there are.
        first = (
            select(entries.c.text)
            .where(
                entries.c.call == calls.c.number,
                entries.c.kind == "turn",
                entries.c.who == "caller",
                entries.c.text != "",
            )
            .order_by(entries.c.number)
            .limit(1)
            .scalar_subquery()
            .label("text")
        )
        async with self._database.reading() as connection:
            openings = await connection.execute(
                select(calls.c.id, first).where(calls.c.id.in_(call_ids))
            )
            return {row.id: row.text for row in openings if row.text}

    async def recordings_of(
        self, listed: Iterable[CallRecord]
    ) -> dict[str, RecordingRecord]:
        """Return the recordings of these calls, by their ids."""
        ids = [call.recording for call in listed if call.recording]
        return {
            each.id: each for each in await self._recordings(recordings.c.id.in_(ids))
        }

    async def recording(self, recording_id: str) -> RecordingRecord:
        """Return one recording.

        Raises:
            NotFound: There is none of this id.
        """
        return rows.recording(
            await self._one(recordings, recording_id, _no_recording())
        )

    async def recordings_in(self, call_id: str) -> list[RecordingRecord]:
        """Return the recordings of a call, the oldest first."""
        return await self._recordings(recordings.c.call == call_id)

    async def expired(self, now: float) -> list[RecordingRecord]:
        """Return the recordings whose time is over, or that were given up."""
        late = recordings.c.expires <= now
        return await self._recordings(or_(late, recordings.c.state == "deleted"))

    # Taking over

    async def adopt(self, recording: RecordingRecord) -> None:
        """Keep a recording that nobody has told of, if that is still so."""
        row = {**rows.of_recording(recording, self._node), "node": None}
        async with self._database.writing() as connection:
            put = self._insert(recordings).on_conflict_do_nothing()
            await connection.execute(put, [row])

    async def claim(self, recording_id: str) -> bool:
        """Take a recording to finish it, if it is not and no live process has it."""
        open_ = recordings.c.state.not_in(("ready", "deleted"))
        nobody = recordings.c.node.is_(None)
        alive = exists().where(nodes.c.id == recordings.c.node)
        async with self._database.writing() as connection:
            taken = await connection.execute(
                update(recordings)
                .where(recordings.c.id == recording_id, open_, or_(~alive, nobody))
                .values(node=self._node)
            )
            return taken.rowcount == 1

    # Deleting

    async def old(self, before: float, most: int = 100) -> list[str]:
        """Name calls that ended before this time."""
        async with self._database.reading() as connection:
            found = select(calls.c.id).where(
                calls.c.began < before, calls.c.ended < before
            )
            found = found.order_by(calls.c.began).limit(most)
            return list((await connection.execute(found)).scalars())

    async def delete(self, call_id: str) -> None:
        """Delete a call and all that was said in it; its recordings have to go first.

        Raises:
            NotFound: There is none of this id.
            InvalidRequest: It has not ended.
        """
        call = await self.call(call_id)
        if call.ended is None:
            raise InvalidRequest(
                "The call goes on: hang it up first.", code="call_is_live", status=409
            )
        async with self._database.writing() as connection:
            await _unsay(connection, call_id)
            await connection.execute(delete(calls).where(calls.c.id == call_id))

    async def unsay(self, call_id: str) -> None:
        """Delete what was said in a call, not that there was one."""
        async with self._database.writing() as connection:
            await _unsay(connection, call_id)

    async def delete_recording(self, recording_id: str) -> None:
        """Delete a recording's row; its files have to go first."""
        async with self._database.writing() as connection:
            await connection.execute(
                delete(recordings).where(recordings.c.id == recording_id)
            )
            await connection.execute(
                update(calls)
                .where(calls.c.recording == recording_id)
                .values(recording=None)
            )

    async def scrub(self) -> bool:
        """Let nothing that was deleted stay in the files; False: try again later."""
        return await self._database.scrub()

    # Parts

    async def _put(
        self, connection: AsyncConnection, table: Table, given: Sequence[dict[str, Any]]
    ) -> None:
        """Insert rows, or update those whose id is there."""
        if not given:
            return
        put = self._insert(table)
        new = {name: put.excluded[name] for name in given[0] if name != "id"}
        await connection.execute(
            put.on_conflict_do_update(index_elements=["id"], set_=new), given
        )

    def _insert(self, table: Table) -> Any:
        dialect = sqlite if self._database.is_sqlite else postgresql
        return dialect.insert(table)

    async def _say(
        self, connection: AsyncConnection, said: Sequence[tuple[str, Entry]]
    ) -> None:
        ids = {call_id for call_id, _ in said}
        found = select(calls.c.id, calls.c.number).where(calls.c.id.in_(ids))
        # Nobody may delete them before this is written.
        known = await connection.execute(found.with_for_update(read=True))
        numbers: dict[str, int] = {row.id: row.number for row in known}
        here = [(numbers[each], entry) for each, entry in said if each in numbers]
        if not here:
            return
        await connection.execute(
            entries.insert(),
            [rows.of_entry(entry, number) for number, entry in here],
        )
        said_words = {(w, number) for number, entry in here for w in split(entry.text)}
        if said_words:
            await connection.execute(
                self._insert(words).on_conflict_do_nothing(),
                [{"word": word, "call": number} for word, number in sorted(said_words)],
            )

    async def _recordings(self, which: ColumnElement[bool]) -> list[RecordingRecord]:
        async with self._database.reading() as connection:
            found = select(recordings).where(which).order_by(recordings.c.began)
            return [rows.recording(row) for row in await connection.execute(found)]

    async def _one(self, table: Table, wanted: str, missing: NotFound) -> Any:
        async with self._database.reading() as connection:
            found = await connection.execute(select(table).where(table.c.id == wanted))
            row = found.one_or_none()
        if row is None:
            raise missing
        return row


def _no_call() -> NotFound:
    return NotFound("There is no such call.", code="call_not_found")


def _no_recording() -> NotFound:
    return NotFound("There is no such recording.", code="recording_not_found")


async def _unsay(connection: AsyncConnection, call_id: str) -> None:
    found = select(calls.c.number).where(calls.c.id == call_id)
    number = (await connection.execute(found.with_for_update())).scalar_one_or_none()
    texts = select(entries.c.text).where(entries.c.call == number)
    said = {
        word
        for text in (await connection.execute(texts)).scalars()
        for word in split(text)
    }
    if said:
        await connection.execute(
            delete(words).where(
                words.c.word == bindparam("said"), words.c.call == number
            ),
            [{"said": word} for word in sorted(said)],
        )
    await connection.execute(delete(entries).where(entries.c.call == number))
