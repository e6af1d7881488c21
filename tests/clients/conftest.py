"""What callers in JavaScript are given, and how what they report is judged."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.records import LONG, SILENCE

if TYPE_CHECKING:
    from tests.clients.records import Speak

SENTENCES = {
    "sum": "What is seven times eight?",
    "weather": "What's the weather in Paris?",
    "billing": "Please transfer me to billing.",
}


@pytest.fixture(scope="session")
async def script(speak: Speak) -> dict[str, Any]:
    """What callers say: as base64, and what they have repeated, as text."""
    voice = {
        name: base64.b64encode(await speak(text) + SILENCE).decode()
        for name, text in SENTENCES.items()
    }
    return {"voice": voice, "long": f"Repeat after me: {LONG}"}
