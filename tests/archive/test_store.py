from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from offhook.archive.records import (
    CallQuery,
    CallRecord,
    RecordingRecord,
    StoredFile,
)
from offhook.archive.store import BEAT_SECONDS, Store
from offhook.errors import InvalidRequest, NotFound
from offhook.protocol.entries import Entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

CALL = CallRecord(
    "rtc_1",
    "support",
    "bridged",
    100.5,
    model="gpt-realtime",
    origin="https://shop.example",
    connected=101.25,
    ended=160.125,
    reason="caller",
    error="It broke.",
    consent=True,
    turns=4,
    usage={"tokens": {"input_text": 3}},
    statistics={"lost": 0.5},
)
RECORDING = RecordingRecord(
    "rec_1",
    "rtc_1",
    101.5,
    "ready",
    1.0,
    59.5,
    {"call.opus": StoredFile(4096, "audio/ogg")},
    expires=2000.0,
    error="none",
)


def turn(text: str, begins: int = 0) -> Entry:
    return Entry("turn", "caller", begins, begins + 900, text, {"item_id": "i"})


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with Store.open(database_url) as store:
        yield store


async def test_what_is_kept_comes_back_as_it_was(store: Store) -> None:
    said = [turn("Good morning.", 2000), Entry("tool", "model", 0, 0, "look_up")]

    await store.write([CALL], [("rtc_1", entry) for entry in said], [RECORDING])

    kept = replace(CALL, recording="rec_1")
    assert await store.call("rtc_1") == kept
    assert await store.entries("rtc_1") == said[::-1]  # by their time
    assert await store.recording("rec_1") == RECORDING
    assert (await store.find(CallQuery())).calls == (kept,)
    assert await store.agents() == ["support"]


async def test_a_call_is_kept_as_it_is_now(store: Store) -> None:
    open_ = CallRecord("rtc_1", "support", "bridged", 100.5)
    await store.write([open_], [("rtc_1", turn("First."))], [RECORDING])
    await store.write([CALL], [("rtc_1", turn("Second.", 1000))])

    assert await store.call("rtc_1") == replace(CALL, recording="rec_1")
    assert [entry.text for entry in await store.entries("rtc_1")] == [
        "First.",
        "Second.",
    ]


async def test_what_is_not_there_is_not_found(store: Store) -> None:
    for wanted in (store.call, store.recording, store.delete):
        with pytest.raises(NotFound):
            await wanted("x")
    assert await store.entries("x") == []


async def test_many_processes_may_make_the_tables_at_once(database_url: str) -> None:
    async with AsyncExitStack() as stack:
        stores = await asyncio.gather(
            *(stack.enter_async_context(Store.open(database_url)) for _ in range(8))
        )
        await asyncio.gather(
            *(s.write([replace(CALL, id=f"rtc_{n}")]) for n, s in enumerate(stores))
        )
        assert len((await stores[0].find(CallQuery())).calls) == 8


async def test_a_thousand_calls_are_listed_at_once(store: Store) -> None:
    many = [replace(CALL, id=f"rtc_{n}", began=n, ended=n + 9) for n in range(1000)]
    said = [(c.id, turn(f"Word {c.id} and parcel")) for c in many for _ in range(3)]
    await store.write(many, said)
    took = []
    for _ in range(5):
        began = time.perf_counter()
        page = await store.find(CallQuery(text="and parc", limit=1000))
        took.append(time.perf_counter() - began)
        assert len(page.calls) == 1000
    assert min(took) < 0.5


async def test_texts_that_no_database_takes_are_kept_without_it(store: Store) -> None:
    await store.write(
        [replace(CALL, error="a\0b\ud800")],
        [("rtc_1", Entry("turn", "caller", 0, 1, "c\0d\udfff", {"x": "\0\ud800"}))],
    )

    assert (await store.call("rtc_1")).error == "a\ufffdb?"
    [kept] = await store.entries("rtc_1")
    assert (kept.text, kept.data) == ("c\ufffdd?", {"x": "\0\ud800"})


async def found(store: Store, **query: object) -> list[str]:
    page = await store.find(CallQuery(**query))  # type: ignore[arg-type]  # any query
    return [call.id for call in page.calls]


async def test_calls_are_found_by_what_was_said_in_them(store: Store) -> None:
    texts = {
        "rtc_1": ["My parcel has not arrived.", "Where is the Übergrößenträger?"],
        "rtc_2": ["Parcels are late.", "I see 你好世界 here"],
        "rtc_3": [],
    }
    await store.write(
        [replace(CALL, id=call_id, began=at) for at, call_id in enumerate(texts)],
        [(call_id, turn(text)) for call_id, said in texts.items() for text in said],
    )

    assert await found(store, text="parcel") == ["rtc_2", "rtc_1"]  # as it is typed
    assert await found(store, text="PARCEL not arr") == ["rtc_1"]
    assert await found(store, text="late, parcel") == ["rtc_2"]
    assert await found(store, text="not parcel") == ["rtc_1"]  # in any order, any turn
    assert await found(store, text="arr parcel") == []  # whole, but the last
    assert await found(store, text="ubergroßen") == ["rtc_1"]
    assert await found(store, text="世界") == ["rtc_2"]
    assert await found(store, text="pa") == []  # too little to go by
    assert await found(store, text="%") == []
    assert await found(store, text="' OR 1=1 --") == []
    assert await found(store, text="  ") == ["rtc_3", "rtc_2", "rtc_1"]


async def test_calls_are_filtered(store: Store) -> None:
    await store.write(
        [
            replace(CALL, id="rtc_1", began=100, ended=110),
            replace(CALL, id="rtc_2", began=200, ended=260, path="phone"),
            replace(CALL, id="rtc_3", began=300, ended=None, agent="sales"),
        ],
        recorded=[RECORDING],
    )

    assert await found(store) == ["rtc_3", "rtc_2", "rtc_1"]
    assert await found(store, sort="oldest") == ["rtc_1", "rtc_2", "rtc_3"]
    assert await found(store, sort="longest") == ["rtc_2", "rtc_1"]
    assert await found(store, agent="sales") == ["rtc_3"]
    assert await found(store, path="phone") == ["rtc_2"]
    assert await found(store, since=200) == ["rtc_3", "rtc_2"]
    assert await found(store, until=200) == ["rtc_1"]
    assert await found(store, recorded=True) == ["rtc_1"]
    assert await found(store, recorded=False) == ["rtc_3", "rtc_2"]
    assert await found(store, min_seconds=30) == ["rtc_2"]


@pytest.mark.parametrize("sort", ["newest", "oldest", "longest"])
async def test_pages_show_each_call_once(store: Store, sort: str) -> None:
    # Many at the same time, and of the same length.
    await store.write(
        [
            replace(CALL, id=f"rtc_{n}", began=n // 4, ended=n // 4 + 5)
            for n in range(23)
        ]
    )
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = CallQuery(sort=sort, limit=5, cursor=cursor)  # type: ignore[arg-type]  # any query
        page = await store.find(query)
        seen += [call.id for call in page.calls]
        cursor = page.next
        if cursor is None:
            break
        assert len(page.calls) == 5

    assert len(seen) == len(set(seen)) == 23
    whole = await store.find(CallQuery(sort=sort, limit=1000))  # type: ignore[arg-type]  # any query
    assert seen == [call.id for call in whole.calls]


async def test_the_dead_leave_nothing_open(database_url: str, store: Store) -> None:
    async with Store.open(database_url) as other:
        await store.beat(1000)
        await other.beat(1000)
        ours = replace(CALL, id="rtc_1", began=900, ended=None, reason=None)
        theirs = replace(CALL, id="rtc_2", began=950, ended=None, reason=None)
        await store.write([ours])
        await other.write(
            [theirs], recorded=[replace(RECORDING, call="rtc_3", state="recording")]
        )

        # Both live.
        assert await store.beat(1000 + BEAT_SECONDS) == 0
        assert not await store.claim("rec_1")
        # The other one has not been seen for too long.
        assert await store.beat(1000 + 4 * BEAT_SECONDS) == 1
        assert (await store.call("rtc_1")).ended is None
        assert await store.call("rtc_2") == replace(
            theirs, ended=1000.0, reason="server_lost"
        )
        assert await store.beat(1000 + 4 * BEAT_SECONDS) == 0
        # Whoever is first has it.
        assert await store.claim("rec_1")
        assert not await store.claim("rec_1")
        await other.beat(1000 + 4 * BEAT_SECONDS)
        assert not await other.claim("rec_1")
        # It was not dead, only slow: its word counts.
        await other.write([theirs])
        assert (await store.call("rtc_2")).ended is None


async def test_who_leaves_in_order_leaves_at_once(
    database_url: str, store: Store
) -> None:
    async with Store.open(database_url) as other:
        await other.beat(1000)
        await other.write([replace(CALL, ended=None)])
    assert await store.beat(1001) == 1
    assert (await store.call("rtc_1")).seconds == 0.0


async def test_only_a_call_that_ended_is_deleted(store: Store) -> None:
    await store.write([replace(CALL, ended=None)], [("rtc_1", turn("Hello."))])
    with pytest.raises(InvalidRequest, match="hang it up") as caught:
        await store.delete("rtc_1")
    assert caught.value.status == 409
    assert len(await store.entries("rtc_1")) == 1


async def test_a_deleted_call_is_gone(store: Store) -> None:
    other = replace(CALL, id="rtc_2")
    said = [("rtc_1", turn("Only here, and there.")), ("rtc_2", turn("And there."))]
    await store.write([CALL, other], said, [RECORDING])

    await store.delete_recording("rec_1")
    assert (await store.call("rtc_1")).recording is None
    await store.delete("rtc_1")

    with pytest.raises(NotFound):
        await store.call("rtc_1")
    assert await found(store, text="only") == []
    assert await found(store, text="there") == ["rtc_2"]
    # Late news of it does not bring it back.
    await store.write([], [("rtc_1", turn("Too late."))])
    assert await store.entries("rtc_1") == []
    assert await found(store, text="late") == []


async def test_what_was_said_is_deleted_alone(store: Store) -> None:
    await store.write([CALL], [("rtc_1", turn("My secret."))])
    await store.unsay("rtc_1")
    assert await store.call("rtc_1") == CALL
    assert await store.entries("rtc_1") == []
    assert await found(store, text="secret") == []


async def test_old_calls_and_late_recordings_are_named(store: Store) -> None:
    await store.write(
        [
            replace(CALL, id="rtc_1", began=100, ended=200),
            replace(CALL, id="rtc_2", began=100, ended=300),
            replace(CALL, id="rtc_3", began=100, ended=None),
        ],
        recorded=[
            replace(RECORDING, id="rec_1", expires=500.0),
            replace(RECORDING, id="rec_2", expires=501.0),
            replace(RECORDING, id="rec_3", expires=None),
            replace(RECORDING, id="rec_4", expires=None, state="deleted"),
        ],
    )
    assert await store.old(300) == ["rtc_1"]
    assert {recording.id for recording in await store.expired(500)} == {
        "rec_1",
        "rec_4",
    }


async def test_a_list_has_what_callers_said_first_and_the_recordings(
    store: Store,
) -> None:
    second = replace(CALL, id="rtc_2")
    silent = replace(CALL, id="rtc_3")
    said = [
        ("rtc_1", Entry("turn", "model", 0, 1, "Welcome.")),
        ("rtc_1", Entry("tool", "caller", 1, 2, "no words")),
        ("rtc_1", turn("", 3)),
        ("rtc_1", turn("First.", 4)),
        ("rtc_1", turn("Second.", 5)),
        ("rtc_2", turn("Another.", 6)),
        ("rtc_3", Entry("turn", "model", 0, 1, "Welcome.")),
    ]
    await store.write([CALL, second, silent], said, [RECORDING])
    first = {"rtc_1": "First.", "rtc_2": "Another."}
    assert await store.openings(["rtc_1", "rtc_2", "rtc_3", "rtc_4"]) == first
    assert await store.openings([]) == {}
    listed = (await store.find(CallQuery())).calls
    assert await store.recordings_of(listed) == {"rec_1": RECORDING}
