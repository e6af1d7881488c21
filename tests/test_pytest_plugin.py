from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.test_docs import blocks

SERVER = Path(__file__).parents[1] / "server"

USING_IT = """
import asyncio
import os

import openai
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus


def test_a_typed_question_is_answered(realtime):
    content = [{"type": "input_text", "text": "What is seven times eight?"}]
    item = {"type": "message", "role": "user", "content": content}
    with realtime.client() as client, client.realtime.connect(model="any") as call:
        call.session.update(
            session={"type": "realtime", "output_modalities": ["text"]}
        )
        call.conversation.item.create(item=item)
        call.response.create()
        for event in call:
            if event.type == "response.output_text.done":
                break
    assert "56" in event.text


def test_a_rate_limit_is_met(realtime):
    realtime.fault("status=429; retry_after=3")
    with realtime.client() as client:
        with pytest.raises(openai.RateLimitError) as caught:
            client.realtime.client_secrets.create()
        assert caught.value.response.headers["retry-after"] == "3"
        client.realtime.client_secrets.create()


def test_a_denied_handshake_is_met(realtime):
    realtime.fault("status=503")
    with realtime.client() as client, pytest.raises(InvalidStatus):
        client.realtime.connect(model="any").enter()
    realtime.fault("status=500; times=9")


def test_no_fault_is_left_from_the_test_before(realtime):
    assert realtime.mint(instructions="Be brief.").startswith("ek_")


def test_a_lost_connection_is_met_in_a_loop_of_your_own(realtime):
    async def main():
        async with (
            realtime.async_client() as client,
            client.realtime.connect(model="any") as call,
        ):
            with pytest.raises(ConnectionClosedError):
                while True:
                    await call.recv()

    realtime.fault("drop=0.2")
    asyncio.run(main())


def test_your_own_client_finds_it(realtime, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", realtime.url)
    monkeypatch.setenv("OPENAI_API_KEY", realtime.api_key)
    with openai.OpenAI() as client:
        assert client.realtime.client_secrets.create().value


@pytest.fixture(params=["asyncio"])
def anyio_backend(request):
    return request.param


@pytest.mark.anyio
async def test_an_asynchronous_test_may_use_it(realtime):
    realtime.fault("expire=1")
    async with (
        realtime.async_client() as client,
        client.realtime.connect(model="any") as call,
    ):
        assert (await call.recv()).type == "session.created"
        assert (await call.recv()).error.code == "session_expired"
"""

WITHOUT_IT = """
import sys


def test_who_does_not_use_it_pays_nothing():
    heavy = {"aiortc", "av", "numpy", "onnxruntime", "pydantic", "starlette", "httpx"}
    assert heavy & sys.modules.keys() == set()
    assert "offhook.testing" not in sys.modules
"""


def run(folder: Path, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a user's tests, with warnings as errors and no other plugin."""
    (folder / "test_mine.py").write_text(source, "utf-8")
    environment = os.environ | {
        "PYTHONPATH": str(SERVER),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    command = [sys.executable, "-m", "pytest", "-W", "error", *options]
    plugins = ["-p", "offhook.pytest_plugin", "-p", "anyio.pytest_plugin"]
    return subprocess.run(
        [*command, *plugins],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=50,
    )


def test_a_users_tests_pass(tmp_path: Path) -> None:
    outcome = run(tmp_path, USING_IT)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "7 passed" in outcome.stdout
    assert "warning" not in outcome.stdout


def test_the_tests_of_the_readme_pass(tmp_path: Path) -> None:
    outcome = run(tmp_path, blocks("python")[-1])
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "2 passed" in outcome.stdout


def test_who_does_not_use_it_does_not_notice(tmp_path: Path) -> None:
    outcome = run(tmp_path, WITHOUT_IT)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_its_fixtures_say_what_they_are(tmp_path: Path) -> None:
    listed = run(tmp_path, "", "--fixtures", "-q").stdout
    assert "offhook_endpoint [session scope]" in listed
    assert "realtime -- " in listed
    assert "after which no fault is left" in listed
