from __future__ import annotations

import json
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from playwright.async_api import Error as PlaywrightError

from offhook import create_app
from offhook.settings import Settings
from tests.browser.site import ELEMENT, site
from tests.relays import serving
from tests.words import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Response as PageResponse
    from starlette.requests import Request
    from starlette.responses import Response

    from offhook.speech import Engines
    from tests.browser.conftest import Open
    from tests.relays import Recorder

pytestmark = pytest.mark.anyio

STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'"
)


async def test_mounted_in_fastapi_under_a_strict_policy(
    visit: Open, engines: Engines
) -> None:
    host = FastAPI()
    voice = create_app(Settings.load())
    host.mount("/voice", voice)

    @host.middleware("http")
    async def policy(
        request: Request, respond: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await respond(request)
        response.headers.append("Content-Security-Policy", STRICT)
        return response

    script = (2.5, "What is ten times ten?", 3.0)
    async with serving(host) as url, visit(*script) as visitor:
        url = url.replace("127.0.0.1", "localhost")
        # Without the slash too: the page's own addresses are relative.
        await visitor.page.goto(f"{url}/voice")
        await visitor.page.click("#call")
        await visitor.until("output_audio_buffer.stopped")
        _, pcm = await visitor.sound("heard")
        assert "100" in plain(await engines.recognise(pcm.tobytes()))
        assert visitor.console == []
        paths = {request.url.removeprefix(url) for request in visitor.requests}
        assert all(path.startswith("/voice") for path in paths)
        await visitor.page.click("#call")
        await visitor.page.wait_for_selector("#status[data-state=disconnected]")
        await voice.state.relay.runtime.aclose()


async def test_the_element_works_from_an_allowed_site_and_from_no_other(
    local_url: str, visit: Open
) -> None:
    async with AsyncExitStack() as stack:
        html = [""]
        page = site("")
        friend = await stack.enter_async_context(serving(page))
        stranger = await stack.enter_async_context(serving(page))
        settings = Settings.load(upstream=local_url, api_key="x", origins=friend)
        voice = await stack.enter_async_context(serving(create_app(settings)))
        html[0] = ELEMENT.format(voice=f"{voice}/")
        policy = (
            f"default-src 'none'; script-src {voice}; connect-src {voice}; "
            "img-src data:"
        )
        page.router.routes = site(html[0], policy).router.routes
        visitor = await stack.enter_async_context(visit(1.5, "Hello.", 3.0))
        await visitor.page.goto(friend)
        await visitor.page.click("#call")
        await visitor.until("output_audio_buffer.started")
        assert len(await visitor.captions("assistant")) == 1
        assert visitor.console == []
        await visitor.page.goto(stranger)
        await visitor.page.click("#call")
        await visitor.page.wait_for_selector("#error[data-code=relay_unreachable]")
        # The browser does not let the page read the refusal, so the hint guesses well.
        hint = await visitor.page.inner_text("#error")
        assert "OFFHOOK_ORIGINS" in hint
        assert stranger in hint


async def test_no_key_and_no_instructions_reach_the_browser(
    recorder: Recorder, visit: Open
) -> None:
    key, secret = "sk-canary0123456789", "canary instructions"
    settings = Settings.load(upstream=recorder.url, api_key=key)
    app = create_app(settings, agents={"support": {"instructions": secret}})
    async with serving(app) as url, visit(5.0) as visitor:
        bodies: dict[str, str] = {}

        async def keep(response: PageResponse) -> None:
            with suppress(PlaywrightError):  # some have no body
                bodies[response.url.rsplit("/", 1)[-1]] = await response.text()

        visitor.page.on("response", keep)
        await visitor.page.goto(url.replace("127.0.0.1", "localhost"))
        await visitor.page.click("#call")
        # The recorder's answer is no real one: the call ends there.
        await visitor.page.wait_for_selector("#error:not([hidden])")
    [received] = [r for r in recorder.received if not r.path.endswith("/hangup")]
    assert received.path == "/v1/realtime/calls"
    assert received.headers["authorization"] == f"Bearer {key}"
    assert received.headers["content-type"].startswith("multipart/form-data")
    assert json.dumps(secret).encode() in received.body
    sent = [str(r.post_data) + str(r.headers) + r.url for r in visitor.requests]
    assert {"client_secrets", "calls"} <= bodies.keys()
    for text in (*bodies.values(), *sent):
        assert key not in text
        assert secret not in text


async def test_in_key_mode_the_browser_goes_to_the_upstream_alone(
    local_url: str, visit: Open
) -> None:
    settings = Settings.load(upstream=local_url, api_key="x", keys="upstream")
    async with serving(create_app(settings)) as url, visit(1.5, "Hello.") as visitor:
        await visitor.page.goto(url.replace("127.0.0.1", "localhost"))
        await visitor.page.click("#call")
        await visitor.until("output_audio_buffer.started")
        calls = [r.url for r in visitor.requests if r.url.endswith("/calls")]
        assert set(calls) == {f"{local_url}/realtime/calls"}
        assert visitor.console == []
