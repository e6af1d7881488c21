from __future__ import annotations

import asyncio
import itertools
import os
import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest

from offhook.relay.links import Links
from tests.recorded import CALL, SOUND, Kept, keeping
from tests.relays import Relay, Running, error_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx

    from offhook.archive.records import RecordingRecord

pytestmark = pytest.mark.anyio

TOKEN = "operator-token-0123456789"
RECORDING = f"/recordings/rec_{'0' * 32}"
AGENTS = {"support": {"instructions": "x"}}


@dataclass
class Served:
    relay: Relay
    kept: Kept
    record: RecordingRecord

    async def get(self, name: str = "call.opus", **headers: str) -> httpx.Response:
        path = f"/recordings/{self.record.id}/{name}"
        return await self.relay.client.get(path, headers=headers)


@asynccontextmanager
async def serving(running: Running, **settings: object) -> AsyncIterator[Served]:
    data = Path("offhook-data")
    async with keeping(data) as kept:
        now = time.time()
        record = await kept.record(replace(CALL, began=now, ended=now + 60), now)
        async with running(AGENTS, data=data, **settings) as relay:
            yield Served(relay, kept, record)


@pytest.fixture
async def served(running: Running) -> AsyncIterator[Served]:
    async with serving(running) as served:
        yield served


async def test_a_file_is_sent_whole(served: Served) -> None:
    answer = await served.get()
    assert (answer.status_code, answer.content) == (200, SOUND)
    assert answer.headers["content-type"] == "audio/ogg"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "rtc_1-call.opus" in answer.headers["content-disposition"]
    text = await served.get("transcript.txt")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    head = await served.relay.client.head(f"/recordings/{served.record.id}/call.opus")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(SOUND))


@pytest.mark.parametrize(
    ("wanted", "begin", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=10000-", 10_000, len(SOUND)),
        ("bytes=10000-99999999", 10_000, len(SOUND)),
        ("bytes=-10", len(SOUND) - 10, len(SOUND)),
        ("bytes=-99999999", 0, len(SOUND)),
    ],
)
async def test_a_part_is_sent(
    served: Served, wanted: str, begin: int, end: int
) -> None:
    answer = await served.get(Range=wanted)
    assert (answer.status_code, answer.content) == (206, SOUND[begin:end])
    shown = f"bytes {begin}-{end - 1}/{len(SOUND)}"
    assert answer.headers["content-range"] == shown
    assert answer.headers["content-length"] == str(end - begin)


async def test_what_is_no_part_is_not_sent(served: Served) -> None:
    for wanted in ("bytes=5-2", "bytes=-", "lines=1-2", "bytes=0-1,4-5", "bytes=x-"):
        answer = await served.get(Range=wanted)
        assert (answer.status_code, answer.content) == (200, SOUND), wanted
    for wanted in (f"bytes={len(SOUND)}-", "bytes=-0"):
        answer = await served.get(Range=wanted)
        error_of(answer, 416, "invalid_range")
        assert answer.headers["content-range"] == f"bytes */{len(SOUND)}"


async def test_a_part_is_of_the_same_file_only(served: Served) -> None:
    tag = (await served.get()).headers["etag"]
    same = {"Range": "bytes=0-0", "If-Range": tag}
    assert (await served.get(**same)).status_code == 206
    assert (await served.get(**same | {"If-Range": '"x"'})).status_code == 200


async def test_only_the_operator_and_who_has_a_link_gets_it(running: Running) -> None:
    async with serving(running, operator_token=TOKEN) as served:
        error_of(await served.get(), 401, "invalid_operator_token")
        path = f"/recordings/{served.record.id}"
        client = served.relay.client
        error_of(await client.get(path), 401, "invalid_operator_token")
        error_of(await client.delete(path), 401, "invalid_operator_token")
        operator = {"Authorization": f"Bearer {TOKEN}"}
        assert (await served.get(**operator)).content == SOUND

        shown = (await client.get(path, headers=operator)).json()
        assert shown["object"] == "recording"
        assert shown["state"] == "ready"
        assert shown["files"]["call.opus"]["bytes"] == len(SOUND)
        link = shown["links"]["call.opus"]
        assert (await client.get(link)).content == SOUND
        part = await client.get(link, headers={"Range": "bytes=7-8"})
        assert part.content == SOUND[7:9]
        # For this file, and this request only.
        other = link.replace("call.opus", "transcript.txt")
        error_of(await client.get(other), 403, "invalid_link")
        error_of(await client.get(f"{link}0"), 403, "invalid_link")
        error_of(
            await client.delete(link.partition("/call.opus")[0]),
            401,
            "invalid_operator_token",
        )
        late = Links(None, served.kept.data).sign(served.record.id, "call.opus", 0, 60)
        error_of(await client.get(f"/{late}"), 403, "invalid_link")


async def test_a_deleted_recording_has_no_files(served: Served) -> None:
    path = f"/recordings/{served.record.id}"
    client = served.relay.client
    link = (await client.get(path)).json()["links"]["call.opus"]
    answer = await client.delete(path)
    assert (answer.status_code, answer.json()["deleted"]) == (200, True)
    for gone in (path, link, f"{path}/call.opus"):
        error_of(await client.get(gone), 404, "recording_not_found")
    error_of(await client.delete(path), 404, "recording_not_found")
    assert served.kept.names() == []


async def test_a_call_is_deleted_with_its_recording(served: Served) -> None:
    answer = await served.relay.client.delete("/calls/rtc_1")
    assert answer.status_code == 200
    error_of(await served.get(), 404, "recording_not_found")
    assert served.kept.names() == []


async def test_a_storage_that_is_down_is_told_before_anything_is_sent(
    served: Served,
) -> None:
    place = served.kept.data / "recordings" / served.record.id
    place.rename(place.with_name("away"))
    error_of(await served.get(), 503, "storage_failed")


async def test_nothing_is_there_where_nothing_is_kept(running: Running) -> None:
    async with running(AGENTS, store="none") as relay:
        for path in (RECORDING, f"{RECORDING}/call.opus"):
            error_of(await relay.client.get(path), 404, "no_store")
    assert os.listdir() == []


async def test_ten_thousand_names_lead_nowhere_else(
    served: Served, tmp_path: Path
) -> None:
    canary = "canary-of-this-test"
    data = served.kept.data
    inside = data / "recordings" / served.record.id  # but no file of the recording
    for folder in (tmp_path, data, data / "spool", data / "recordings", inside):
        (folder / "canary.txt").write_text(canary)
    before = served.kept.names()
    targets: dict[str, None] = {}
    for target in strange(served.record.id):
        targets[target] = None
        if len(targets) == 10_000:
            break

    statuses, bodies = await ask(served.relay.url, list(targets))

    assert len(statuses) == 10_000
    assert set(statuses) <= {"307", "404", "405"}  # asked by the operator
    assert canary.encode() not in bodies
    assert b"root:" not in bodies
    assert served.kept.names() == before
    assert (await served.get()).content == SOUND


def strange(record_id: str) -> Iterator[str]:
    """Targets of requests that try to lead out of a recording's folder."""
    ups = ["..", "%2e%2e", ".%2e", "%252e%252e", "..%00", "%c0%ae%c0%ae", "....", "~"]
    ups += ["%ef%bc%8e%ef%bc%8e", "..;", "%u002e%u002e", "."]
    slashes = ("/", "%2f", "%252f", "%5c", "//", "/./", "%c0%af", "%ef%bc%8f")
    ends = ("canary.txt", "secret", "calls.db", "etc/passwd", "call.opus%00.txt")
    starts = (f"/recordings/{record_id}/", "/recordings/", "/recordings/rec_")
    yield f"/recordings/{record_id}/canary.txt"
    for start, up, slash, depth, end in itertools.product(
        starts, ups, slashes, (1, 2, 3, 6), ends
    ):
        yield start + (up + slash) * depth + end
    chance = random.Random(7)
    while True:
        name = bytes(chance.randrange(1, 256) for _ in range(chance.randrange(1, 40)))
        yield f"/recordings/{record_id}/{quote(name, safe='')}"


async def ask(url: str, targets: list[str]) -> tuple[list[str], bytes]:
    """Send each target as it is, which no HTTP client would do."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    statuses, bodies = [], []
    try:
        for begin in range(0, len(targets), 50):
            for number, target in enumerate(targets[begin : begin + 50]):
                method = "DELETE" if number % 5 == 4 else "GET"
                asked = f"{method} {target} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n"
                writer.write(asked.encode())
            for _ in targets[begin : begin + 50]:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                statuses.append(head.split(" ")[1])
                length = int(head.split("content-length: ")[1].split("\r\n")[0])
                bodies.append(await reader.readexactly(length))
    finally:
        writer.close()
    return statuses, b"".join(bodies)
