"""What a transport is: a client's way to a model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from offhook.events import Event
    from offhook.protocol.items import Item
    from offhook.protocol.transport_events import FunctionCall, Status
    from offhook.transports.emitter import Listener, Stream

# A key, or what gives one when it is needed.
ApiKey = str | Callable[[], str] | Callable[[], Awaitable[str]]


class RealtimeTransportLayer(Protocol):
    """Connects to a model, sends what you say, and emits what comes back.

    The names of the events are those of the JavaScript SDK: `*` for everything as it
    came, each event of the server under its own type, and the typed ones of
    `offhook.protocol.transport_events`. Sending never waits; `drain` does. Who makes
    one closes it, or the session that it is given to: it need be no context manager.
    """

    @property
    def status(self) -> Status:
        """Whether there is a connection."""

    @property
    def muted(self) -> bool | None:
        """Whether the microphone is off; None where the transport has none."""

    def on(self, name: str, listener: Listener) -> Self:
        """Call a function, or start a coroutine function, at each event."""

    def once(self, name: str, listener: Listener) -> Self:
        """The same for the next event only."""

    def off(self, name: str, listener: Listener) -> Self:
        """Stop calling it."""

    def stream(self, name: str, maxsize: int = 256) -> Stream:
        """Collect events for an `async for`."""

    async def connect(
        self,
        *,
        api_key: ApiKey | None = None,
        model: str | None = None,
        url: str | None = None,
        call_id: str | None = None,
        initial_session_config: Mapping[str, Any] | None = None,
    ) -> None:
        """Connect, and send the session's configuration.

        Raises:
            OffhookError: It cannot; the transport can be tried again.
        """

    async def drain(self) -> None:
        """Wait until what was sent has left."""

    async def close(self) -> None:
        """Hang up; once or more, connected or not."""

    def send_event(self, event: Event) -> None:
        """Send an event of the Realtime API as it is."""

    def request_response(self, response: Mapping[str, Any] | None = None) -> None:
        """Ask for a response, once none is being made."""

    def send_message(
        self,
        message: str | Sequence[Mapping[str, Any]],
        other_event_data: Mapping[str, Any] | None = None,
        *,
        trigger_response: bool = True,
    ) -> None:
        """Send a message of the user's: a text, or content parts."""

    def add_image(self, image: str, *, trigger_response: bool = True) -> None:
        """Send a picture: an https or data URL."""

    def send_audio(self, audio: bytes, *, commit: bool = False) -> None:
        """Send audio in the session's input format."""

    def update_session_config(self, config: Mapping[str, Any]) -> None:
        """Change the session's configuration; what is left out stays."""

    def mute(self, muted: bool) -> None:
        """Switch the microphone off or on."""

    def send_function_call_output(
        self, call: FunctionCall, output: str, *, start_response: bool = True
    ) -> None:
        """Return what a function gave."""

    def interrupt(self) -> None:
        """Stop the answer; what was not heard of it is forgotten."""

    def reset_history(self, old: Sequence[Item], new: Sequence[Item]) -> None:
        """Make the conversation the new one."""

    def send_mcp_response(
        self, request_id: str, approve: bool, reason: str | None = None
    ) -> None:
        """Answer an approval request."""
