from __future__ import annotations

import asyncio
import errno
import logging
import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import av
import pytest

from offhook.archive.recordings import Recordings
from offhook.archive.records import CallQuery, StoredFile
from offhook.archive.storage import Storage
from offhook.archive.store import BEAT_SECONDS
from offhook.errors import InvalidRequest, NotFound, ServerError
from offhook.media.mastering import master
from offhook.protocol.entries import Entry
from tests.recorded import CALL, DOWN, KEEP_SECONDS, SOUND, Kept, keeping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from offhook.archive.store import Store

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["folder", "s3"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kept]:
    url = request.getfixturevalue("s3_url") if request.param == "s3" else None
    async with keeping(tmp_path / "data", url) as kept:
        yield kept


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Kept]:
    async with keeping(tmp_path / "data") as kept:
        yield kept


async def heard(kept: Kept, record_id: str) -> bytes:
    record = await kept.recordings.find(record_id)
    size = record.files["call.opus"].bytes
    pieces = kept.recordings.read(record, "call.opus", 0, size)
    return b"".join([piece async for piece in pieces])


async def test_a_recording_is_made_stored_and_heard(kept: Kept) -> None:
    kept.writer.began(CALL)
    record, folder = kept.recordings.begin(CALL, 110.0)
    await kept.writer.flush(kept.store)
    assert (record.state, record.expires) == ("recording", 110.0 + KEEP_SECONDS)
    assert await kept.store.recording(record.id) == record
    assert not folder.exists()  # no byte before there is a recorder
    kept.write(folder)

    done = await kept.recordings.finish(record)

    assert done == replace(
        record,
        state="ready",
        progress=1.0,
        seconds=60.0,
        files={
            "call.opus": StoredFile(len(SOUND), "audio/ogg"),
            "transcript.txt": StoredFile(6, "text/plain; charset=utf-8"),
        },
    )
    assert await kept.store.recording(record.id) == done
    assert (await kept.store.call("rtc_1")).recording == record.id
    assert await heard(kept, record.id) == SOUND
    assert not folder.exists()


async def test_a_deleted_recording_is_gone(kept: Kept) -> None:
    record = await kept.record()
    other = await kept.record(replace(CALL, id="rtc_2"))
    said = [("rtc_1", Entry("turn", "caller", 0, 1, "My secret."))]
    await kept.store.write([], said)

    await kept.recordings.delete(record.id)

    with pytest.raises(NotFound):
        await kept.recordings.find(record.id)
    with pytest.raises(ServerError):
        await anext(kept.recordings.read(record, "call.opus", 0, 1))
    assert await kept.store.entries("rtc_1") == []
    assert (await kept.store.find(CallQuery(text="secret"))).calls == ()
    assert (await kept.store.call("rtc_1")).recording is None
    assert await heard(kept, other.id) == SOUND
    with pytest.raises(NotFound):
        await kept.recordings.delete(record.id)


async def test_what_is_over_its_time_goes_with_its_call(kept: Kept) -> None:
    old = await kept.record(now=100.0)
    young = await kept.record(
        replace(CALL, id="rtc_2", began=200.0, ended=260.0), now=200.0
    )
    await kept.recordings.expire(100.0 + KEEP_SECONDS - 1)
    assert await heard(kept, old.id) == SOUND

    await kept.recordings.expire(100.0 + KEEP_SECONDS)
    with pytest.raises(NotFound):
        await kept.recordings.find(old.id)
    assert [c.id for c in (await kept.store.find(CallQuery())).calls] == [
        "rtc_2",
        "rtc_1",
    ]
    # The call itself is over its time later: it ended later.
    await kept.recordings.expire(161.0 + KEEP_SECONDS)
    assert [c.id for c in (await kept.store.find(CallQuery())).calls] == ["rtc_2"]
    assert await heard(kept, young.id) == SOUND


async def test_a_call_goes_with_its_recordings(local: Kept) -> None:
    await local.record()
    await local.record()  # it may have several
    assert len(local.names()) > 4
    await local.recordings.delete_call("rtc_1")
    assert local.names() == []
    assert (await local.store.find(CallQuery())).calls == ()


async def test_what_is_being_made_is_not_deleted(local: Kept) -> None:
    call = replace(CALL, ended=None)
    local.writer.began(call)
    record, folder = local.recordings.begin(call, 100.0)
    local.write(folder)
    await local.writer.flush(local.store)
    for deleting, wanted in (
        (local.recordings.delete, record.id),
        (local.recordings.delete_call, "rtc_1"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await deleting(wanted)
        assert caught.value.status == 409
    assert folder.exists()


async def test_withdrawn_consent_leaves_nothing(local: Kept) -> None:
    call = replace(CALL, ended=None)
    record, folder = local.recordings.begin(call, 100.0)
    local.write(folder)
    local.writer.told(call, Entry("turn", "caller", 0, 1, "My secret."))
    await local.writer.flush(local.store)
    local.writer.told(call, Entry("turn", "caller", 2, 3, "More of it."))

    await local.recordings.discard(record)

    assert local.names() == []
    assert await local.store.entries("rtc_1") == []
    assert (await local.store.call("rtc_1")).recording is None
    await local.writer.flush(local.store)
    assert await local.store.entries("rtc_1") == []


async def test_it_leaves_nothing_while_the_store_is_down(
    local: Kept, tmp_path: Path
) -> None:
    down = True

    async def store() -> Store:
        if down:
            raise DOWN
        return local.store

    storage = Storage.at(str(tmp_path / "data/recordings"))
    spool = tmp_path / "data/spool"
    recordings = Recordings(
        store, local.writer, storage, spool, local.masters, KEEP_SECONDS
    )
    record, folder = recordings.begin(CALL, 100.0)
    local.write(folder)
    await local.writer.flush(local.store)
    with pytest.raises(ServerError):
        await recordings.discard(record)
    assert local.names() == []

    down = False
    await local.writer.flush(local.store)
    await recordings.expire(100.0)
    with pytest.raises(NotFound):
        await recordings.find(record.id)


async def test_what_waited_for_the_store_waits_no_longer(local: Kept) -> None:
    down = True

    async def store() -> Store:
        if down:
            raise DOWN
        return local.store

    recordings = Recordings(
        store,
        local.writer,
        Storage.at(str(local.data / "recordings")),
        local.data / "spool",
        local.masters,
        KEEP_SECONDS,
    )
    record, folder = recordings.begin(CALL, 100.0)
    local.write(folder)
    assert (await recordings.finish(record)).state == "failed"

    down = False
    await local.writer.flush(local.store)
    await recordings.recover(time.time())
    assert (await recordings.find(record.id)).state == "ready"


async def test_a_full_disk_is_told_once_and_the_recording_waits(
    local: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    local.masters.fails = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    record = await local.record()
    assert (record.state, record.error) == ("failed", "No space left on device")
    await local.recordings.recover(time.time())  # not again at once
    assert local.masters.mastered == 1
    again = await local.recordings.finish(record)
    assert (again.state, local.masters.mastered) == ("failed", 2)
    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert told == [f"Recording {record.id} waits: No space left on device"]

    local.masters.fails = None
    done = await local.recordings.finish(record)
    assert (done.state, done.error) == ("ready", None)
    assert await heard(local, record.id) == SOUND


async def test_a_storage_that_is_down_costs_nothing(
    local: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data/recordings").write_text("in the way")
    record = await local.record()
    assert record.state == "failed"
    assert "storage of recordings failed" in str(record.error)
    assert (local.data / "spool" / record.id / "call.opus").read_bytes() == SOUND

    (tmp_path / "data/recordings").unlink()
    async with keeping(tmp_path / "data") as another:  # the next start
        await another.recordings.recover(time.time())
        assert await heard(another, record.id) == SOUND
        assert local.names() == [
            f"recordings/{record.id}",
            f"recordings/{record.id}/call.opus",
            f"recordings/{record.id}/transcript.txt",
        ]


async def test_a_server_that_is_killed_leaves_a_recording_that_is_finished(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    kill_a_server(data)
    [folder] = (data / "spool").iterdir()

    async with keeping(data, master=master) as kept:
        await kept.recordings.recover(time.time())
        assert folder.exists()  # it may live yet
        await kept.store.beat(time.time() + 4 * BEAT_SECONDS)
        await kept.recordings.recover(time.time())
        done = await kept.recordings.find(folder.name)
        assert (done.state, done.error) == ("ready", None)
        assert 1.0 <= (done.seconds or 0) <= 2.5  # of 2 at most 1 is lost
        assert {"call.opus", "timeline.json", "peaks.json"} < done.files.keys()
        assert done.files["call.opus"].bytes > 1000
        assert (await kept.store.call("rtc_1")).reason == "server_lost"
    assert not folder.exists()
    with av.open(data / "recordings" / done.id / "call.opus") as sound:
        seconds = sum(f.samples for f in sound.decode(audio=0)) / 48_000
    assert seconds == pytest.approx(done.seconds, abs=0.1)


async def test_one_of_those_who_live_finishes_what_the_dead_left(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    async with keeping(data) as dead:
        dead.writer.began(replace(CALL, ended=None))
        record, folder = dead.recordings.begin(CALL, 100.0)
        dead.write(folder)
        await dead.writer.flush(dead.store)
        async with keeping(data) as one:
            await one.recordings.recover(time.time())  # it lives
            assert one.masters.mastered == 0
    async with keeping(data) as one, keeping(data) as two:
        await asyncio.gather(
            *(e.recordings.recover(time.time()) for e in (one, two) * 3)
        )
        assert one.masters.mastered + two.masters.mastered == 1
        assert await heard(two, record.id) == SOUND
        await one.recordings.recover(time.time())
        assert (await one.store.call("rtc_1")).reason == "server_lost"


async def test_a_recording_that_the_store_never_heard_of_is_finished(
    local: Kept,
) -> None:
    folder = local.data / "spool" / f"rec_{'0' * 32}"
    local.write(folder)
    await local.recordings.recover(time.time())
    assert local.masters.mastered == 0  # its process may be about to tell
    (local.data / "spool/other").mkdir()
    later = time.time() + 100
    await local.recordings.recover(later)  # tells the store
    await local.recordings.recover(later)
    assert await heard(local, folder.name) == SOUND
    assert (await local.recordings.find(folder.name)).call == "rtc_1"


async def test_what_is_finished_again_is_not_deleted_meanwhile(local: Kept) -> None:
    local.masters.fails = OSError(errno.ENOSPC, "full")
    record = await local.record()
    at_work, go_on = asyncio.Event(), asyncio.Event()

    async def master(folder: Path, progress: object) -> tuple[float, list[Path]]:
        at_work.set()
        await go_on.wait()
        return 1.0, [folder / "call.opus"]

    async with keeping(local.data, master=master) as another:
        finishing = asyncio.create_task(another.recordings.recover(time.time()))
        await at_work.wait()
        with pytest.raises(InvalidRequest):
            await local.recordings.delete(record.id)
        go_on.set()
        await finishing
        await another.writer.flush(another.store)
    assert await heard(local, record.id) == SOUND
    await local.recordings.delete(record.id)
    assert local.names() == []


async def test_two_who_delete_leave_nothing(local: Kept) -> None:
    for _ in range(20):
        record = await local.record()
        for number in range(50):
            local.write(local.data / "spool" / record.id / f"{number}")
        deleting = (local.recordings.delete(record.id) for _ in range(2))
        for said in await asyncio.gather(*deleting, return_exceptions=True):
            assert said is None or isinstance(said, NotFound)
        assert local.names() == []


async def test_what_nobody_can_tell_the_call_of_is_deleted_in_time(local: Kept) -> None:
    empty, torn = (local.data / "spool" / f"rec_{n * 32}" for n in "01")
    empty.mkdir(parents=True)
    local.write(torn)
    (torn / "recording.json").write_text("{")
    await local.recordings.recover(time.time() + KEEP_SECONDS - 10)
    assert empty.exists()
    assert torn.exists()
    await local.recordings.recover(time.time() + KEEP_SECONDS + 10)
    assert local.names() == []
    assert local.masters.mastered == 0


async def test_one_is_mastered_at_a_time(local: Kept) -> None:
    now, most = 0, 0

    async def master(folder: Path, progress: object) -> tuple[float, list[Path]]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return 1.0, [folder / "call.opus"]

    async with keeping(local.data, master=master) as kept:
        made = [kept.recordings.begin(CALL, 100.0) for _ in range(3)]
        for _, folder in made:
            kept.write(folder)
        await asyncio.gather(*(kept.recordings.finish(record) for record, _ in made))
    assert most == 1


async def test_what_another_machine_deleted_is_not_made_again(local: Kept) -> None:
    local.masters.fails = OSError(errno.ENOSPC, "full")
    record = await local.record()
    await local.recordings.recover(time.time())
    # From where this spool cannot be reached.
    await local.store.delete_recording(record.id)
    for path in (local.data / "spool" / record.id).iterdir():
        os.utime(path, (0, 0))
    await local.recordings.recover(time.time())
    await local.recordings.recover(time.time())
    assert local.names() == []
    with pytest.raises(NotFound):
        await local.recordings.find(record.id)


async def test_a_start_after_a_death_at_the_last_moment(local: Kept) -> None:
    # Stored and told, but still in the spool.
    record = await local.record()
    folder = local.data / "spool" / record.id
    local.write(folder)
    await local.recordings.recover(time.time())
    assert not folder.exists()
    assert await heard(local, record.id) == SOUND
    # Half deleted.
    await local.store.write(recorded=[replace(record, state="deleted")])
    await local.recordings.expire(0.0)
    assert local.names() == []


async def test_what_was_said_is_in_no_file_after_it_was_deleted(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    secrets = [f"xyzzy{number:04}secret" for number in range(300)]
    async with keeping(data) as kept:
        for number, secret in enumerate(secrets):
            call = replace(CALL, id=f"rtc_{number}", error=secret)
            kept.writer.ended(call)
            for turn in range(5):
                text = f"Before {secret} and after, number {turn} " * 3
                kept.writer.told(call, Entry("turn", "caller", turn, turn, text))
        await kept.writer.flush(kept.store)
        assert all(secret in in_files(data) for secret in secrets)
        # Every second one, so that pages are rebuilt around what stays.
        for number in range(0, len(secrets), 2):
            await kept.recordings.delete_call(f"rtc_{number}")
        left = in_files(data)
        assert [secret for secret in secrets[::2] if secret in left] == []
        assert all(secret in left for secret in secrets[1::2])
        # One alone, by its recording.
        record = await kept.record(replace(CALL, id="rtc_1", error=None))
        await kept.recordings.delete(record.id)
        assert secrets[1] not in in_files(data)


def in_files(data: Path) -> str:
    """All that is in the database's files, the log included."""
    return "".join(
        file.read_bytes().decode("latin-1") for file in data.glob("calls.db*")
    )


def kill_a_server(data: Path) -> None:
    """Let one record for two seconds."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.relay.recording", str(data)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as server:
        assert server.stdout
        for line in server.stdout:
            if int(line) == 100:
                break
        server.kill()
