"""Output guardrails: run on every answer while it is made, and once it is whole.

Those of openai-agents' own session never see an answer shorter than 100 characters.
When and on what they run here, and what follows, is as in @openai/agents-realtime 0.20.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from agents import OutputGuardrailTripwireTriggered

from offhook.errors import OffhookError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agents import OutputGuardrail, OutputGuardrailResult, RunContextWrapper
    from agents.realtime import RealtimeAgent

    from offhook.agent.tasks import Tasks
    from offhook.events import Event
    from offhook.protocol.transport_events import Delta, TurnDone
    from offhook.transports.base import RealtimeTransportLayer

# After so many blocked answers in a row another one would only cost: what was said
# may be answerable in no other way.
_IN_A_ROW = 3


@dataclass(frozen=True)
class Blocked:
    """Where a guardrail was tripped."""

    response_id: str
    item_id: str


@dataclass
class _Answer:
    """A response, as far as it was heard.

    Attributes:
        texts: The words of each item.
        checks: How often each item has been checked on the way.
        checked: What was checked last of each item.
    """

    response_id: str
    agent: RealtimeAgent[Any]
    spoken: bool = False
    active: bool = True
    tripped: bool = False
    texts: dict[str, str] = field(default_factory=dict)
    checks: dict[str, int] = field(default_factory=dict)
    checked: dict[str, str] = field(default_factory=dict)


class Guardrails:
    """Watches the answers of one connection.

    Args:
        transport: Stops an answer, and tells the model.
        tasks: Where the guardrails run.
        shared: Those for each agent, besides its own.
        every: How many characters may come between two checks of an unfinished answer;
            0 or less leaves only the finished one.
        context: Gives what guardrails get as their context.
        tripped: Is told of an answer that is stopped.
        failed: Is told what a guardrail raises.
    """

    def __init__(
        self,
        transport: RealtimeTransportLayer,
        tasks: Tasks,
        shared: Sequence[OutputGuardrail[Any]],
        *,
        every: int,
        context: Callable[[], RunContextWrapper[Any]],
        tripped: Callable[[Any, OutputGuardrailTripwireTriggered, Blocked], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._transport = transport
        self._tasks = tasks
        self._shared = shared
        self._every = every
        self._context = context
        self._tripped = tripped
        self._failed = failed
        self._answers: dict[str, _Answer] = {}
        self._latest: str | None = None
        # Answers since the user's last turn; and what the model was told of the last.
        self._blocked = 0
        self._feedback = ""

    def started(self, response_id: str, agent: RealtimeAgent[Any]) -> None:
        """Note whose answer it is."""
        self._answers[response_id] = _Answer(response_id, agent)
        self._latest = response_id

    def turn(self, item: Event) -> None:
        """Take a new item; with a turn of the user's, answers are asked for again."""
        if item.get("role") == "user" and words_of(item) != self._feedback:
            self._blocked = 0

    def hear(self, delta: Delta, agent: RealtimeAgent[Any], *, spoken: bool) -> None:
        """Take words of an answer; the agent is whose it is, if it was not noted."""
        answer = self._answer(delta.response_id, agent)
        text = answer.texts.get(delta.item_id, "") + delta.delta
        answer.texts[delta.item_id] = text
        answer.spoken |= spoken
        checks = len(text) // self._every if self._every > 0 else 0
        if checks > answer.checks.get(delta.item_id, 0):
            answer.checks[delta.item_id] = checks
            self._check(answer, delta.item_id)

    def ended(self, turn: TurnDone, agent: RealtimeAgent[Any]) -> None:
        """Check what has not been checked of an answer."""
        answer = self._answer(turn.response_id, agent)
        del self._answers[turn.response_id]
        answer.active = False
        for item in turn.output:
            # An answer that was cut short may have lost its words.
            if item.get("type") == "message" and (text := words_of(item)):
                answer.texts[item["id"]] = text
                answer.spoken |= any(map(_is_spoken, item["content"]))
        for item_id in answer.texts:
            self._check(answer, item_id)

    def _answer(self, response_id: str, agent: RealtimeAgent[Any]) -> _Answer:
        if response_id not in self._answers:
            self.started(response_id, agent)  # we joined late
        return self._answers[response_id]

    def _check(self, answer: _Answer, item_id: str) -> None:
        text = answer.texts[item_id]
        both = [*answer.agent.output_guardrails, *self._shared]
        guardrails = list({id(each): each for each in both}.values())
        known = answer.tripped or text == answer.checked.get(item_id)
        if guardrails and not known:
            answer.checked[item_id] = text
            self._tasks.start(self._run(guardrails, answer, item_id, text))

    async def _run(
        self,
        guardrails: Sequence[OutputGuardrail[Any]],
        answer: _Answer,
        item_id: str,
        text: str,
    ) -> None:
        agent, context = cast("Any", answer.agent), self._context()
        running = [
            asyncio.ensure_future(guardrail.run(context, agent, text))
            for guardrail in guardrails
        ]
        try:
            for following in asyncio.as_completed(running):
                try:
                    result = await following
                except Exception as error:
                    self._failed(error)
                    continue
                if result.output.tripwire_triggered:
                    self._trip(answer, item_id, result)
                    break
            if not (answer.active or answer.tripped):
                self._blocked = 0
        finally:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _trip(
        self, answer: _Answer, item_id: str, result: OutputGuardrailResult
    ) -> None:
        if answer.tripped:
            return
        answer.tripped = True
        blocked = Blocked(answer.response_id, item_id)
        error = OutputGuardrailTripwireTriggered(result)
        self._tripped(answer.agent, error, blocked)
        # Another answer is not to blame, and who listened may have hung up.
        late = answer.response_id != self._latest
        if late or self._transport.status != "connected":
            return
        if answer.spoken:
            self._transport.interrupt()
        elif answer.active:
            cancel = {"type": "response.cancel", "response_id": answer.response_id}
            self._transport.send_event(cancel)
        self._blocked += 1
        if self._blocked < _IN_A_ROW:
            self._feedback = _feedback(result)
            self._transport.send_message(self._feedback)
        else:
            self._failed(_in_a_row(result))


def words_of(item: Event) -> str:
    """Return the words of a message, written or spoken."""
    parts = item.get("content") or ()
    words = (part.get("text") or part.get("transcript") for part in parts)
    return " ".join(filter(None, words))


def _is_spoken(part: Event) -> bool:
    return part.get("type") in ("output_audio", "audio")


def _feedback(result: OutputGuardrailResult) -> str:
    info = result.output.output_info
    try:
        details = json.dumps(info, ensure_ascii=False)
    except (TypeError, ValueError):
        details = str(info)
    return (
        "⚠️ What you just said was withheld from the user.\n"
        f"It violated this guardrail: {result.guardrail.get_name()}\n"
        f"What it reports: {details}\n"
        "Answer once more, within the policy: say you are sorry that you cannot help "
        "with this, do not name the reason, and lead back to what you may talk about."
    )


def _in_a_row(result: OutputGuardrailResult) -> OffhookError:
    return OffhookError(
        f"{_IN_A_ROW} answers in a row were blocked, the last by "
        f"'{result.guardrail.get_name()}': no other is asked for until the user says "
        "something. Check the guardrail, and what the agent is to do.",
        code="guardrail_blocked_in_a_row",
    )
