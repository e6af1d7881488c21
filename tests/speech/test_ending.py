from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

import pytest

from offhook.audio import resample, silence
from offhook.speech.ending import RATE, SmartTurn, TextCue, ending

if TYPE_CHECKING:
    from pathlib import Path

    from offhook.speech.synthesiser import Hibari

COMPLETE = [
    "What time is it?",
    "Tell me a joke.",
    "My name is Martin.",
    "Could you repeat that?",
    "Yes.",
    "No, thank you.",
    "The train leaves at noon.",
    "What is seven times eight?",
]
OPEN = [
    "I would like to, um",
    "Well, because",
    "My number is, uh",
    "I want to go to the",
    "First, I need milk, and",
]


@pytest.mark.parametrize(
    "text", [*COMPLETE, "Where are you from?", "goodbye", "I saw a banana.", "Uh-oh!"]
)
def test_sentences_end(text: str) -> None:
    assert TextCue().complete(b"", text)


@pytest.mark.parametrize(
    "text",
    [
        *OPEN,
        "",
        "  ",
        "I would like to um.",
        "My number is uh...",
        "We could go there or",
        "I like it, but.",
        "The name of the",
        "a",
        "I want to speak with",
        "Tell me how to?",
        "It comes from",
        "On Monday,",
        "On Monday, ",
        "It is -",
        "It is \N{EM DASH}",
        "So\N{HORIZONTAL ELLIPSIS}",
        "So...",
    ],
)
def test_other_words_go_on(text: str) -> None:
    assert not TextCue().complete(b"", text)


@pytest.fixture(scope="module")
def smart_turn() -> SmartTurn:
    path = SmartTurn.find()
    if path is None:
        pytest.skip("pipecat-ai is not installed: only `make install` adds it")
    return SmartTurn(path)


def said(hibari: Hibari, text: str) -> bytes:
    speech = b"".join(hibari.speak(text, "marin", 1.0))
    return resample(speech, 24000, RATE) + silence(250, RATE)


@pytest.mark.parametrize("text", COMPLETE)
def test_smart_turn_hears_an_end(
    hibari: Hibari, smart_turn: SmartTurn, text: str
) -> None:
    assert smart_turn.complete(said(hibari, text), text)


@pytest.mark.parametrize("text", OPEN)
def test_smart_turn_hears_a_hesitation(
    hibari: Hibari, smart_turn: SmartTurn, text: str
) -> None:
    assert not smart_turn.complete(said(hibari, text), text)


def test_smart_turn_hears_the_voice_and_not_only_words(
    hibari: Hibari, smart_turn: SmartTurn
) -> None:
    end, hesitation = said(hibari, "Tell me a joke."), said(hibari, "Well, because")
    assert smart_turn.probability(end) > 0.9
    assert smart_turn.probability(hesitation) < 0.1
    # What came more than 8 s ago does not count, nor does the silence before a call.
    assert smart_turn.probability(hesitation * 3 + silence(5000, RATE) + end) > 0.9


@pytest.mark.parametrize("ms", [0, 1, 100, 20000])
def test_smart_turn_takes_any_length(smart_turn: SmartTurn, ms: int) -> None:
    assert 0 <= smart_turn.probability(silence(ms, RATE)) <= 1


def test_the_best_judge_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert ending().name == "last words"


def test_another_pipecat_is_not_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pipecat").mkdir()
    (tmp_path / "pipecat/__init__.py").touch()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "pipecat", raising=False)
    assert SmartTurn.find() is None
