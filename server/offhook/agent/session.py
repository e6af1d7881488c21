"""A conversation of agents with a caller, over one of our transports."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from agents import RunContextWrapper
from agents.usage import Usage

from offhook.agent.initial import initial_config
from offhook.agent.options import (
    Options,
    agent_of,
    config_of,
    settings_of,
    tracing_of,
    transport_of,
)
from offhook.agent.run import Run
from offhook.errors import InvalidRequest
from offhook.protocol.client_config import session_update
from offhook.transports import given
from offhook.transports.emitter import Emitter, Listened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agents import OutputGuardrail
    from agents.realtime import RealtimeAgent
    from agents.realtime.config import (
        RealtimeGuardrailsSettings,
        RealtimeToolExecutionConfig,
    )
    from agents.run_config import ToolErrorFormatter

    from offhook.agent.approvals import ToolApprovalRequest
    from offhook.protocol.items import Item
    from offhook.transports.base import ApiKey, RealtimeTransportLayer

    # What makes a new history of the old one.
    Change = Callable[[list[Item]], Sequence[Item]]


class RealtimeSession(Listened):
    """Agents of openai-agents over one of our transports, as in the JavaScript SDK.

    Tools, handoffs, guardrails and MCP servers are openai-agents' own. Use `connect`
    and `close`, or `async with` to be sure of the second. All methods belong to one
    event loop; those that send return at once. After `close` it can be connected again,
    and begins with the first agent and an empty history.

    Args:
        agent: Begins; one of `agents.realtime`, or ours, which may have a voice.
        transport: Disconnected; or "webrtc" or "websocket", which makes one to OpenAI.
        api_key: A key, or a function that gives one; `connect` may get another.
        model: The model to ask for.
        config: The session's, in the words of the API, in camelCase, or with the beta's
            flat names. `tools` may name MCP servers; an agent's own go on top of them.
        context: Whatever your tools and guardrails need.
        output_guardrails: For every agent, besides its own.
        output_guardrail_settings: `debounce_text_length`: after how many characters
            guardrails run again; 0 or less waits for the whole answer. 100 by default.
        tool_execution: Of openai-agents.
        tool_error_formatter: Of openai-agents: what the model is told of a refusal.
        tracing_disabled: Whether OpenAI is to keep no trace.
        workflow_name: What the trace is called.
        group_id: What links it to others.
        trace_metadata: What else it has.
        automatically_trigger_response_for_mcp_tool_calls: Whether to ask for an answer
            when the tool of an MCP server has ended.

    Raises:
        InvalidRequest: An argument cannot be used.
        MissingExtra: The transport needs what is not installed.
    """

    def __init__(
        self,
        agent: RealtimeAgent[Any],
        *,
        transport: RealtimeTransportLayer | str = "webrtc",
        api_key: ApiKey | None = None,
        model: str | None = None,
        config: Mapping[str, Any] | None = None,
        context: Any = None,
        output_guardrails: Iterable[OutputGuardrail[Any]] = (),
        output_guardrail_settings: RealtimeGuardrailsSettings | None = None,
        tool_execution: RealtimeToolExecutionConfig | None = None,
        tool_error_formatter: ToolErrorFormatter | None = None,
        tracing_disabled: bool = False,
        workflow_name: str | None = None,
        group_id: str | None = None,
        trace_metadata: Mapping[str, Any] | None = None,
        automatically_trigger_response_for_mcp_tool_calls: bool = True,
    ) -> None:
        self._first = agent_of(agent)
        wanted = given.mapping(config or {}, "config")
        settings = settings_of(
            model,
            tracing_of(workflow_name, group_id, trace_metadata),
            wanted,
            traced=not tracing_disabled,
        )
        self._options = Options(
            context=context,
            config=config_of(wanted, agent),
            settings=settings,
            tool_execution=tool_execution,
            tool_error_formatter=tool_error_formatter,
            guardrails=tuple(output_guardrails),
            every=(output_guardrail_settings or {}).get("debounce_text_length", 100),
            respond=automatically_trigger_response_for_mcp_tool_calls,
        )
        self._api_key = given.key(api_key)
        self._transport = transport_of(transport, api_key, settings.get("model_name"))
        super().__init__(Emitter())
        self._usage = Usage()
        self._context: RunContextWrapper[Any] = RunContextWrapper(context)
        # The connection that there is, or that was there last.
        self._run: Run | None = None
        self._open = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def transport(self) -> RealtimeTransportLayer:
        """What it talks over, for all that the session does not do."""
        return self._transport

    @property
    def current_agent(self) -> RealtimeAgent[Any]:
        """Who answers now."""
        return self._run.agent if self._run else self._first

    @property
    def context(self) -> RunContextWrapper[Any]:
        """What tools and guardrails get; yours is its `context`."""
        return self._run.context if self._run else self._context

    @property
    def usage(self) -> Usage:
        """What all responses cost, over all connections."""
        return self._usage

    @property
    def muted(self) -> bool | None:
        """Whether the microphone is off; None where the transport has none."""
        return self._transport.muted

    @property
    def history(self) -> list[Item]:
        """The conversation: copies of items as `protocol.history` describes them."""
        return copy.deepcopy([*self._run.history]) if self._run else []

    @property
    def available_mcp_tools(self) -> list[dict[str, Any]]:
        """The tools of MCP servers that the agent may use, with their servers."""
        return self._run.mcp_tools if self._run else []

    async def connect(
        self,
        *,
        api_key: ApiKey | None = None,
        url: str | None = None,
        call_id: str | None = None,
    ) -> None:
        """Connect, with the first agent.

        Args:
            api_key: In place of the session's.
            url: Where to connect to; by default it is the transport's affair.
            call_id: A call to join, whose audio goes another way.

        Raises:
            InvalidRequest: It is connected already, it was closed meanwhile, or it is
                asked for what a Realtime session cannot have.
            UpstreamError: The server cannot be reached, or refuses.
            agents.UserError: Two tools of the agent have one name.
        """
        lost = self._transport.status == "disconnected"
        if self._open and self._run and self._run.opened and lost:
            await self.close()  # what a lost connection has left
        if self._open or self._transport.status != "disconnected":
            raise InvalidRequest(
                "The session is connected or connecting: close it first.",
                code="already_connected",
            )
        self._open = True
        emit, options = self._emitter.emit, self._options
        run = Run(self._first, self._transport, emit, self._usage, options)
        self._run = run
        key = self._api_key if api_key is None else api_key
        try:
            await run.open(key, url, call_id)
        except BaseException:
            await run.close()
            if self._run is run:
                self._open = False
            raise

    async def close(self) -> None:
        """Hang up; once or more, connected or not.

        Tools that run are cancelled, but for the one that calls this, and requests for
        approval are void.
        """
        run = self._run
        await (run or self._transport).close()
        if self._run is run:
            self._open = False
        await self._emitter.aclose()

    async def get_initial_session_config(
        self, overrides: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what `connect` asks for, as for a client secret or to accept a call.

        Args:
            overrides: Go over it; a configuration in any of the vocabularies.

        Raises:
            InvalidRequest: A tool is none that a Realtime session can have.
        """
        session = await initial_config(self._first, self._options)
        return session_update(overrides or {}, base=session)[0]

    async def update_agent(self, agent: RealtimeAgent[Any]) -> None:
        """Let another agent go on; without a connection, let it begin the next one.

        Raises:
            InvalidRequest: It is none, or its tools are none that a session can have.
        """
        agent_of(agent)
        if self._run and self._open:
            await self._run.update_agent(agent)
        else:
            self._first = agent
            if self._run:
                self._run.agent = agent

    def update_history(self, history: Sequence[Item] | Change) -> None:
        """Change the conversation; `history` follows when the server has done it.

        Args:
            history: The new items, or a function from a copy of the old to the new. Of
                what no client can create, the log tells.

        Raises:
            InvalidRequest: There is no connection, or an item lacks its `item_id` or
                `type`.
        """
        old = self.history
        new = history(copy.deepcopy(old)) if callable(history) else history
        self._transport.reset_history(old, new)

    def send_message(
        self,
        message: str | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        other_event_data: Mapping[str, Any] | None = None,
        *,
        trigger_response: bool = True,
    ) -> None:
        """Send a message of the user's: a text, content parts, or a whole message.

        Raises:
            InvalidRequest: There is no connection.
        """
        content = message.get("content") if isinstance(message, Mapping) else message
        self._transport.send_message(
            given.message(content), other_event_data, trigger_response=trigger_response
        )

    def add_image(self, image: str, *, trigger_response: bool = True) -> None:
        """Send a picture: an https or data URL.

        Raises:
            InvalidRequest: There is no connection.
        """
        self._transport.add_image(image, trigger_response=trigger_response)

    def send_audio(self, audio: bytes, *, commit: bool = False) -> None:
        """Send audio in the session's input format; unconnected it is lost."""
        self._transport.send_audio(audio, commit=commit)

    def mute(self, muted: bool) -> None:
        """Switch the microphone off or on.

        Raises:
            InvalidRequest: The transport has none.
        """
        self._transport.mute(muted)

    def interrupt(self) -> None:
        """Stop the answer; what was not heard of it is forgotten.

        Raises:
            InvalidRequest: There is no connection.
        """
        self._transport.interrupt()

    async def approve(
        self, request: ToolApprovalRequest, *, always: bool = False
    ) -> None:
        """Let a tool run, and wait until it has.

        Args:
            request: From `tool_approval_requested`.
            always: Whether this tool needs no consent any more, in this connection.

        Raises:
            InvalidRequest: The request is not open, or of an MCP server and `always`.
        """
        await self._decide(request, True, always, None)

    async def reject(
        self,
        request: ToolApprovalRequest,
        *,
        message: str | None = None,
        always: bool = False,
    ) -> None:
        """Tell the model that a tool may not run.

        Args:
            request: From `tool_approval_requested`.
            message: What the model is told.
            always: Whether this tool is refused from now on, in this connection.

        Raises:
            InvalidRequest: The request is not open, or of an MCP server and `always`.
        """
        await self._decide(request, False, always, message)

    async def _decide(
        self,
        request: ToolApprovalRequest,
        approve: bool,
        always: bool,
        message: str | None,
    ) -> None:
        if self._run is None:
            raise InvalidRequest("There is no connection.", code="not_connected")
        await self._run.decide(request, approve, always=always, message=message)
