"""The operator's pages in Chromium: one call is listened to, read and deleted."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import av
import numpy as np
import pytest
from fastapi import FastAPI
from playwright.async_api import expect

from offhook import create_app
from offhook.archive.recordings import MEDIA_TYPES
from offhook.archive.records import (
    CallRecord,
    RecordingRecord,
    StoredFile,
    recording_id,
)
from offhook.archive.storage import Storage
from offhook.archive.store import Store
from offhook.media.sheets import Sheets
from offhook.media.spool import About
from offhook.protocol.entries import Entry
from offhook.settings import Settings
from tests.browser.chromium import ARGUMENTS, executable
from tests.browser.site import MODULES
from tests.relays import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Page, Playwright, ViewportSize

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

TOKEN = "canary-operator-token"
URL = "sqlite:///calls.db"
RECORDING = recording_id()
SOUND = f"../recordings/{RECORDING}/call.opus"
RATE = 48_000
SECONDS = 12
EVIL = "<img src=x onerror='window.evil=1'><script>window.evil=2</script>"
SAID = [
    Entry("turn", "caller", 1000, 3000, "Where is my parcel?"),
    Entry("tool", "model", 3100, 3600, "look_up", {"arguments": EVIL, "output": EVIL}),
    Entry("turn", "model", 4000, 7000, "It is in Rome.", {"first_audio_ms": 1000}),
    Entry("interruption", "caller", 7000, 7000),
    Entry("turn", "caller", 8000, 9000, EVIL),
    Entry(
        "turn", "model", 9500, 11_000, "", {"transcript": EVIL, "first_audio_ms": 500}
    ),
]


def recorded(folder: Path, began: float) -> list[Path]:
    """Make a recording in which each side sounds in its turns."""
    times = np.arange(RATE * SECONDS) / RATE
    sides = []
    for side, pitch in (("caller", 220), ("model", 330)):
        turns = [e for e in SAID if e.kind == "turn" and e.who == side]
        speaks = sum(
            (times >= e.begins_ms / 1000) & (times < e.ends_ms / 1000) for e in turns
        )
        sides.append(np.sin(2 * np.pi * pitch * times) * speaks * 9000)
    pcm = np.stack(sides, 1).astype(np.int16)
    file = folder / "call.opus"
    with av.open(str(file), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE, layout="stereo")
        for at in range(0, len(pcm), 960):
            samples = pcm[at : at + 960].reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            frame.sample_rate = RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    sheets = Sheets(About(began))
    for at in range(0, len(pcm), RATE):
        sheets.hear(pcm[at : at + RATE])
    sheets.write(folder)
    return [file, *(folder / name for name in sheets.names)]


@asynccontextmanager
async def relay(folder: Path, prefix: str = "", **given: Any) -> AsyncIterator[str]:
    """Serve the pages of two calls, of which one was recorded."""
    began = time.time() - 3600
    made = recorded(folder, began)
    await Storage.at("offhook-data/recordings").put(RECORDING, made)
    files = {
        file.name: StoredFile(file.stat().st_size, MEDIA_TYPES[file.suffix])
        for file in made
    }
    recording = RecordingRecord(RECORDING, "rtc_1", began, "ready", files=files)
    first = CallRecord("rtc_1", EVIL, "bridged", began, ended=began + 12, turns=4)
    second = CallRecord("rtc_2", "sales", "phone", began, ended=began + 1)
    async with Store.open(URL) as store:
        await store.write(
            [first, second], [("rtc_1", entry) for entry in SAID], [recording]
        )
    settings = {"upstream": "http://127.0.0.1:9/v1", "api_key": "x", "store": URL}
    app = create_app(Settings.load(**settings, **given))

    host = FastAPI()
    host.mount(prefix or "/", app)
    async with serving(host) as url:
        yield url.replace("127.0.0.1", "localhost") + prefix
        await app.state.relay.runtime.aclose()


@pytest.fixture(scope="module")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    browser = await playwright.chromium.launch(
        executable_path=executable(), args=list(ARGUMENTS)
    )
    yield browser
    await browser.close()


@asynccontextmanager
async def reading(
    browser: Browser, url: str, *, said: bool = False, **given: Any
) -> AsyncIterator[Page]:
    """Open a page, on whose console nothing may be said."""
    context = await browser.new_context(**given)
    page = await context.new_page()
    await page.clock.install()  # it runs, and can be sent ahead
    console: list[str] = []
    page.on("console", lambda message: console.append(message.text))
    page.on("pageerror", lambda error: console.append(str(error)))
    await page.goto(url)
    try:
        yield page
        assert said or console == []
        assert not await page.evaluate("window.evil")
    finally:
        await context.close()


async def place(page: Page) -> float:
    found: float = await page.evaluate("document.querySelector('#audio').currentTime")
    return found


async def is_at(page: Page, seconds: float) -> None:
    """Wait until the player is at a place."""
    await page.wait_for_function(
        "(s) => Math.abs(document.querySelector('#audio').currentTime - s) < 0.05",
        arg=seconds,
    )


async def current(page: Page) -> str:
    return await page.locator("#transcript [aria-current=true] .text").inner_text()


async def test_a_call_is_played_and_the_transcript_follows_and_leads(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        relay(tmp_path) as url,
        reading(browser, f"{url}/calls") as page,
    ):
        await page.get_by_text("Where is my parcel?", exact=True).click()
        for side in ("caller", "model"):
            wave = page.locator(f"#{side}-wave path")
            await wave.wait_for(state="attached")
            box = await wave.bounding_box()
            track = await page.locator("#lanes").bounding_box()
            assert box
            assert track
            # As wide as the line, and as high as its lane.
            assert box["width"] == pytest.approx(track["width"], rel=0.01)
            assert box["height"] == pytest.approx(62, abs=3)
        await page.get_by_role("button", name="Play").click()
        await page.wait_for_function(
            "() => document.querySelector('#audio').currentTime > 1.2"
        )
        assert await current(page) == "Where is my parcel?"
        head = "Number.parseFloat(document.querySelector('#head').getAttribute('x1'))"
        assert await page.evaluate(head) > 8
        assert await page.locator("#track rect[data-current]").count() == 1
        await page.get_by_role("button", name="Pause").click()
        # By a line, by its time, and on the line above.
        await page.get_by_text("It is in Rome.", exact=True).click()
        await is_at(page, 4)
        assert await current(page) == "It is in Rome."
        await page.get_by_role("link", name="0:08").click()
        await is_at(page, 8)
        assert await current(page) == EVIL
        assert page.url.endswith("/calls/rtc_1")
        track = await page.locator("#lanes").bounding_box()
        assert track
        await page.locator("#lanes").click(position={"x": track["width"] / 2, "y": 50})
        await page.wait_for_function(
            "() => Math.abs(document.querySelector('#audio').currentTime - 6) < 0.1"
        )
        await page.locator("#latency rect").nth(1).click()
        await is_at(page, 9.5)
        await page.get_by_role("button", name="Previous turn").click()
        await is_at(page, 8)
        # A part of the line, larger, with the place in it.
        await page.get_by_role("button", name="Show less of the call").click()
        await page.get_by_role("button", name="Show less of the call").click()
        box = await page.locator("#caller-wave path").bounding_box()
        assert box
        assert box["width"] == pytest.approx(4 * track["width"], rel=0.01)
        line = await page.locator("#head").bounding_box()
        assert line
        assert track["x"] <= line["x"] <= track["x"] + track["width"]
        await page.get_by_role("button", name="Show more of the call").click()
        await page.get_by_role("button", name="Show more of the call").click()
        out = page.get_by_role("button", name="Show more of the call")
        await expect(out).to_be_disabled()


# How loud each ear is, of all that goes through Web Audio.
EARS = """
const make = AudioContext.prototype.createChannelMerger;
AudioContext.prototype.createChannelMerger = function (channels) {
  const merger = make.call(this, channels);
  const ears = this.createChannelSplitter(2);
  merger.connect(ears);
  window.ears = [0, 1].map((side) => {
    const analyser = this.createAnalyser();
    ears.connect(analyser, side);
    return () => {
      const samples = new Float32Array(analyser.fftSize);
      analyser.getFloatTimeDomainData(samples);
      return Math.max(...samples) > 0.05;
    };
  });
  return merger;
};
"""


async def test_each_side_is_heard_alone(browser: Browser, tmp_path: Path) -> None:
    async with relay(tmp_path) as url, reading(browser, f"{url}/calls") as page:
        await page.add_init_script(EARS)
        await page.goto(f"{url}/calls/rtc_1")
        hear = page.get_by_label("Hear")
        for way, ears in (
            ("model", [False, False]),  # the caller speaks
            ("caller", [True, True]),
            ("stereo", [True, False]),
            ("both", [True, True]),
        ):
            await page.get_by_text("Where is my parcel?", exact=True).click()
            await hear.select_option(way)
            await page.locator("#play").click()
            await page.wait_for_function(
                "() => document.querySelector('#audio').currentTime > 1.3"
            )
            await page.wait_for_function(
                "(wanted) => window.ears.every((loud, ear) => loud() === wanted[ear])",
                arg=ears,
            )
            await page.locator("#play").click()


async def test_the_keyboard_does_it_all(browser: Browser, tmp_path: Path) -> None:
    async with relay(tmp_path) as url, reading(browser, f"{url}/calls") as page:
        press = page.keyboard.press

        async def tab_to(selector: str) -> None:
            for _ in range(40):
                await press("Tab")
                if await page.locator(f"{selector}:focus").count():
                    outline = "getComputedStyle(document.activeElement).outlineStyle"
                    assert await page.evaluate(outline) == "solid"
                    return
            raise AssertionError(f"{selector} cannot be reached")

        await tab_to("a[href='calls/rtc_1']")
        await press("Enter")
        await page.wait_for_selector("#lanes[role=slider]")
        await tab_to("#lanes")
        await expect(page.locator("#lanes")).to_have_attribute("aria-valuemax", "12.0")
        await press("ArrowRight")
        await is_at(page, 5)
        spoken = page.locator("#lanes")
        await expect(spoken).to_have_attribute(
            "aria-valuetext", "5 seconds of 12 seconds"
        )
        await press("End")
        await page.wait_for_function(
            "() => document.querySelector('#audio').currentTime > 11.9"
        )
        await press("Home")
        await is_at(page, 0)
        await press("Shift+ArrowRight")
        await is_at(page, 1)
        await press("Shift+ArrowRight")
        await is_at(page, 4)
        await press("Shift+ArrowLeft")
        await is_at(page, 1)
        await press("Space")
        await page.wait_for_function("() => !document.querySelector('#audio').paused")
        await press("Space")
        await page.wait_for_function("() => document.querySelector('#audio').paused")
        await tab_to("#entry-4 a")
        await press("Enter")
        await is_at(page, 8)
        await tab_to("summary:has-text('Delete')")
        await press("Enter")
        await tab_to("button.danger")
        await press("Enter")
        await page.wait_for_url(f"{url}/calls")
        assert await page.locator("tbody tr").count() == 1


async def test_without_javascript_all_can_be_read(
    browser: Browser, tmp_path: Path
) -> None:
    async with (
        relay(tmp_path) as url,
        reading(browser, f"{url}/calls/rtc_1", java_script_enabled=False) as page,
    ):
        await expect(page.get_by_text("It is in Rome.", exact=True)).to_be_visible()
        await expect(page.locator("audio[controls]")).to_be_visible()
        await expect(page.locator("#controls")).to_be_hidden()
        assert await page.locator("#track rect").count() == 5
        assert await page.locator("#latency rect").count() == 2
        link = page.get_by_role("link", name="0:04")
        assert await link.get_attribute("href") == SOUND + "#t=4.0"
        await page.get_by_text("Delete this call").click()
        await page.get_by_role("button", name="Delete for good").click()
        await page.wait_for_url(f"{url}/calls")
        await page.get_by_label("Said in the call").fill("parcel")
        await page.get_by_role("button", name="Show").click()
        await expect(page.get_by_text("No call is like that.")).to_be_visible()


async def test_what_is_to_come_is_told(browser: Browser, tmp_path: Path) -> None:
    live = CallRecord("rtc_3", "sales", "bridged", time.time() - 60)
    making = RecordingRecord("rec_3", "rtc_3", live.began, "mastering", 0.25)
    async with relay(tmp_path) as url, Store.open(URL) as store:
        await store.write([live], [], [making])
        async with reading(browser, f"{url}/calls/rtc_3") as page:
            told = page.get_by_role("status")
            progress = page.locator("#progress")
            await expect(progress).to_have_attribute("value", "0.25")
            await store.write([], [("rtc_3", SAID[0])], [replace(making, progress=0.5)])
            await page.clock.fast_forward(2000)
            await expect(told).to_contain_text("One more line.")
            await expect(progress).to_have_attribute("value", "0.5")
            await store.write([], [], [replace(making, state="ready", progress=1.0)])
            await page.clock.fast_forward(2000)
            await expect(told).to_contain_text("The recording is ready.")
            await page.get_by_role("link", name="Load the page again").click()
            await expect(
                page.get_by_text("Where is my parcel?", exact=True)
            ).to_be_visible()


async def test_mounted_and_signed_in(browser: Browser, tmp_path: Path) -> None:
    async with (
        relay(tmp_path, "/voice", operator_token=TOKEN) as url,
        # The console names the 401, as it does each failure.
        reading(browser, f"{url}/calls/rtc_2", said=True) as page,
    ):
        token = page.get_by_label("token")
        await token.fill("guess")
        await token.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("is not the operator")
        await token.fill(TOKEN)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(f"{url}/calls/rtc_2")
        await expect(
            page.get_by_role("heading", name="Call with sales")
        ).to_be_visible()
        [cookie] = await page.context.cookies()
        assert (cookie["path"], cookie["httpOnly"]) == ("/voice", True)
        assert await page.evaluate("document.cookie") == ""
        await page.get_by_role("link", name="Calls").click()
        assert await page.locator("tbody tr").count() == 2
        await page.get_by_role("button", name="Sign out").click()
        await expect(token).to_be_visible()


@pytest.mark.parametrize(
    ("scheme", "width", "paths"),
    [
        ("light", 1280, ("calls", "calls/rtc_1")),
        ("dark", 360, ("calls?text=nothing", "calls/rtc_1", "calls/rtc_9")),
    ],
)
async def test_accessible(
    browser: Browser,
    tmp_path: Path,
    scheme: Literal["light", "dark"],
    width: int,
    paths: tuple[str, ...],
) -> None:
    axe = (MODULES / "axe-core/axe.min.js").read_text()
    run = (
        "async () => (await axe.run()).violations.map("
        "(v) => [v.id, v.nodes.map((n) => n.html)])"
    )
    size: ViewportSize = {"width": width, "height": 740}
    async with relay(tmp_path) as url:
        for path in paths:
            async with reading(
                browser,
                f"{url}/{path}",
                said=path.endswith("9"),  # that there is no such call
                color_scheme=scheme,
                viewport=size,
            ) as page:
                await page.evaluate(axe)
                assert await page.evaluate(run) == [], path
                wide = "document.documentElement.scrollWidth > innerWidth"
                assert not await page.evaluate(wide), path
