"""Scripts, and how they are collected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.traces.stage import Event, Stage

    Steps = Callable[[Stage], Awaitable[None]]

CREATE, TRUNCATE = "conversation.item.create", "conversation.item.truncate"


@dataclass(frozen=True)
class Script:
    """A script, and how the client connects.

    Attributes:
        decisions: Where ours differs on purpose.
        options: What `connect` is given, as JavaScript calls it.
        agent: Who answers, if it is played to a session of agents.
    """

    steps: Steps
    decisions: tuple[str, ...]
    options: Event = field(default_factory=dict)
    agent: str | None = None


def adding(
    scripts: dict[str, Script],
) -> Callable[..., Callable[[Steps], Steps]]:
    """Return a decorator that adds a script, under its name."""

    def script(
        *decisions: str, agent: str | None = None, **options: Any
    ) -> Callable[[Steps], Steps]:
        def add(steps: Steps) -> Steps:
            scripts[steps.__name__] = Script(steps, decisions, options, agent)
            return steps

        return add

    return script


async def answered(stage: Stage, number: int) -> None:
    await stage.expect("response.create")
    await stage.begin(f"r{number}")
    await stage.end(response_id=f"r{number}")
