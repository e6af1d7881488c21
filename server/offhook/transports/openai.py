"""What the transports to OpenAI are made of: a client core over whatever wire."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urlencode

from offhook.errors import InvalidRequest
from offhook.protocol.client import Client
from offhook.protocol.reconnect import Reconnect
from offhook.protocol.session_names import DEFAULT_MODEL
from offhook.transports import given
from offhook.transports.connection import Connection
from offhook.transports.emitter import Emitter, Listened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from offhook.events import Event
    from offhook.protocol.items import Item
    from offhook.protocol.playback import PlaybackLedger
    from offhook.protocol.transport_events import FunctionCall, Status
    from offhook.transports.base import ApiKey
    from offhook.transports.connection import Opener

_log = logging.getLogger(__name__)

_URL = "wss://api.openai.com/v1/realtime"

# Gives the URL to open for a call's id, the transport's own URL and a model, as far as
# there are any.
Address = Callable[[str | None, str | None, str | None], str]


class Microphone(Protocol):
    """What can be muted, connected or not."""

    @property
    def muted(self) -> bool:
        """Whether it is."""

    def mute(self, muted: bool) -> None:
        """Switch it off or on."""

    def say(self, pcm: bytes, then: Callable[[], None] | None = None) -> None:
        """Send audio at the pace of speech; then do something."""


class Recorded(Protocol):
    """What records a transport's calls."""

    @property
    def folder(self) -> Path | None:
        """Of the present or last recording."""

    def listen(self, transport: Listened) -> None:
        """Hear what the transport tells."""

    async def begin(self) -> None:
        """Record a call from now on."""

    async def end(self) -> None:
        """Record no more."""

    async def discard(self) -> None:
        """Likewise, and leave nothing of this call."""

    def say(self, audio: bytes) -> None:
        """Take what is sent in events, in the session's format."""

    def played(self, item_id: str, ms: float) -> None:
        """Take how much of an item has been heard."""


class OpenAITransport(Listened):
    """A Realtime session over whatever wire the opener gives.

    The transports are this with an opener of their own; so can yours be.

    Args:
        opener: Opens a wire to a URL with a key; what it raises, `connect` raises.
        address: Where to connect to, if `connect` is not told.
        api_key: A key, or a function that gives one; `connect` may get another.
        model: The model to ask for.
        url: Where to connect to by default.
        ledger: Knows how much was heard; None where the server plays the audio and
            knows it itself.
        microphone: What `mute` mutes, and `send_audio` is said by, where audio does not
            go in events.
        acknowledge: Seconds to wait in `connect` for the server to take the session's
            configuration; None does not wait. Who is late is warned of, not refused.
        coalesce: Whether a `connect` during another joins it, and is not refused.
        reconnect: What to do when the connection breaks; None lets it be.
        defaults: Whether what a configuration leaves out is asked for as the JavaScript
            SDK does; otherwise it stays as the server has it, as behind a relay.
        recorded: Records the calls.

    Raises:
        InvalidRequest: An argument cannot be used.
    """

    def __init__(
        self,
        opener: Opener,
        *,
        address: Address | None = None,
        api_key: ApiKey | None = None,
        model: str | None = None,
        url: str | None = None,
        ledger: PlaybackLedger | None = None,
        microphone: Microphone | None = None,
        acknowledge: float | None = None,
        coalesce: bool = False,
        reconnect: Reconnect | None = None,
        defaults: bool = True,
        recorded: Recorded | None = None,
    ) -> None:
        _check_reconnect(reconnect)
        self._address = address or socket_address
        self._api_key = given.key(api_key)
        self._model = model
        self._url = given.url(url)
        self._ledger = ledger
        self._microphone = microphone
        self._coalesce = coalesce
        self._defaults = defaults
        self._recorded = recorded
        self._client = Client(ledger)
        super().__init__(Emitter())
        self._connection = Connection(
            self._client,
            self._emitter,
            opener,
            acknowledge=acknowledge,
            reconnect=reconnect,
        )
        if recorded:
            recorded.listen(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def status(self) -> Status:
        """See RealtimeTransportLayer."""
        return self._connection.status

    @property
    def recording(self) -> Path | None:
        """The folder of the present or last call's recording; None if there is none."""
        return self._recorded.folder if self._recorded else None

    @property
    def history(self) -> tuple[Item, ...]:
        """The conversation, as far as it came over this transport."""
        return self._client.history.items

    @property
    def muted(self) -> bool | None:
        """See RealtimeTransportLayer."""
        return self._microphone.muted if self._microphone else None

    @property
    def server_plays(self) -> bool:
        """Whether the server plays the audio, and tells when it has been played."""
        return self._ledger is None

    async def connect(
        self,
        *,
        api_key: ApiKey | None = None,
        model: str | None = None,
        url: str | None = None,
        call_id: str | None = None,
        initial_session_config: Mapping[str, Any] | None = None,
    ) -> None:
        """See RealtimeTransportLayer; with `call_id` it joins a call as a sideband.

        A sideband that is given no configuration leaves the call's as it is.

        Raises:
            InvalidRequest: It is connected already, there is no key, an argument cannot
                be used, or `close` was called meanwhile.
            UpstreamError: The server cannot be reached, or refuses.
        """
        if self.status == "disconnected":
            wanted = model or self._model
            config = initial_session_config
            if config is not None:
                checked = given.mapping(config, "initial_session_config")
                config = json.loads(given.json_of(checked))
            joined = call_id is not None or not self._defaults
            configure = partial(self._configure, config, wanted, joined=joined)
            target = given.url(url) or self._address(call_id, self._url, wanted)
            key = self._api_key if api_key is None else given.key(api_key)
            async with self._taped():
                await self._connection.open(target, key, configure)
        elif self._coalesce:
            await self._connection.opening()
        else:
            raise InvalidRequest(
                "The transport is connected or connecting: close it first.",
                code="already_connected",
            )

    async def drain(self) -> None:
        """See RealtimeTransportLayer."""
        await self._connection.drain()

    async def close(self) -> None:
        """See RealtimeTransportLayer."""
        await self._connection.close()
        await self._emitter.aclose()
        if self._recorded:
            await self._recorded.end()

    def send_event(self, event: Event) -> None:
        """See RealtimeTransportLayer."""
        self._client.send(self._sendable(given.mapping(event, "An event")))
        self._connection.act()

    def request_response(self, response: Mapping[str, Any] | None = None) -> None:
        """See RealtimeTransportLayer."""
        if response is None:
            self._check()
        else:
            response = self._sendable(given.mapping(response, "response"))
        self._client.request(response)
        self._connection.act()

    def send_message(
        self,
        message: str | Sequence[Mapping[str, Any]],
        other_event_data: Mapping[str, Any] | None = None,
        *,
        trigger_response: bool = True,
    ) -> None:
        """See RealtimeTransportLayer."""
        extra = given.mapping(other_event_data or {}, "other_event_data")
        content, extra = self._sendable((given.message(message), extra))
        self._client.say(content, extra, respond=trigger_response)
        self._connection.act()

    def add_image(self, image: str, *, trigger_response: bool = True) -> None:
        """See RealtimeTransportLayer."""
        url = given.text(image, "image")
        content = [{"type": "input_image", "image_url": url}]
        self.send_message(content, trigger_response=trigger_response)

    def send_audio(self, audio: bytes, *, commit: bool = False) -> None:
        """See RealtimeTransportLayer; without a connection it is lost."""
        sound = given.audio(audio)
        if self.status != "connected":
            return
        if self._microphone:
            self._microphone.say(sound, self._commit if commit else None)
        else:
            self._connection.admit(len(sound) * 4 // 3)  # base64
            self._client.hear(sound, commit=commit)
            self._connection.act()
            if self._recorded:
                self._recorded.say(sound)

    def update_session_config(self, config: Mapping[str, Any]) -> None:
        """See RealtimeTransportLayer."""
        wanted = self._sendable(given.mapping(config, "config"))
        self._warn(self._client.configure(wanted))
        self._connection.act()

    def mute(self, muted: bool) -> None:
        """Switch the microphone off or on, now and in the next connections.

        Raises:
            InvalidRequest: There is none.
        """
        if self._microphone is None:
            raise InvalidRequest(
                "This transport has no microphone to mute: send no audio instead.",
                code="not_supported",
            )
        self._microphone.mute(muted)

    def played(self, item_id: str, ms: float, content_index: int = 0) -> None:
        """Tell how much of an item has been heard, if `reported` was asked for."""
        if self._ledger:
            self._ledger.played(item_id, ms, content_index)
        if self._recorded:
            self._recorded.played(item_id, ms)

    def send_function_call_output(
        self, call: FunctionCall, output: str, *, start_response: bool = True
    ) -> None:
        """See RealtimeTransportLayer."""
        call_id = given.text(getattr(call, "call_id", None), "call.call_id")
        said = self._sendable(given.text(output, "output"))
        self._client.give_output(call_id, said, respond=start_response)
        self._connection.act()

    def interrupt(self) -> None:
        """See RealtimeTransportLayer."""
        self._check()
        self._client.interrupt(_now_ms())
        self._connection.act()

    def reset_history(self, old: Sequence[Item], new: Sequence[Item]) -> None:
        """See RealtimeTransportLayer."""
        wanted = self._sendable(given.history(new))
        self._warn(self._client.reset_history(old, wanted))
        self._connection.act()

    def send_mcp_response(
        self, request_id: str, approve: bool, reason: str | None = None
    ) -> None:
        """See RealtimeTransportLayer."""
        answer = (given.text(request_id, "request_id"), approve, reason)
        self._client.approve(*self._sendable(answer))
        self._connection.act()

    @asynccontextmanager
    async def _taped(self) -> AsyncIterator[None]:
        """Record from before the connection, if at all; of none nothing is left."""
        if self._recorded is None:
            yield
            return
        await self._recorded.begin()
        try:
            yield
        except BaseException:
            await self._recorded.discard()
            raise

    def _commit(self) -> None:
        if self.status == "connected":
            self.send_event({"type": "input_audio_buffer.commit"})

    def _check(self) -> None:
        if self.status != "connected":
            raise InvalidRequest(
                "The transport is not connected: await connect() first.",
                code="not_connected",
            )

    def _sendable(self, value: Any) -> Any:
        """Return a copy as JSON has it, if it can be sent at all, and now."""
        self._check()
        text = given.json_of(value)
        self._connection.admit(len(text))
        return json.loads(text)

    def _configure(
        self, config: Mapping[str, Any] | None, model: str | None, *, joined: bool
    ) -> bool:
        self._warn(self._client.open(config, model, joined=joined))
        return config is not None or not joined

    @staticmethod
    def _warn(warnings: list[str]) -> None:
        for warning in warnings:
            _log.warning("%s", warning)


def socket_address(call_id: str | None, url: str | None, model: str | None) -> str:
    """Return where a WebSocket is; a call's is beside that of new sessions."""
    if call_id is not None:
        base = (url or _URL).partition("?")[0]
        return f"{base}?{urlencode({'call_id': call_id})}"
    return url or f"{_URL}?{urlencode({'model': model or DEFAULT_MODEL})}"


def _check_reconnect(reconnect: Any) -> None:
    if reconnect is not None and not isinstance(reconnect, Reconnect):
        raise InvalidRequest(
            "reconnect has to be a policy, as Reconnect() or Reconnect(attempts=3), "
            "or None.",
            code="invalid_type",
            param="reconnect",
        )


def _now_ms() -> float:
    return time.monotonic() * 1000
