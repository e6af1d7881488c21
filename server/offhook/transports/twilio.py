"""A telephone call as a transport: Twilio's Media Streams around any transport."""

from __future__ import annotations

import asyncio
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from offhook.errors import InvalidRequest, OffhookError, UpstreamError
from offhook.transports.base import RealtimeTransportLayer
from offhook.transports.emitter import Emitter
from offhook.transports.telephone import Telephone
from offhook.transports.websocket import OpenAIRealtimeWebSocket
from offhook.wire.accepted import AcceptedWire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from offhook.protocol.transport_events import Status
    from offhook.protocol.twilio import Started
    from offhook.transports.base import ApiKey
    from offhook.transports.emitter import Listener, Stream
    from offhook.wire.accepted import AcceptedWebSocket

# How far playback may be ahead of the last mark that came back (JavaScript SDK).
_GRACE_MS = 50.0
_INACTIVITY_MS = 750.0
# The longest delay of a timer in JavaScript: 24 days.
_LONGEST_MS = 2**31 - 1
# Twilio sends `start` at once; who does not send it is not Twilio.
_START_SECONDS = 10.0

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _forwarded(
    method: Callable[Concatenate[RealtimeTransportLayer, _P], _R],
) -> Callable[Concatenate[TwilioRealtimeTransportLayer, _P], _R]:
    """Make a method that calls this one of the transport inside."""

    @wraps(method)
    def call(
        self: TwilioRealtimeTransportLayer, /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _R:
        result: _R = getattr(self.transport, method.__name__)(*args, **kwargs)
        return result

    return call


class TwilioRealtimeTransportLayer:
    """A Realtime session with a telephone, over a WebSocket that Twilio has opened.

    The caller's audio goes to the model and the answer to the caller, in µ-law without
    any conversion unless the configuration names other formats. Marks tell how much of
    an answer the caller has heard, and an interruption drops the rest. When either side
    hangs up, the other is hung up on.

    The events are those of the transport inside, and two more: under `*` each message
    of Twilio's, as `{"type": "twilio_message", "message": …}`, and `dtmf` with the key
    that the caller pressed.

    Args:
        twilio_websocket: Accepted: Starlette's or FastAPI's WebSocket, or a connection
            of the package websockets.
        transport: Any transport whose audio comes in `audio` events. To cut answers
            where the caller stopped listening, it needs a method `played`, as of
            `OpenAIRealtimeWebSocket(reported=True, grace_ms=50)`, which is the default.
        input_audio_inactivity_timeout_ms: How long nothing may come from Twilio while
            the caller speaks, before a second of silence is put in so that the turn can
            end; None never does.
        options: Those of the default transport: `api_key`, `model`, `url` and so on.

    Raises:
        InvalidRequest: The timeout is none, or options came with a transport.
    """

    def __init__(
        self,
        twilio_websocket: AcceptedWebSocket,
        *,
        transport: RealtimeTransportLayer | None = None,
        input_audio_inactivity_timeout_ms: float | None = _INACTIVITY_MS,
        **options: Any,
    ) -> None:
        _check_timeout(input_audio_inactivity_timeout_ms)
        if transport and options:
            raise InvalidRequest(
                f"Give {', '.join(sorted(options))} to the transport inside.",
                code="invalid_value",
            )
        self.transport: RealtimeTransportLayer = transport or OpenAIRealtimeWebSocket(
            **{"reported": True, "grace_ms": _GRACE_MS, **options}
        )
        self._wire = AcceptedWire(twilio_websocket)
        self._emitter = Emitter()
        self._relayed: set[str] = set()
        self._telephone = Telephone(
            self._wire,
            self.transport,
            self._emitter,
            inactivity_ms=input_audio_inactivity_timeout_ms,
        )
        self._holding: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def started(self) -> Started | None:
        """What Twilio said of the stream; None before it has started."""
        return self._telephone.started

    @property
    def status(self) -> Status:
        """See RealtimeTransportLayer."""
        return self.transport.status

    @property
    def muted(self) -> bool | None:
        """See RealtimeTransportLayer."""
        return self.transport.muted

    def on(self, name: str, listener: Listener) -> Self:
        """See RealtimeTransportLayer."""
        self._relaying(name).on(name, listener)
        return self

    def once(self, name: str, listener: Listener) -> Self:
        """See RealtimeTransportLayer."""
        self._relaying(name).once(name, listener)
        return self

    def off(self, name: str, listener: Listener) -> Self:
        """See RealtimeTransportLayer."""
        self._emitter.off(name, listener)
        return self

    def stream(self, name: str, maxsize: int = 256) -> Stream:
        """See RealtimeTransportLayer."""
        return self._relaying(name).stream(name, maxsize)

    async def connect(
        self,
        *,
        api_key: ApiKey | None = None,
        model: str | None = None,
        url: str | None = None,
        call_id: str | None = None,
        initial_session_config: Mapping[str, Any] | None = None,
    ) -> None:
        """Wait for Twilio's stream to start, then connect to the model.

        Raises:
            InvalidRequest: It is connected already, or `close` was called meanwhile.
            UpstreamError: The caller has hung up, or the model cannot be reached.
            OffhookError: Whatever else the transport inside raises.
        """
        if self.status != "disconnected" or (
            self._holding and not self._holding.done()
        ):
            raise InvalidRequest(
                "The transport is connected or connecting: close it first.",
                code="already_connected",
            )
        if self._wire.closed:
            raise _over()
        config = self._telephone.begin(initial_session_config or {})
        self._holding = holding = asyncio.create_task(self._hold())
        try:
            await self._start(holding)
            await self.transport.connect(
                api_key=api_key,
                model=model,
                url=url,
                call_id=call_id,
                initial_session_config=config,
            )
        except BaseException as error:
            # After a close, another attempt may be under way.
            if self._holding is holding:
                await self._give_up(error)
            raise

    async def close(self) -> None:
        """Hang up on both sides; once or more, connected or not."""
        await self._let_go()
        await self._hang_up()

    drain = _forwarded(RealtimeTransportLayer.drain)
    send_event = _forwarded(RealtimeTransportLayer.send_event)
    request_response = _forwarded(RealtimeTransportLayer.request_response)
    send_message = _forwarded(RealtimeTransportLayer.send_message)
    add_image = _forwarded(RealtimeTransportLayer.add_image)
    send_audio = _forwarded(RealtimeTransportLayer.send_audio)
    mute = _forwarded(RealtimeTransportLayer.mute)
    send_function_call_output = _forwarded(
        RealtimeTransportLayer.send_function_call_output
    )
    interrupt = _forwarded(RealtimeTransportLayer.interrupt)
    reset_history = _forwarded(RealtimeTransportLayer.reset_history)
    send_mcp_response = _forwarded(RealtimeTransportLayer.send_mcp_response)

    def update_session_config(self, config: Mapping[str, Any]) -> None:
        """See RealtimeTransportLayer; formats that are left out stay, too."""
        self.transport.update_session_config(self._telephone.configured(config))

    def _relaying(self, name: str) -> Emitter:
        """Let events of a name that somebody asks for come here."""
        if name not in self._relayed:
            self._relayed.add(name)
            self.transport.on(name, partial(self._emitter.emit, name))
        return self._emitter

    async def _hold(self) -> None:
        await self._telephone.carry()
        await self._hang_up()

    async def _start(self, holding: asyncio.Task[None]) -> None:
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._telephone.ready()
        except TimeoutError:
            raise UpstreamError(
                f"Twilio did not start a stream within {_START_SECONDS:g} seconds: "
                "let it connect by <Connect><Stream>.",
                code="upstream_timeout",
                status=504,
            ) from None
        if self._holding is not holding:
            raise InvalidRequest(
                "The transport was closed before it had connected.",
                code="closed_while_connecting",
            )
        if self._telephone.over:
            raise _over()

    async def _give_up(self, error: BaseException) -> None:
        hung_up = self._telephone.over
        await self._let_go()
        if hung_up:
            await self._hang_up()
            if isinstance(error, OffhookError):
                raise _over() from None
        # Otherwise the caller stays on the line: another attempt may succeed.

    async def _let_go(self) -> None:
        holding, self._holding = self._holding, None
        if holding:
            holding.cancel()
            await asyncio.wait([holding])
            self._telephone.end()  # one that had not begun to carry says nothing

    async def _hang_up(self) -> None:
        await self.transport.close()
        await self._wire.close()
        await self._emitter.aclose()


def _check_timeout(ms: float | None) -> None:
    # Written so that it refuses NaN, too.
    if ms is not None and not 0 < ms <= _LONGEST_MS:
        raise InvalidRequest(
            "input_audio_inactivity_timeout_ms has to be a number of milliseconds "
            f"above 0 and up to {_LONGEST_MS}, or None.",
            code="invalid_value",
            param="input_audio_inactivity_timeout_ms",
        )


def _over() -> UpstreamError:
    return UpstreamError(
        "The telephone call is over: the next one needs a transport of its own.",
        code="connection_closed",
    )
