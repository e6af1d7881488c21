"""What the element records in Chromium: bridged, and by a tee beside a direct call."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from offhook.relay.app import create_app
from offhook.settings import Settings
from tests.browser.likeness import RATE, pesq
from tests.media.calls import until
from tests.recordings import kept, spooled, track
from tests.relays import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

    from offhook.speech import Engines
    from tests.browser.conftest import Open
    from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

STARTED = "offhook.recording.started"
STOPPED = "output_audio_buffer.stopped"
ERRORS = """window.problems = [];
document.querySelector("offhook-call").addEventListener(
  "recordingerror", ({ detail }) => window.problems.push(detail.code))"""


@asynccontextmanager
async def relay(local_url: str, **agent: str) -> AsyncIterator[str]:
    settings = Settings.load(upstream=local_url, api_key="sk-any")
    app = create_app(settings, agents={"support": agent})
    async with serving(app) as url:
        yield url.replace("127.0.0.1", "localhost")


async def agreed(visitor: Visitor, url: str) -> None:
    """Call, and let it be recorded."""
    await visitor.page.goto(url)
    await visitor.page.evaluate(ERRORS)
    await visitor.page.click("#call")
    await visitor.page.click("#agree")


def spoken(pcm: NDArray[np.int16]) -> bytes:
    """The first stretch in which something is said."""
    loud = np.flatnonzero(np.abs(pcm.astype(float)) > 0.02 * 32767)
    end = next((a for a, b in pairwise(loud) if b - a > RATE), loud[-1])
    return pcm[loud[0] : end].tobytes()


async def words(engines: Engines, pcm: bytes) -> str:
    return (await engines.recognise(pcm)).lower().replace("-", " ")


async def test_a_tee_records_what_both_sides_hear(
    local_url: str, visit: Open, engines: Engines
) -> None:
    script = (2.0, "What is seven times eight?", 3.5, "How do you spell dog?", 1.0)
    async with (
        relay(local_url, record="consent") as url,
        visit(*script) as visitor,
    ):
        await agreed(visitor, url)
        await visitor.until(STARTED)
        status = visitor.page.get_by_role("status")
        assert "Recording" in await status.all_inner_texts()
        await visitor.until(STOPPED)
        # Who is muted is silence in the recording, too.
        await visitor.page.click("#mute")
        await visitor.page.wait_for_timeout(4500)
        _, heard = await visitor.sound("heard")
        _, sent = await visitor.sound("sent")
        await visitor.page.click("#call")
        await visitor.page.wait_for_selector("#status[data-state=disconnected]")
        folder = await kept()
        assert visitor.console == []
        assert await visitor.page.evaluate("window.problems") == []
    said = track(folder, "caller")
    assert "seven times eight" in await words(engines, said)
    assert "dog" not in await words(engines, said)
    answer = track(folder, "model")
    answered = await words(engines, answer)
    assert "fifty six" in answered
    assert answered == await words(engines, heard.tobytes())
    assert pesq(spoken(heard), answer) > 3.5
    # The browser's own microphone stumbles where the machine is busy.
    assert pesq(spoken(sent), said) > 2


async def test_a_conversation_survives_the_death_of_its_recorder(
    local_url: str, visit: Open, engines: Engines
) -> None:
    script = (2.0, "What is seven times eight?", 5.0, "What is two plus two?", 3.0)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(relay(local_url, record="required"))
        async with visit(*script) as visitor:
            await agreed(visitor, url)
            await visitor.until(STARTED)
            await visitor.until(STOPPED)
            await stack.aclose()
            await visitor.page.wait_for_function("window.problems.length")
            await visitor.until(STOPPED, 2)
            _, heard = await visitor.sound("heard")
            assert "four" in (await words(engines, heard.tobytes())).replace(
                "4", "four"
            )
            assert await visitor.page.inner_text("#recording") == "Recording stopped"
            assert await visitor.page.inner_text("#status") == "Connected"
        [folder] = spooled()
        assert "seven times eight" in await words(engines, track(folder, "caller"))


@pytest.mark.parametrize("media", ["direct", "bridged"])
async def test_what_is_taken_back_is_deleted(
    local_url: str, visit: Open, media: str
) -> None:
    async with (
        relay(local_url, record="consent", media=media) as url,
        visit(30.0) as visitor,
    ):
        await agreed(visitor, url)
        await visitor.until(STARTED)
        assert len(spooled()) == 1
        await visitor.page.wait_for_selector("#withdraw")
        await visitor.page.focus("#withdraw")
        await visitor.page.keyboard.press("Enter")
        await visitor.until("offhook.recording.stopped")
        assert spooled() == []
        assert await visitor.page.inner_text("#recording") == "Recording deleted"
        # The button has gone, and the focus with it, to one that is there.
        active = "document.querySelector('offhook-call').shadowRoot.activeElement.id"
        assert await visitor.page.evaluate(active) == "call"
        assert await visitor.page.inner_text("#status") == "Connected"
        assert await visitor.page.evaluate("window.problems") == []


async def test_a_call_ends_with_a_consent_that_it_needs(
    local_url: str, visit: Open
) -> None:
    async with relay(local_url, record="required") as url, visit(30.0) as visitor:
        await agreed(visitor, url)
        await visitor.until(STARTED)
        name = "End the call and delete the recording"
        await visitor.page.get_by_role("button", name=name).click()
        await visitor.page.wait_for_selector("#status[data-state=disconnected]")
        await until(lambda: not spooled())
