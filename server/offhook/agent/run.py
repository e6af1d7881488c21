"""One connection of a session: the agents, the tools and what is told of them."""

from __future__ import annotations

import copy
import inspect
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from agents import RunContextWrapper
from agents.realtime import (
    RealtimeError,
    RealtimeHandoffEvent,
    RealtimeToolApprovalRequired,
    RealtimeToolEnd,
    RealtimeToolStart,
)
from agents.realtime import RealtimeSession as SdkSession

from offhook.agent.approvals import Approvals, ToolApprovalRequest
from offhook.agent.conversation import Conversation
from offhook.agent.events import usage_of
from offhook.agent.guardrails import Blocked, Guardrails, words_of
from offhook.agent.hooks import hook_of
from offhook.agent.mcp import McpTools, decider, question
from offhook.agent.model import TransportModel
from offhook.agent.options import voice_of, voiced
from offhook.agent.tasks import Tasks
from offhook.agent.tool_calls import ToolCalls
from offhook.errors import InvalidRequest
from offhook.protocol import transport_events as told
from offhook.transports.openai import OpenAITransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from agents import MCPToolApprovalFunction
    from agents.realtime import RealtimeAgent, RealtimeRunConfig, RealtimeSessionEvent
    from agents.realtime.model import RealtimeModelConfig
    from agents.usage import Usage

    from offhook.agent.options import Options
    from offhook.events import Event
    from offhook.transports.base import ApiKey, RealtimeTransportLayer
    from offhook.transports.emitter import Listener


# Of how many responses it is known whose they are: the last may still be playing.
_SPEAKERS = 16


class Run:
    """What a session has only as long as it is connected.

    openai-agents' own session finds the settings of agents, runs tools and hands over;
    all else comes from the transport at once, without that session's queue.

    Args:
        agent: Begins.
        transport: Not connected yet.
        emit: Emits what the session's listeners are told.
        usage: What is used is added to it.
        options: The session's.

    Attributes:
        agent: Who answers now.
        context: What tools and guardrails get.
        opened: Whether there has been a connection, though it may be lost.
    """

    def __init__(
        self,
        agent: RealtimeAgent[Any],
        transport: RealtimeTransportLayer,
        emit: Callable[..., object],
        usage: Usage,
        options: Options,
    ) -> None:
        self.agent = agent
        self.opened = False
        self.context: RunContextWrapper[Any] = RunContextWrapper(options.context)
        self._transport = transport
        self._told = emit
        self._usage = usage
        self._options = options
        self._conversation = Conversation()
        self._approvals = Approvals()
        self._tasks = Tasks(self._fail)
        self._mcp = McpTools(options.config.get("tools") or ())
        self._guardrails = Guardrails(
            transport,
            self._tasks,
            options.guardrails,
            every=options.every,
            context=lambda: self.context,
            tripped=self._tripped,
            failed=self._fail,
        )
        model = TransportModel(transport, config=voiced(options.config, agent))
        self._tools = ToolCalls(model, transport, self._tasks, self._fail)
        self._sdk: SdkSession | None = None
        # Whose response it is; and which one was heard last.
        self._speakers: dict[str, RealtimeAgent[Any]] = {}
        self._heard: str | None = None
        # Then it is made before it is heard. Of others' transports it turns out.
        self._server_plays = (
            isinstance(transport, OpenAITransport) and transport.server_plays
        )
        self._handlers = self._listeners()

    @property
    def history(self) -> Sequence[Event]:
        """The conversation; not to be written to."""
        return self._conversation.items

    @property
    def mcp_tools(self) -> list[dict[str, Any]]:
        """The tools of MCP servers that the agent may use."""
        return self._mcp.of(self.agent)

    async def open(
        self, api_key: ApiKey | None, url: str | None, call_id: str | None
    ) -> None:
        """Connect, with the agent's settings.

        Raises:
            InvalidRequest: It was closed meanwhile, or cannot be configured so.
            OffhookError: There is no connection.
        """
        for name, handler in self._handlers.items():
            self._transport.on(name, handler)
        self._emit("history_updated", [])
        where: dict[str, Any] = {"api_key": api_key, "url": url, "call_id": call_id}
        model = {k: v for k, v in where.items() if v is not None}
        model["initial_model_settings"] = self._options.settings
        run: RealtimeRunConfig = {
            # What a tool raises comes out of it, and guardrails never run there.
            "async_tool_calls": False,
            "guardrails_settings": {"debounce_text_length": sys.maxsize},
        }
        if self._options.tool_execution:
            run["tool_execution"] = self._options.tool_execution
        if self._options.tool_error_formatter:
            run["tool_error_formatter"] = self._options.tool_error_formatter
        self._sdk = SdkSession(
            self._tools,
            self.agent,
            self._options.context,
            cast("RealtimeModelConfig", model),
            run,
        )
        await self._sdk.enter()
        reports = aiter(self._sdk)
        self.opened = True
        # It is there, and has the context, unless a listener has hung up already.
        if first := await anext(reports, None):
            self._take(first)
        self._tasks.start(self._report(reports))

    async def close(self) -> None:
        """Hang up, and end the tools; one that calls this goes on."""
        self._approvals.void()
        try:
            await self._tasks.stop()
            await self._tools.hang_up()
            if self._sdk:
                await self._sdk.close()
        finally:
            for name, handler in self._handlers.items():
                self._transport.off(name, handler)

    async def update_agent(self, agent: RealtimeAgent[Any]) -> None:
        """Let another agent go on.

        Raises:
            InvalidRequest: There is no connection.
        """
        if self._sdk:
            previous = self.agent
            await self._sdk.update_agent(agent)
            self._switch(previous, agent)

    async def decide(
        self,
        request: ToolApprovalRequest,
        approve: bool,
        *,
        always: bool,
        message: str | None = None,
    ) -> None:
        """Answer a request, and wait until a tool of the agent's has ended.

        Raises:
            InvalidRequest: It is not open, or there is no connection.
        """
        self._approvals.check(request)
        if request.server_label is not None:
            if always:
                raise InvalidRequest(
                    "Calls of MCP servers are approved one by one: set the server's "
                    "require_approval instead.",
                    code="not_supported",
                )
            self._transport.send_mcp_response(request.id, approve, message)
            self._approvals.settle(request)
        elif self._sdk:
            self._approvals.settle(request)
            decision = (
                partial(self._sdk.approve_tool_call, request.id, always=always)
                if approve
                else partial(
                    self._sdk.reject_tool_call,
                    request.id,
                    always=always,
                    rejection_message=message,
                )
            )
            await self._tools.settle(request.id, decision)

    def _listeners(self) -> Mapping[str, Listener]:
        return {
            "*": lambda event: self._emit("transport_event", event),
            "error": lambda error: self._emit("error", error),
            "audio": self._audio,
            "audio_done": self._audio_done,
            "audio_interrupted": lambda _: self._tell("audio_interrupted"),
            "audio_transcript_delta": lambda delta: self._words(delta, spoken=True),
            "output_text_delta": lambda delta: self._words(delta, spoken=False),
            "item_update": self._item,
            "item_deleted": self._deleted,
            "turn_started": self._turn_started,
            "usage_update": self._used,
            "turn_done": self._turn_done,
            "mcp_tools_listed": self._listed,
            "mcp_approval_request": self._asked,
            "mcp_tool_call_completed": self._mcp_called,
            "reconnecting": lambda _: self._approvals.void(hosted=True),
            "disconnected": self._approvals.void,
            "output_audio_buffer.started": self._played,
            "output_audio_buffer.stopped": self._played_out,
            "output_audio_buffer.cleared": self._played_out,
        }

    def _emit(self, name: str, *what: Any) -> None:
        self._told(name, *what)
        if hook := hook_of(name, what):
            self._tasks.start(hook)

    def _tell(self, name: str, *what: Any) -> None:
        self._emit(name, self.context, self.agent, *what)

    def _fail(self, error: Exception) -> None:
        self._emit("error", told.TransportError(error))

    def _tripped(
        self, agent: RealtimeAgent[Any], error: Exception, blocked: Blocked
    ) -> None:
        self._emit("guardrail_tripped", self.context, agent, error, blocked)

    async def _report(self, reports: AsyncIterator[RealtimeSessionEvent]) -> None:
        async for report in reports:
            try:
                self._take(report)
            except Exception as error:
                self._fail(error)

    def _take(self, report: RealtimeSessionEvent) -> None:
        self.context = report.info.context
        match report:
            case RealtimeToolStart(agent=agent, tool=tool, arguments=arguments):
                call = self._tools.begun(tool.name, arguments)
                self._emit("agent_tool_start", self.context, agent, tool, call)
            case RealtimeToolEnd(agent=agent, tool=tool, arguments=arguments):
                call, begun = self._tools.ended(tool.name, arguments)
                which = (self.context, agent, tool)
                if not begun:  # it was refused
                    self._emit("agent_tool_start", *which, call)
                self._emit("agent_tool_end", *which, report.output, call)
            case RealtimeToolApprovalRequired(agent=agent):
                request = self._approvals.tool(report)
                self._emit("tool_approval_requested", self.context, agent, request)
            case RealtimeHandoffEvent(from_agent=previous, to_agent=agent):
                self._switch(previous, agent)
            case RealtimeError(error=error):
                self._emit("error", told.TransportError(error))

    def _switch(self, previous: RealtimeAgent[Any], agent: RealtimeAgent[Any]) -> None:
        before = self.mcp_tools
        self.agent = agent
        # The server refuses another voice once it has spoken.
        mute = self._heard is None and self._transport.status == "connected"
        asked = voiced({}, agent)
        if asked and mute and not voice_of(self._options.config):
            self._transport.update_session_config(asked)
        self._emit("agent_handoff", self.context, previous, agent)
        if self.mcp_tools != before:
            self._emit("mcp_tools_changed", self.mcp_tools)

    def _speaker(self, response_id: str | None) -> RealtimeAgent[Any]:
        return self._speakers.get(response_id or "", self.agent)

    def _turn_started(self, turn: told.TurnStarted) -> None:
        self._speakers[turn.response_id] = self.agent
        if len(self._speakers) > _SPEAKERS:
            del self._speakers[next(iter(self._speakers))]
        self._guardrails.started(turn.response_id, self.agent)
        self._tell("agent_start")

    def _turn_done(self, turn: told.TurnDone) -> None:
        agent = self._speaker(turn.response_id)
        said = [words_of(item) for item in turn.output if item.get("type") == "message"]
        self._emit("agent_end", self.context, agent, said[-1] if said else "")
        self._guardrails.ended(turn, agent)

    def _begin_audio(self, response_id: str | None) -> None:
        if response_id != self._heard:
            self._heard = response_id
            speaker = self._speaker(response_id)
            self._emit("audio_start", self.context, speaker)

    def _audio(self, audio: told.Audio) -> None:
        self._begin_audio(audio.response_id)
        self._emit("audio", audio)

    def _audio_done(self, done: told.AudioDone) -> None:
        if self._heard == done.response_id and not self._server_plays:
            self._emit("audio_stopped", self.context, self._speaker(done.response_id))

    def _played(self, event: Event) -> None:
        self._server_plays = True
        self._begin_audio(event.get("response_id"))

    def _played_out(self, event: Event) -> None:
        speaker = self._speaker(event.get("response_id"))
        self._emit("audio_stopped", self.context, speaker)

    def _words(self, delta: told.Delta, *, spoken: bool) -> None:
        self._guardrails.hear(delta, self.agent, spoken=spoken)

    def _item(self, update: told.ItemUpdate) -> None:
        if self._conversation.update(update.item):
            self._guardrails.turn(update.item)
            self._emit("history_added", update.item)
        self._emit("history_updated", [*self._conversation.items])

    def _deleted(self, deleted: told.ItemDeleted) -> None:
        self._conversation.delete(deleted.item_id)
        self._emit("history_updated", [*self._conversation.items])

    def _used(self, usage: told.Usage) -> None:
        if usage != told.Usage():
            used = usage_of(usage).usage
            self._usage.add(used)
            self.context.usage.add(copy.deepcopy(used))

    def _listed(self, listed: told.McpToolsListed) -> None:
        before = self.mcp_tools
        self._mcp.take(listed)
        if self.mcp_tools != before:
            self._emit("mcp_tools_changed", self.mcp_tools)

    def _mcp_called(self, completed: told.McpToolCallCompleted) -> None:
        self._tell("mcp_tool_call_completed", completed)
        if self._options.respond and self._transport.status == "connected":
            self._transport.request_response()

    def _asked(self, asked: told.McpApprovalRequest) -> None:
        request = self._approvals.mcp(asked)
        if decide := decider(self.agent, asked.server_label):
            self._tasks.start(self._decided(decide, asked, request))
        else:
            self._tell("tool_approval_requested", request)

    async def _decided(
        self,
        decide: MCPToolApprovalFunction,
        asked: told.McpApprovalRequest,
        request: ToolApprovalRequest,
    ) -> None:
        result = decide(question(asked, self.context, request.arguments))
        if inspect.isawaitable(result):
            result = await result
        approve, reason = bool(result["approve"]), result.get("reason")
        await self.decide(request, approve, always=False, message=reason)
