"""What must have come of a scenario, wherever it was played: see scenarios.mjs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from offhook.audio import resample, ulaw_decode
from tests.clients.records import (
    CALLER_TURN,
    SPOKEN_TURN,
    TOOL_TURN,
    check,
    course,
    of,
    said,
    speech,
)
from tests.words import plain

if TYPE_CHECKING:
    from offhook.speech import Engines

Result = dict[str, Any]


async def judge(scenario: str, result: Result, engines: Engines) -> None:
    """Fail if the SDK was not served as it is by OpenAI."""
    assert result["failure"] is None
    assert result["errors"] == []
    events = result["events"]
    check(events)
    assert not of(events, "error")
    JUDGES[scenario](result)
    # Wherever the audio comes in events: on a call it was heard by the microphone.
    last = of(events, "response.done")[-1]["response"]["id"]
    deltas = [event for event in events if event.get("response_id") == last]
    if (sound := speech(deltas)) and (words := SPOKEN.get(scenario)):
        if scenario == "telephoned":
            sound = resample(ulaw_decode(sound), 8000, 24000)
        assert words in plain(await engines.recognise(sound))


# What is heard at the end; what is written is the judges' business.
SPOKEN = {
    "written": "42",
    "spoken": "56",
    "tool": "sunny",
    "hosted": "paris",
    "telephoned": "56",
    "pushed": "56",
    "interrupted": "56",
    "stopped": "42",
    "handedOver": "sunny",
    "approved": "sunny",
    "rejected": "may not know",
    "rewritten": "bob",
}


def written(result: Result) -> None:
    assert answering(result) == kept(SPOKEN_TURN)
    assert "42" in said(result["events"])
    assert history(result)[0] == ("user", "What is 6 times 7?")
    assert "42" in history(result)[1][1]
    assert result["usage"]["totalTokens"] > 0
    assert result["reports"] == ["audio_start", "audio_stopped"]


def spoken(result: Result) -> None:
    kinds = course(result["events"])
    begin = kinds.index(CALLER_TURN[0])
    assert kinds[begin : begin + len(CALLER_TURN)] == CALLER_TURN
    assert answering(result) == kept(SPOKEN_TURN)
    assert [role for role, _ in history(result)] == ["user", "assistant"]
    assert "times" in history(result)[0][1]
    assert "56" in history(result)[1][1]


def tool(result: Result) -> None:
    assert result["ran"] == ["Paris"]
    assert answering(result) == kept(TOOL_TURN) + kept(SPOKEN_TURN)
    assert result["reports"] == [
        "agent_tool_start",
        "agent_tool_end",
        "audio_start",
        "audio_stopped",
    ]
    assert "sunny" in said(result["events"])
    [call] = [item for item in result["history"] if item["type"] == "function_call"]
    assert (call["name"], call["status"]) == ("get_weather", "completed")
    assert call["output"] == "It is sunny."


def twice(result: Result) -> None:
    assert result["ran"] == ["Paris", "Rome"]
    assert {status for status, _ in statuses(result)} == {"completed"}
    first = of(result["events"], "response.done")[0]["response"]
    assert [item["type"] for item in first["output"]] == ["function_call"] * 2
    assert said(result["events"]).count("sunny") == 2


def called(result: Result) -> None:
    assert result["ran"] == ["Paris"]
    assert not of(result["events"], "response.output_audio.delta")
    assert "sunny" in said(result["events"])
    assert "weather" in history(result)[0][1].lower()
    assert "sunny" in history(result)[1][1]
    # The second answer was talked over; the server cut it where it was heard last.
    [cut] = of(result["events"], "conversation.item.truncated")
    assert 0 < cut["audio_end_ms"] < 3500
    assert [role for role, _ in history(result)] == ["user", "assistant"] * 3
    assert "it is" in history(result)[-1][1].lower()


def hushed(result: Result) -> None:
    first, second = statuses(result)
    assert first in (("cancelled", "client_cancelled"), ("completed", None))
    assert second == ("completed", None)
    [cut] = of(result["events"], "conversation.item.truncated")
    assert cut["audio_end_ms"] < 2000
    assert "42" in history(result)[-1][1]


def telephoned(result: Result) -> None:
    session = of(result["events"], "session.updated")[-1]["session"]
    assert session["audio"]["input"]["format"] == {"type": "audio/pcmu"}
    assert session["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    spoken(result)


def hosted(result: Result) -> None:
    assert [r for r in result["reports"] if not r.startswith("audio")] == [
        "mcp_tools_changed",
        "tool_approval_requested",
        "mcp_tool_call_completed",
    ]
    [request] = [i for i in result["history"] if i["type"] == "mcp_approval_request"]
    assert (request["serverLabel"], request["name"]) == ("facts", "get_capital")
    assert request["arguments"] == {"country": "France"}
    [call] = [item for item in result["history"] if item["type"] == "mcp_call"]
    # The SDK asks for the item once the call is in progress, and takes the answer for
    # one that still is: with a quick server its status comes last, and is wrong.
    assert "Paris" in call["output"]
    assert "paris" in history(result)[-1][1].lower()


def pushed(result: Result) -> None:
    assert not of(result["events"], CALLER_TURN[0])
    assert answering(result) == kept(SPOKEN_TURN) * 2
    assert [role for role, _ in history(result)] == ["user", "assistant"] * 2
    assert "56" in said(result["events"])


def interrupted(result: Result) -> None:
    first, second = statuses(result)
    assert first == ("cancelled", "turn_detected")
    assert second == ("completed", None)
    assert result["reports"][:3] == [
        "audio_start",
        "audio_interrupted",
        "audio_stopped",
    ]
    assert "56" in said(result["events"])
    roles = [role for role, _ in history(result)]
    assert roles == ["user", "assistant", "user", "assistant"]


def stopped(result: Result) -> None:
    first, second = statuses(result)
    assert first == ("cancelled", "client_cancelled")
    assert second == ("completed", None)
    assert "audio_interrupted" in result["reports"]
    assert "42" in said(result["events"])


def handed_over(result: Result) -> None:
    assert "agent_handoff" in result["reports"]
    assert result["ran"] == ["Paris"]
    assert "sunny" in said(result["events"])
    session = of(result["events"], "session.updated")[-1]["session"]
    assert session["instructions"] == "Talk about bills."
    assert [tool["name"] for tool in session["tools"]] == ["get_weather"]


def approved(result: Result) -> None:
    assert result["reports"][:3] == [
        "tool_approval_requested",
        "agent_tool_start",
        "agent_tool_end",
    ]
    assert result["ran"] == ["Paris"]
    assert "sunny" in said(result["events"])


def rejected(result: Result) -> None:
    assert result["reports"][0] == "tool_approval_requested"
    assert result["ran"] == []
    assert "may not know" in said(result["events"])


def guarded(result: Result) -> None:
    assert "guardrail_tripped" in result["reports"]
    first, second = statuses(result)
    assert first == ("cancelled", "client_cancelled")
    assert second == ("completed", None)


def rewritten(result: Result) -> None:
    texts = [text for role, text in history(result) if role == "user"]
    assert texts == ["My name is Bob.", "What is my name?"]
    assert [role for role, _ in history(result)] == ["user", "assistant"] * 2
    assert "bob" in history(result)[-1][1].lower()


JUDGES = {
    "written": written,
    "spoken": spoken,
    "tool": tool,
    "twice": twice,
    "called": called,
    "hushed": hushed,
    "telephoned": telephoned,
    "hosted": hosted,
    "pushed": pushed,
    "interrupted": interrupted,
    "stopped": stopped,
    "handedOver": handed_over,
    "approved": approved,
    "rejected": rejected,
    "guarded": guarded,
    "rewritten": rewritten,
}


def answering(result: Result) -> list[str]:
    """Return the course of the responses alone."""
    return kept(course(result["events"]))


def kept(kinds: list[str]) -> list[str]:
    return [kind for kind in kinds if kind.startswith("response")]


def statuses(result: Result) -> list[tuple[str, str | None]]:
    """Return how each response ended, and why."""
    responses = [event["response"] for event in of(result["events"], "response.done")]
    return [(r["status"], (r["status_details"] or {}).get("reason")) for r in responses]


def history(result: Result) -> list[tuple[str, str]]:
    """Return who said what, as the SDK has it."""
    return [
        (
            item["role"],
            " ".join(
                c.get("transcript") or c.get("text") or "" for c in item["content"]
            ),
        )
        for item in result["history"]
        if item["type"] == "message"
    ]
