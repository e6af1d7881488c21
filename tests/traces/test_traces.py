"""Our transport does to the wire, and tells, what the official JavaScript SDK does."""

from __future__ import annotations

import json
import re
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.javascript import node, run
from tests.traces import lines
from tests.traces.agent_scripts import AGENT_SCRIPTS
from tests.traces.audio_scripts import AUDIO_SCRIPTS
from tests.traces.config_scripts import CONFIG_SCRIPTS
from tests.traces.decisions import DECISIONS
from tests.traces.session_player import play_agents
from tests.traces.stage import staged
from tests.traces.transport_player import play
from tests.traces.transport_scripts import TRANSPORT_SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.traces.lines import Told
    from tests.traces.stage import Stage

    Traces = dict[str, list[str]]

pytestmark = pytest.mark.anyio

PLAYER = Path(__file__).with_name("player.mjs")
SCRIPTS = {
    **TRANSPORT_SCRIPTS,
    **AUDIO_SCRIPTS,
    **CONFIG_SCRIPTS,
    **AGENT_SCRIPTS,
}
STEPS = {name: script.steps for name, script in SCRIPTS.items()}
NAMES = (*lines.NAMES, *lines.RAW)


@pytest.fixture(scope="session")
async def theirs() -> Traces:
    played: dict[str, Stage] = {}
    async with staged(STEPS, played) as url:
        scripts = [
            {"name": name, "options": script.options, "agent": script.agent}
            for name, script in SCRIPTS.items()
        ]
        names = {"names": NAMES, "sessionNames": lines.SESSION_NAMES}
        given = {"url": url, "scripts": scripts, **names}
        told = json.loads(await run(node(), str(PLAYER), given=json.dumps(given)))
    return traces(played, told)


@pytest.fixture(scope="session")
async def ours() -> Traces:
    played: dict[str, Stage] = {}
    told: dict[str, list[Told]] = {}
    async with staged(STEPS, played) as url:
        for name, script in SCRIPTS.items():
            at = f"{url}?script={name}"
            if script.agent:
                told[name] = await play_agents(at, script.agent, lines.SESSION_NAMES)
            else:
                told[name] = await play(at, script.options, NAMES)
    return traces(played, told)


def traces(played: dict[str, Stage], told: dict[str, list[Told]]) -> Traces:
    """What each script made a client send, and then what made it tell."""
    return {
        name: [
            *lines.sent(stage.sent),
            *(lines.told_by_session if SCRIPTS[name].agent else lines.told)(told[name]),
            stage.failure,
        ]
        for name, stage in played.items()
    }


def differences(theirs: Sequence[str], ours: Sequence[str]) -> list[str]:
    """Return the lines that only one trace has: - is theirs, + is ours."""
    found: list[str] = []
    matcher = SequenceMatcher(None, theirs, ours, autojunk=False)
    for kind, low, high, our_low, our_high in matcher.get_opcodes():
        if kind != "equal":
            found += [f"- {line}" for line in theirs[low:high]]
            found += [f"+ {line}" for line in ours[our_low:our_high]]
    return found


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_script_has_the_same_trace(
    name: str, theirs: Traces, ours: Traces
) -> None:
    assert theirs[name][-1] == ours[name][-1] == ""
    decisions = SCRIPTS[name].decisions
    found = differences(theirs[name], ours[name])
    by = {line: [key for key in decisions if patterns(key, line)] for line in found}
    assert [line for line, keys in by.items() if not keys] == []
    assert {key for keys in by.values() for key in keys} == {*decisions}
    # A decision is no leave to do a thing twice.
    added = [line for line in found if line[0] == "+"]
    assert len(added) == len({*added})


async def test_every_decision_is_needed(theirs: Traces, ours: Traces) -> None:
    used: set[str] = set()
    for name, script in SCRIPTS.items():
        for line in differences(theirs[name], ours[name]):
            used.update(*(patterns(key, line) for key in script.decisions))
    assert used == {
        sign + pattern
        for decision in DECISIONS.values()
        for sign, listed in (("-", decision.lost), ("+", decision.won))
        for pattern in listed
    }


def patterns(key: str, line: str) -> set[str]:
    """Return the patterns of a decision that a difference matches."""
    listed = DECISIONS[key].lost if line[0] == "-" else DECISIONS[key].won
    return {line[0] + each for each in listed if re.fullmatch(each, line[2:])}


def test_the_readme_lists_the_decisions() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    table = readme.partition("| The SDK | Ours |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = [f"| {each.theirs} | {each.ours} |" for each in DECISIONS.values()]
    assert table.splitlines() == rows
