from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from offhook.relay.app import create_app
from offhook.settings import Settings
from tests.browser.site import MODULES
from tests.official import problems
from tests.relays import serving
from tests.words import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from offhook.speech import Engines
    from tests.browser.conftest import Open
    from tests.browser.visitor import Visitor

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def relay(local_url: str, **given: Any) -> AsyncIterator[str]:
    settings = Settings.load(upstream=local_url, api_key="sk-any", **given)
    async with serving(create_app(settings)) as url:
        yield url.replace("127.0.0.1", "localhost")


async def heard(visitor: Visitor, engines: Engines) -> str:
    """What the page played, recognised."""
    _, pcm = await visitor.sound("heard")
    return plain(await engines.recognise(pcm.tobytes()))


async def test_two_questions_get_two_spoken_answers(
    local_url: str, visit: Open, engines: Engines
) -> None:
    script = (1.5, "What is seven times eight?", 5.0, "How do you spell dog?", 5.0)
    async with relay(local_url) as url, visit(*script) as visitor:
        await visitor.page.goto(url)
        await visitor.page.click("#call")
        await visitor.until("output_audio_buffer.stopped", 2)
        words = await heard(visitor, engines)
        assert "56" in words
        assert "d" in words.split("56")[1]
        asked, answered = (
            await visitor.captions("user"),
            await visitor.captions("assistant"),
        )
        assert len(asked) == len(answered) == 2
        assert "7 times 8 is 56" in answered[0]
        assert "spell dog" in asked[1].lower()
        assert [p for e in await visitor.events() for p in problems(e)] == []
        await visitor.page.click("#call")
        await visitor.page.wait_for_selector("#status[data-state=disconnected]")
        assert visitor.console == []


async def test_talking_over_the_answer_stops_it(local_url: str, visit: Open) -> None:
    script = (1.5, "Please count to twenty.", 3.0, "What time is it?", 3.0)
    async with relay(local_url) as url, visit(*script) as visitor:
        await visitor.page.goto(url)
        await visitor.page.click("#call")
        await visitor.until("conversation.item.truncated")
        await visitor.until("output_audio_buffer.stopped")
        first, second = (await visitor.speech("sent"))[:2]
        answer = (await visitor.speech("heard"))[0]
        assert first[1] < answer[0] < second[0] < answer[1]
        assert answer[1] - second[0] < 1  # they are still speaking
        events = await visitor.events()
        cut = next(e for e in events if e["type"] == "conversation.item.truncated")
        # What was cut is what was heard, but for what was on its way.
        assert abs(cut["audio_end_ms"] / 1000 - (answer[1] - answer[0])) < 0.5
        assert "interrupted" in " ".join(await visitor.captions("assistant"))


async def test_a_typed_message_is_answered_aloud(
    local_url: str, visit: Open, engines: Engines
) -> None:
    async with relay(local_url) as url, visit(30.0) as visitor:
        await visitor.page.goto(url)
        await visitor.page.click("#call")
        await visitor.page.wait_for_selector("#status[data-state=connected]")
        await visitor.page.fill("#text", "What is 20 plus 22?")
        await visitor.page.press("#text", "Enter")
        await visitor.until("output_audio_buffer.stopped")
        assert "42" in await heard(visitor, engines)
        assert await visitor.captions("user") == ["What is 20 plus 22?"]


async def test_mute_and_the_keyboard(local_url: str, visit: Open) -> None:
    async with relay(local_url) as url, visit(30.0) as visitor:
        page = visitor.page
        await page.goto(url)
        await page.focus("#call")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#status[data-state=connected]")
        await page.keyboard.press("m")
        assert await page.get_attribute("#mute", "aria-pressed") == "true"
        enabled = "window.ear.peer.getSenders()[0].track.enabled"
        assert await page.evaluate(enabled) is False
        await page.keyboard.press("m")
        assert await page.evaluate(enabled) is True


async def test_a_refused_microphone_says_what_to_do(
    local_url: str, visit: Open
) -> None:
    async with relay(local_url) as url, visit(1.0, microphone=False) as visitor:
        await visitor.page.goto(url)
        await visitor.page.click("#call")
        await visitor.page.wait_for_selector("#error[data-code=microphone_denied]")
        assert "microphone" in (await visitor.page.inner_text("#error")).lower()
        await visitor.page.wait_for_selector("#status[data-state=disconnected]")


async def test_an_upstream_that_is_down_is_told_apart_from_the_relay(
    visit: Open,
) -> None:
    async with relay("http://127.0.0.1:9/v1") as url, visit(1.0) as visitor:
        await visitor.page.goto(url)
        await visitor.page.click("#call")
        await visitor.page.wait_for_selector("#error[data-code=upstream_unreachable]")


async def test_accessible_in_every_state(local_url: str, visit: Open) -> None:
    axe = (MODULES / "axe-core/axe.min.js").read_text()
    async with relay(local_url) as url, visit(1.5, "What time is it?") as visitor:
        page = visitor.page
        await page.goto(url)
        # Through the debugger, since the page's own policy allows no foreign script.
        await page.evaluate(axe)
        run = "async () => (await axe.run()).violations.map((v) => v.id)"
        assert await page.evaluate(run) == []
        await page.click("#call")
        await visitor.until("output_audio_buffer.started")
        assert await page.evaluate(run) == []
