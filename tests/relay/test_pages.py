from __future__ import annotations

import re

import pytest

from offhook import __version__
from tests.relays import KEY, PROMPT, Recorder, Relay, Running

pytestmark = pytest.mark.anyio


async def test_the_page_shows_agents_and_upstream_but_no_secret(relay: Relay) -> None:
    page = await relay.client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for shown in ("support", "127.0.0.1", __version__):
        assert shown in page.text
    for hidden in (KEY, PROMPT):
        assert hidden not in page.text + str(page.headers)


async def test_every_url_of_the_page_is_relative_and_there(relay: Relay) -> None:
    page = await relay.client.get("/")
    urls = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    assert urls
    assert "calls" in urls
    for url in urls:
        assert not url.startswith(("/", "http"))
        assert (await relay.client.get(f"/{url}")).status_code == 200


async def test_the_pages_policy_is_strict(running: Running, recorder: Recorder) -> None:
    async with running() as relay, running(keys="upstream") as direct:
        ours = (await relay.client.get("/")).headers
        theirs = (await direct.client.get("/")).headers
    assert ours["content-security-policy"].split("; ") == [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    # In key mode the browser itself goes to the upstream.
    policy = theirs["content-security-policy"]
    assert f"connect-src 'self' {recorder.url};" in policy
    assert ours["permissions-policy"] == "microphone=(self)"
    assert ours["referrer-policy"] == "no-referrer"
    assert ours["x-content-type-options"] == "nosniff"
    assert ours["cross-origin-opener-policy"] == "same-origin"


async def test_the_calls_are_shown_to_the_operator_only(relay: Relay) -> None:
    page = await relay.client.get("/", headers={"X-Forwarded-For": "192.0.2.7"})
    assert 'href="calls"' not in page.text


async def test_static_files_suit_any_site(relay: Relay) -> None:
    file = await relay.client.get("/static/offhook.js")
    assert file.headers["content-type"] == "text/javascript; charset=utf-8"
    assert file.headers["cross-origin-resource-policy"] == "cross-origin"
    assert file.headers["x-content-type-options"] == "nosniff"
    assert file.headers["cache-control"] == "no-cache"
    again = await relay.client.get(
        "/static/offhook.js", headers={"If-None-Match": file.headers["etag"]}
    )
    assert again.status_code == 304
    assert again.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "path", ["/static/none.js", "/static/../app.py", "/static/%2e%2e/pyproject.toml"]
)
async def test_other_files_are_not_served(relay: Relay, path: str) -> None:
    missing = await relay.client.get(path)
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "not_found"


async def test_the_browsers_request_for_an_icon_is_answered(relay: Relay) -> None:
    icon = await relay.client.get("/favicon.ico")
    assert icon.headers["content-type"].startswith("image/svg+xml")
