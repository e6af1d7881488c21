from __future__ import annotations

import json
import re
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from offhook.archive.records import CallRecord, RecordingRecord, StoredFile
from offhook.archive.storage import Storage
from offhook.archive.store import Store
from offhook.protocol.entries import Entry
from tests.relays import Relay, Running, error_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from offhook.protocol.entries import Kind

pytestmark = pytest.mark.anyio

TOKEN = "canary-operator-token"
URL = "sqlite:///calls.db"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
JSON = {"Accept": "application/json"}
# An hour ago: what is older than the settings say is deleted.
T = float(int(time.time()) - 3600)
CALL = CallRecord(
    "rtc_1",
    "support",
    "bridged",
    T,
    ended=T + 62,
    reason="caller",
    turns=2,
    usage={"responses": 1, "tokens": {"output_audio": 77}},
    statistics={"loss_percent": 0.5},
    recording="rec_1",
)
SAID = [
    Entry("turn", "caller", 500, 2500, "Where is my parcel?", {"item_id": "i"}),
    Entry(
        "tool", "model", 2600, 2800, "look_up", {"arguments": "{}", "output": "Rome"}
    ),
    Entry(
        "turn",
        "model",
        3100,
        5000,
        "It is in",
        {"transcript": "It is in Rome.", "first_audio_ms": 600},
    ),
    Entry("interruption", "caller", 5000, 5000),
    Entry("mark", "server", 6000, 6000, "It broke.", {"event": "error"}),
]
RECORDING = RecordingRecord(
    "rec_1",
    "rtc_1",
    T + 0.5,
    "ready",
    1.0,
    61.5,
    {
        "call.opus": StoredFile(512_345, "audio/ogg"),
        "peaks.json": StoredFile(900, "application/json"),
    },
)


def one(number: int, **given: Any) -> CallRecord:
    call = replace(CALL, id=f"rtc_{number}", began=T + number, recording=None)
    return replace(call, **given)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with Store.open(URL) as store:
        await store.write([CALL], [("rtc_1", entry) for entry in SAID], [RECORDING])
        yield store


@asynccontextmanager
async def pages(running: Running, **given: Any) -> AsyncIterator[Relay]:
    async with running(store=URL, **given) as relay:
        yield relay


async def html(relay: Relay, path: str) -> str:
    page: httpx.Response = await relay.client.get(path, headers=HTML)
    assert page.status_code == 200, page.text
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    return page.text


async def test_a_call_is_listed_and_leads_to_its_page(
    store: Store, running: Running
) -> None:
    async with pages(running) as relay:
        listed = await html(relay, "/calls")
        for shown in (
            "Where is my parcel?",
            "support",
            "bridged",
            "1 min 2 s",
            "ready",
        ):
            assert shown in listed
        assert 'href="calls/rtc_1"' in listed
        page = await html(relay, "/calls/rtc_1")
    for shown in (
        "Where is my parcel?",
        "It is in",
        "look_up",
        "Caller interrupted",
        "answered after 0.60 s",
        "error: It broke.",
        "Median <strong>0.60 s</strong>",
        "512 kB",
        "77",
        "0.5 %",
    ):
        assert shown in page
    # What was not heard is told apart, and each line leads to its place in the sound.
    assert '<span class="tail" title="made, but not heard"> Rome.</span>' in page
    assert 'href="../recordings/rec_1/call.opus#t=2.6"' in page
    assert 'data-offset="0.5"' in page


async def test_every_url_is_relative_and_there(store: Store, running: Running) -> None:
    async with pages(running) as relay:
        seen = set()
        for path in ("/calls", "/calls/rtc_1", "/calls/rtc_9"):
            page = await relay.client.get(path, headers=HTML)
            urls = re.findall(r'(?:src|href|action)="([^"#]+)', page.text)
            assert len(urls) > 4
            for url in map(unescape, urls):
                assert not url.startswith(("/", "http"))
                if "recordings" not in url and not url.endswith("/delete"):
                    seen.add(page.url.join(url))
        for whole in seen:
            response = await relay.client.get(whole, headers=HTML)
            assert response.status_code == (404 if "rtc_9" in str(whole) else 200), (
                whole
            )


async def test_json_says_the_same(store: Store, running: Running) -> None:
    async with pages(running) as relay:
        get = relay.client.get
        for listed in (await get("/calls.json"), await get("/calls", headers=JSON)):
            body = listed.json()
            assert (body["object"], body["next"]) == ("list", None)
            [call] = body["data"]
            assert call["id"] == "rtc_1"
            assert call["first_words"] == "Where is my parcel?"
            assert call["recording"]["state"] == "ready"
        for shown in (
            await get("/calls/rtc_1.json"),
            await get("/calls/rtc_1", headers=JSON),
        ):
            body = shown.json()
            assert body["seconds"] == 62
            assert [Entry.from_json(each) for each in body["entries"]] == SAID
            assert body["usage"] == CALL.usage
        error_of(await get("/calls/rtc_9.json"), 404, "call_not_found")
        error_of(await get("/calls.json?sort=x"), 400, "invalid_value")


async def test_turns_are_where_they_are_heard(
    store: Store, running: Running, tmp_path: Path
) -> None:
    file = tmp_path / "timeline.json"
    heard = replace(SAID[0], begins_ms=100, ends_ms=1900).as_json()
    files = {"timeline.json": StoredFile(0, "application/json")}
    storage = Storage.at("offhook-data/recordings")
    async with pages(running) as relay:
        for text, begins in (
            (json.dumps({"began": T + 0.25, "entries": [heard]}), 350),
            ("not JSON", 500),
            ("[]", 500),
        ):
            file.write_text(text)
            files["timeline.json"] = StoredFile(len(text), "application/json")
            await storage.put("rec_1", [file])
            await store.write([], [], [replace(RECORDING, files=files)])
            body = (await relay.client.get("/calls/rtc_1.json")).json()
            assert body["entries"][0]["begins_ms"] == begins


async def test_what_is_not_there_is_told_in_words(
    store: Store, running: Running
) -> None:
    async with pages(running) as relay:
        missing = await relay.client.get("/calls/rtc_9", headers=HTML)
        wrong = await relay.client.get("/calls?since=x", headers=HTML)
    assert (missing.status_code, wrong.status_code) == (404, 400)
    assert "There is no such call." in missing.text
    assert "since must be a day" in wrong.text
    for page in (missing, wrong):
        assert page.headers["content-type"].startswith("text/html")
        assert "<form" not in page.text.partition("<main>")[2]


async def test_filters_and_pages(store: Store, running: Running) -> None:
    await store.write(
        [
            one(2, agent="sales", path="phone"),
            one(3, ended=T + 4),
            one(4, agent="sales"),
        ],
        [("rtc_4", Entry("turn", "caller", 0, 1, "A parcel & more"))],
    )

    async def found(relay: Relay, query: str) -> list[str]:
        listed = (await relay.client.get(f"/calls.json?{query}")).json()["data"]
        page = await html(relay, f"/calls?{query}")
        ids = re.findall(r'href="calls/(rtc_\d+)', page)
        assert ids == [call["id"] for call in listed]
        return ids

    async with pages(running) as relay:
        assert await found(relay, "") == ["rtc_4", "rtc_3", "rtc_2", "rtc_1"]
        assert await found(relay, "sort=oldest&limit=2") == ["rtc_1", "rtc_2"]
        assert (await found(relay, "sort=longest"))[-1] == "rtc_3"
        assert await found(relay, "text=parcel") == ["rtc_4", "rtc_1"]
        assert await found(relay, "agent=sales&path=phone") == ["rtc_2"]
        assert await found(relay, "recorded=true") == ["rtc_1"]
        assert await found(relay, f"since={T + 2.5}&until={T + 3.5}") == ["rtc_3"]
        assert await found(relay, "text=nowhere&agent=&path=") == []
        seen, url = [], "calls?limit=1&agent=sales&text="
        while url:
            page = await html(relay, f"/{url}")
            seen += re.findall(r'href="calls/(rtc_\d+)', page)
            match = re.search(r'href="([^"]+)" rel="next"', page)
            assert (match is None) == (len(seen) == 2)
            url = unescape(match[1]) + "&limit=1" if match else ""
        assert seen == ["rtc_4", "rtc_2"]


async def test_words_that_were_sought_are_marked(
    store: Store, running: Running
) -> None:
    async with pages(running) as relay:
        assert "?text=my%20par" in await html(relay, "/calls?text=my par")
        page = await html(relay, "/calls/rtc_1?text=my par")
    assert "<mark>my</mark> <mark>parcel</mark>?" in page


async def test_what_a_caller_says_is_text(store: Store, running: Running) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}"
    call = one(6, agent=evil, origin=evil, error=evil, reason=evil, model=evil)
    call = replace(call, statistics={evil: evil}, usage={evil: {evil: 1}})
    data = {"arguments": evil, "output": evil, "transcript": evil, "event": evil}
    kinds: tuple[Kind, ...] = ("turn", "tool", "sound", "mark")
    said = [Entry(kind, "caller", 0, 9, evil, {**data, "to": evil}) for kind in kinds]
    unheard = Entry("turn", "model", 0, 9, "", {"transcript": evil})
    await store.write([call], [("rtc_6", entry) for entry in (*said, unheard)])
    async with pages(running) as relay:
        for path in (
            "/calls",
            "/calls/rtc_6",
            "/calls/rtc_6?text=script",
            "/calls?text=",
        ):
            page = await html(relay, path + (evil if path.endswith("=") else ""))
            assert "<script>" not in page
            assert "<img" not in page
            assert "7 * 7" in page
            assert "&lt;" in page


async def test_a_call_that_goes_on_or_says_nothing(
    store: Store, running: Running
) -> None:
    await store.write([one(7, ended=None)])
    making = RecordingRecord("rec_8", "rtc_8", T, "mastering", 0.4)
    await store.write([one(8)], [], [making])
    failed = RecordingRecord("rec_9", "rtc_9", T, "failed", error="The disk is full.")
    await store.write([one(9)], [], [failed])
    async with pages(running) as relay:
        live = await html(relay, "/calls/rtc_7")
        making_page = await html(relay, "/calls/rtc_8")
        failed_page = await html(relay, "/calls/rtc_9")
    assert "live" in live
    assert "Nothing was said yet." in live
    assert "This call was not recorded." in live
    assert "delete" not in live
    assert '<progress id="progress" value="0.4">' in making_page
    assert 'http-equiv="refresh"' in making_page  # without JavaScript
    assert "The disk is full." in failed_page


async def test_deleting_takes_all(store: Store, running: Running) -> None:
    await store.write([one(2), one(3, ended=None)])
    async with pages(running) as relay:
        away = await relay.client.post("/calls/rtc_2/delete", headers=HTML)
        assert (away.status_code, away.headers["location"]) == (303, "../../calls")
        error_of(await relay.client.get("/calls/rtc_2.json"), 404, "call_not_found")
        gone = await relay.client.delete("/calls/rtc_1")
        assert gone.json() == {"object": "call.deleted", "id": "rtc_1", "deleted": True}
        error_of(await relay.client.delete("/calls/rtc_1"), 404, "call_not_found")
        error_of(await relay.client.delete("/calls/rtc_3"), 409, "call_is_live")
        assert await store.entries("rtc_1") == []


async def test_another_site_cannot_delete(store: Store, running: Running) -> None:
    site = "https://shop.example"
    async with pages(running, origins=site) as relay:
        for origin in (site, "https://evil.example", "null"):
            for asked in (
                relay.client.post("/calls/rtc_1/delete", headers={"Origin": origin}),
                relay.client.delete("/calls/rtc_1", headers={"Origin": origin}),
            ):
                assert (await asked).status_code == 403
        # Nor read, though it may call.
        read = await relay.client.get("/calls.json", headers={"Origin": site})
        error_of(read, 403, "operator_only")
        own = {"Origin": relay.url}
        assert (await relay.client.get("/calls", headers=own)).status_code == 200
    assert (await store.call("rtc_1")).id == "rtc_1"


async def test_off_loopback_they_are_closed(store: Store, running: Running) -> None:
    elsewhere = {"X-Forwarded-For": "192.0.2.7"}
    named = {"Host": "voice.example"}
    async with pages(running) as relay:
        for path in ("/calls", "/calls.json", "/calls/rtc_1", "/calls/rtc_1.json"):
            for headers in (elsewhere, named):
                refused = await relay.client.get(path, headers={**headers, **JSON})
                message = error_of(refused, 403, "operator_only")["message"]
                assert "OFFHOOK_OPERATOR_TOKEN" in message
                assert "parcel" not in refused.text
        for path in ("/calls", "/calls/rtc_1"):
            shown = await relay.client.get(path, headers={**elsewhere, **HTML})
            assert shown.status_code == 403
            assert "OFFHOOK_OPERATOR_TOKEN" in shown.text
            assert "parcel" not in shown.text


async def test_signing_in_and_out(store: Store, running: Running) -> None:
    async with pages(running, operator_token=TOKEN) as relay:
        client = relay.client
        error_of(await client.get("/calls.json"), 401, "invalid_operator_token")
        closed = await client.get("/calls/rtc_1?text=a+b", headers=HTML)
        assert closed.status_code == 401
        assert "parcel" not in closed.text
        assert 'action="../sign-in"' in closed.text
        assert 'name="next" value="calls/rtc_1?text=a+b"' in closed.text
        wrong = await client.post("/sign-in", data={"token": "guess"}, headers=HTML)
        assert wrong.status_code == 401
        assert "This is not the operator&#39;s token" in wrong.text
        form = {"token": TOKEN, "next": "calls/rtc_1?text=a+b"}
        right = await client.post("/sign-in", data=form, headers=HTML)
        assert right.status_code == 303
        assert right.headers["location"] == "calls/rtc_1?text=a+b"
        cookie = right.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "path=" not in cookie
        assert "secure" not in cookie
        page = await html(relay, "/calls/rtc_1")
        assert "parcel" in page
        assert 'action="../sign-out"' in page
        assert 'href="calls"' in await html(relay, "/")
        await client.post("/sign-out")
        assert (await client.get("/calls", headers=HTML)).status_code == 401
        assert 'href="calls"' not in await html(relay, "/")
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert (await client.get("/calls.json", headers=bearer)).status_code == 200


async def test_over_https_the_cookie_stays_there(running: Running) -> None:
    async with pages(running, operator_token=TOKEN, origins="https://v.example") as r:
        headers = {"Origin": "https://v.example", "Sec-Fetch-Site": "same-origin"}
        signed = await r.client.post("/sign-in", data={"token": TOKEN}, headers=headers)
    assert "secure" in signed.headers["set-cookie"].lower()


async def test_signing_in_leads_to_the_calls_only(running: Running) -> None:
    elsewhere = (
        "https://evil.example",
        "//evil.example",
        "calls/../../evil",
        "calls//evil.example",
        "/calls",
        "calls\\evil",
        "calls\n",
        "javascript:alert(1)",
        "",
    )
    async with pages(running, operator_token=TOKEN) as relay:
        for place in elsewhere:
            form = {"token": TOKEN, "next": place}
            signed = await relay.client.post("/sign-in", data=form)
            assert signed.headers["location"] == "calls", place


async def test_guesses_are_slowed_down(running: Running) -> None:
    async with pages(running, operator_token=TOKEN) as relay:
        for _ in range(5):
            await relay.client.post("/sign-in", data={"token": "guess"})
        slowed = await relay.client.post("/sign-in", data={"token": TOKEN})
        assert slowed.status_code == 429
        assert int(slowed.headers["retry-after"]) > 0
        assert "Too many wrong tokens" in slowed.text
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        again = await relay.client.get("/calls.json", headers=bearer)
        error_of(again, 429, "too_many_guesses")


async def test_the_policy_is_strict_and_nothing_is_kept_by_caches(
    store: Store, running: Running
) -> None:
    async with pages(running) as relay:
        for path in ("/calls", "/calls/rtc_1", "/calls.json", "/calls/rtc_9"):
            headers = (await relay.client.get(path, headers=HTML)).headers
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            if path == "/calls/rtc_9" or not path.endswith("json"):
                assert headers["referrer-policy"] == "same-origin"
                policy = headers["content-security-policy"].split("; ")
                assert policy == [
                    "default-src 'none'",
                    "script-src 'self'",
                    "style-src 'self'",
                    "img-src 'self'",
                    "connect-src 'self'",
                    "base-uri 'none'",
                    "form-action 'self'",
                    "frame-ancestors 'none'",
                    "media-src 'self'",
                ]


async def test_where_no_calls_are_kept_the_page_says_so(running: Running) -> None:
    async with running(store="none") as relay:
        error_of(await relay.client.get("/calls.json"), 404, "no_store")
        page = await relay.client.get("/calls", headers=HTML)
        assert "OFFHOOK_STORE" in page.text


async def test_a_store_that_is_down_is_told_in_words(running: Running) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:9/none"
    async with running(store=nowhere) as relay:
        page = await relay.client.get("/calls", headers=HTML)
        assert page.status_code == 503
        assert page.headers["content-type"].startswith("text/html")
        assert "That is not possible" in page.text
        error_of(await relay.client.get("/calls.json"), 503, "store_unavailable")


async def test_a_thousand_calls_take_little_time(
    store: Store, running: Running
) -> None:
    many = [one(10 + number) for number in range(1000)]
    await store.write(many, [(call.id, SAID[0]) for call in many])
    async with pages(running) as relay:
        for path in ("/calls?limit=1000", "/calls.json?limit=1000"):
            took = []
            for _ in range(3):
                began = time.process_time()  # client's and server's
                page = await relay.client.get(path)
                took.append(time.process_time() - began)
            assert page.text.count("rtc_") >= 1000
            assert min(took) < 0.2, took
