from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiortc import RTCSessionDescription

from offhook.relay.app import create_app
from offhook.settings import Settings
from tests.caller import calling, offer
from tests.media.calls import until
from tests.media.test_tee import Page
from tests.recordings import kept, spooled, track
from tests.relays import Relay, error_of, serving
from tests.witness import Witness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from offhook.speech import Engines
    from tests.caller import Caller

    Speak = Callable[[str], Awaitable[bytes]]

pytestmark = pytest.mark.anyio

YES = {"consent": {"recording": True}}
SAID = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "What is seven times eight?"}],
}


@asynccontextmanager
async def relaying(
    local_url: str, record: str, *observers: Witness
) -> AsyncIterator[Relay]:
    settings = Settings.load(upstream=local_url, api_key="sk-any")
    agents = {"support": {"record": record}}
    app = create_app(settings, agents=agents, observers=observers)
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        yield Relay(url, client)


async def hang_up(relay: Relay, key: str, call_id: str) -> None:
    path = f"/v1/realtime/calls/{call_id}/hangup"
    headers = {"Authorization": f"Bearer {key}"}
    assert (await relay.client.post(path, headers=headers)).is_success


async def teed(relay: Relay, key: str, call_id: str, sdp: str) -> httpx.Response:
    return await relay.client.post(
        f"/v1/offhook/calls/{call_id}/recording",
        content=sdp,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/sdp"},
    )


@asynccontextmanager
async def teeing(relay: Relay, key: str, call_id: str) -> AsyncIterator[Page]:
    """Send both sides, as the page of the call."""
    page = Page()
    answer = await teed(relay, key, call_id, await offer(page))
    assert answer.status_code == 201, answer.text
    try:
        description = RTCSessionDescription(answer.text, "answer")
        await page.peer.setRemoteDescription(description)
        yield page
    finally:
        await page.close()


@asynccontextmanager
async def called(
    local_url: str, record: str, minted: Any = None, *observers: Witness
) -> AsyncIterator[tuple[Relay, str, Caller]]:
    async with relaying(local_url, record, *observers) as relay:
        key = await relay.grant(minted)
        url = f"{relay.url}/v1"
        async with calling(url, key=key, whole=False) as caller:
            yield relay, key, caller


async def test_what_both_sides_say_is_recorded_and_the_call_goes_on(
    local_url: str, speak: Speak, engines: Engines
) -> None:
    async with called(local_url, "consent", YES) as (relay, key, caller):
        async with teeing(relay, key, caller.call_id) as page:
            started = await page.until("offhook.recording.started")
            page.microphone.say(await speak("What is seven times eight?"))
            page.model.say(await speak("It is sunny in Paris."))
            await until(lambda: not (page.microphone.pcm or page.model.pcm))
        # The page's way to the recorder is gone, and nobody in the call has noticed.
        caller.send("conversation.item.create", item=SAID)
        caller.send("response.create")
        await caller.until("output_audio_buffer.started")
        await hang_up(relay, key, caller.call_id)
        folder = await kept()
    assert folder.name == started["recording_id"]
    for name, words in (("caller", "seven times eight"), ("model", "sunny in paris")):
        said = (await engines.recognise(track(folder, name))).lower()
        assert words in said, (name, said)


async def test_consent_may_come_over_the_tee_and_go_again(local_url: str) -> None:
    witness = Witness()
    given = (local_url, "consent", None, witness)
    async with called(*given) as (relay, key, caller):
        async with teeing(relay, key, caller.call_id) as page:
            page.channel.on("open", lambda: page.send("offhook.recording.other"))
            error = (await page.until("error"))["error"]
            assert error["code"] == "invalid_value"
            assert spooled() == []
            page.send("offhook.recording.consent")
            await page.until("offhook.recording.started")
            assert spooled()
            page.send("offhook.recording.withdraw")
            stopped = await page.until("offhook.recording.stopped")
            assert stopped["deleted"] is True
            assert spooled() == []
            assert witness.marks("offhook.recording.stopped")


async def test_a_call_that_has_to_be_recorded_ends_without_consent(
    local_url: str,
) -> None:
    async with called(local_url, "required", YES) as (relay, key, caller):
        async with teeing(relay, key, caller.call_id) as page:
            await page.until("offhook.recording.started")
            page.send("offhook.recording.withdraw")
            await caller.closed()
        await until(lambda: not spooled())


async def test_who_has_no_tee_any_more_can_still_take_consent_back(
    local_url: str,
) -> None:
    witness = Witness()
    async with called(local_url, "consent", YES, witness) as (relay, key, caller):
        path = f"/v1/offhook/calls/{caller.call_id}/recording"
        mine = {"Authorization": f"Bearer {key}"}
        theirs = {"Authorization": f"Bearer {await relay.grant()}"}
        early = await relay.client.delete(path, headers=mine)
        error_of(early, 409, "not_recorded")
        async with teeing(relay, key, caller.call_id) as page:
            await page.until("offhook.recording.started")
        refused = await relay.client.delete(path, headers=theirs)
        error_of(refused, 404, "call_id_not_found")
        assert spooled()
        assert (await relay.client.delete(path, headers=mine)).status_code == 204
        await until(lambda: not spooled())
        await until(lambda: bool(witness.marks("offhook.recording.stopped")))
        await hang_up(relay, key, caller.call_id)
        assert (await witness.end()).consent is False


async def test_the_recording_ends_with_the_call(local_url: str) -> None:
    async with called(local_url, "always") as (relay, key, caller):
        async with teeing(relay, key, caller.call_id) as page:
            await page.until("offhook.recording.started")
            await hang_up(relay, key, caller.call_id)
            await kept()


async def test_only_the_caller_may_record_and_once(local_url: str) -> None:
    async with called(local_url, "consent", YES) as (relay, key, caller):
        page = Page()
        sdp = await offer(page)
        stranger = await relay.grant(YES)
        answer = await teed(relay, stranger, caller.call_id, sdp)
        error_of(answer, 404, "call_id_not_found")
        one_line = sdp.replace("m=audio", "m=video", 1)
        answer = await teed(relay, key, caller.call_id, one_line)
        error_of(answer, 400, "invalid_offer")
        assert (await teed(relay, key, caller.call_id, sdp)).status_code == 201
        answer = await teed(relay, key, caller.call_id, sdp)
        error_of(answer, 409, "not_recorded")
        await page.close()
        assert spooled() == []


async def test_what_is_not_to_be_recorded_is_not(local_url: str) -> None:
    async with called(local_url, "never", YES) as (relay, key, caller):
        page = Page()
        answer = await teed(relay, key, caller.call_id, await offer(page))
        error_of(answer, 409, "not_recorded")
        await page.close()


@pytest.mark.parametrize(
    ("record", "minted", "told"),
    [
        ("never", YES, None),
        ("consent", None, "on-consent"),
        ("consent", YES, "now"),
        ("required", YES, "now"),
        ("always", None, "now"),
    ],
)
async def test_a_page_is_told_whether_to_send_both_sides(
    running: Any, record: str, minted: Any, told: str | None
) -> None:
    async with running({"support": {"record": record}}) as relay:
        answer = await relay.call(await relay.grant(minted), Origin=relay.url)
        assert answer.headers.get("offhook-tee") == told
        assert "Offhook-Tee" in answer.headers["access-control-expose-headers"]
