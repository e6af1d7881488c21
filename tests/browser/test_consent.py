"""The element asks before it calls, by eye, by keyboard and by screen reader."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from offhook.relay.app import create_app
from offhook.settings import Settings
from tests.browser.site import ELEMENT, MODULES, site
from tests.relays import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

    from tests.browser.conftest import Open
    from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

# What a screen reader has of an open dialog.
OPEN = "dialog[open]"
FOCUS = "document.querySelector('offhook-call').shadowRoot.activeElement?.id ?? ''"


@asynccontextmanager
async def recorded(local_url: str, record: str, **given: Any) -> AsyncIterator[str]:
    settings = Settings.load(upstream=local_url, api_key="sk-any", **given)
    agents = {"support": {"record": record, "media": "bridged"}}
    async with serving(create_app(settings, agents=agents)) as url:
        yield url.replace("127.0.0.1", "localhost")


def consents(visitor: Visitor) -> list[Any]:
    """What was said when the keys were asked for."""
    mints = [r for r in visitor.requests if r.url.endswith("/client_secrets")]
    return [json.loads(mint.post_data or "{}").get("consent") for mint in mints]


async def pressed(page: Page, *keys: str) -> None:
    for key in keys:
        await page.keyboard.press(key)


async def test_by_keyboard_and_for_screen_readers(local_url: str, visit: Open) -> None:
    axe = (MODULES / "axe-core/axe.min.js").read_text()
    async with recorded(local_url, "consent") as url, visit(30.0) as visitor:
        page = visitor.page
        await page.goto(url)
        await page.evaluate(axe)
        await page.focus("#call")
        # A key held down agrees to nothing.
        await pressed(page, "Enter", "Enter", "Enter")
        await page.wait_for_selector(OPEN)
        assert await page.evaluate(FOCUS) == "consent-title"
        question = page.get_by_role("dialog", name="May this call be recorded?")
        assert await question.count() == 1
        described = await page.locator(OPEN).aria_snapshot()
        for name in ("Yes, record the call", "Call without recording", "Cancel"):
            assert f'button "{name}"' in described
        run = "async () => (await axe.run()).violations.map((v) => v.id)"
        assert await page.evaluate(run) == []
        # Nothing was opened or asked for until there is an answer.
        assert consents(visitor) == []
        assert await page.evaluate("window.ear.peer") is None
        await pressed(page, "Escape")
        await page.wait_for_selector(OPEN, state="detached")
        assert await page.evaluate(FOCUS) == "call"
        assert await page.inner_text("#status") == "Ready"
        await pressed(page, "Enter")
        await page.wait_for_selector(OPEN)
        await pressed(page, "Tab", "Tab")
        assert await page.evaluate(FOCUS) == "decline"
        await pressed(page, "Enter")
        await page.wait_for_selector("#status[data-state=connected]")
        assert consents(visitor) == [{"recording": False}]
        # It remembers nothing: the next call asks again.
        await page.click("#call")
        await page.wait_for_selector("#status[data-state=disconnected]")
        await page.focus("#call")
        await pressed(page, "Enter")
        await page.wait_for_selector(OPEN)
        await pressed(page, "Tab")
        assert await page.evaluate(FOCUS) == "agree"
        await pressed(page, "Space")
        await page.wait_for_selector("#status[data-state=connected]")
        assert consents(visitor)[1:] == [{"recording": True}]
        assert visitor.console == []


async def test_where_consent_is_required_there_is_no_third_way(
    local_url: str, visit: Open
) -> None:
    async with recorded(local_url, "required") as url, visit(30.0) as visitor:
        page = visitor.page
        await page.goto(url)
        await page.click("#call")
        dialog = page.get_by_role("dialog", name="This call will be recorded")
        await dialog.wait_for()
        names = await dialog.get_by_role("button").all_inner_texts()
        assert names == ["Agree and call", "Cancel"]
        await page.click("#cancel")
        assert consents(visitor) == []
        # A host that has its own consent, or its own refusal, is asked nothing.
        await page.evaluate("document.querySelector('offhook-call').consent = false")
        await page.click("#call")
        await page.wait_for_selector("#error[data-code=consent_required]")
        assert "agree to the recording" in await page.inner_text("#error")
        await page.evaluate("document.querySelector('offhook-call').consent = true")
        await page.click("#call")
        await page.wait_for_selector("#status[data-state=connected]")
        assert consents(visitor) == [{"recording": False}, {"recording": True}]


@pytest.mark.parametrize("record", ["never", "always"])
async def test_where_nothing_is_left_to_the_caller_nothing_is_asked(
    local_url: str, visit: Open, record: str
) -> None:
    async with recorded(local_url, record) as url, visit(30.0) as visitor:
        await visitor.page.goto(url)
        await visitor.page.click("#call")
        await visitor.page.wait_for_selector("#status[data-state=connected]")
        assert consents(visitor) == [None]


async def test_on_another_site_in_its_own_words(local_url: str, visit: Open) -> None:
    page = site("")
    async with (
        serving(page) as shop,
        recorded(local_url, "consent", origins=shop) as voice,
        visit(30.0) as visitor,
    ):
        page.router.routes = site(ELEMENT.format(voice=f"{voice}/")).router.routes
        await visitor.page.goto(shop)
        await visitor.page.evaluate(
            "document.querySelector('offhook-call').texts = "
            "{ consent: 'Aufnehmen?', agree: 'Ja', decline: 'Nein' }"
        )
        await visitor.page.click("#call")
        dialog = visitor.page.get_by_role("dialog", name="Aufnehmen?")
        await dialog.get_by_role("button", name="Ja").click()
        await visitor.page.wait_for_selector("#status[data-state=connected]")
        assert consents(visitor) == [{"recording": True}]
        assert visitor.console == []
