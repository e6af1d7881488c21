"""A transport for Cloudflare Workers, where a WebSocket begins with a fetch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from offhook import __version__
from offhook.errors import InvalidRequest
from offhook.transports.openai import OpenAITransport, forwarded
from offhook.wire.fetched import fetch_websocket, runtime_fetch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from offhook.protocol.items import Item
    from offhook.protocol.transport_events import Status
    from offhook.transports.base import ApiKey
    from offhook.transports.emitter import Listener
    from offhook.wire.base import Wire
    from offhook.wire.fetched import Fetch


class CloudflareRealtimeTransportLayer:
    """A Realtime session over a WebSocket that `fetch` upgrades to.

    Otherwise as OpenAIRealtimeWebSocket. The runtime sends at its own pace, so that
    `drain` waits until it has taken everything, not until that has left.

    Args:
        api_key: A key, or a function that gives one; `connect` may get another.
        model: The model to ask for.
        url: Where to connect to, with its query; by default OpenAI.
        headers: Sent with the request, besides those of the upgrade.
        fetch: As in JavaScript, with a dict of options; in Pyodide the runtime's.
        reported: Whether you tell what was heard, by `played`; otherwise audio counts
            as played from when it came.
        open_timeout: Seconds for everything up to the end of the upgrade.

    Raises:
        InvalidRequest: There is no fetch.
    """

    muted = None

    def __init__(
        self,
        *,
        api_key: ApiKey | None = None,
        model: str | None = None,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        fetch: Fetch | None = None,
        reported: bool = False,
        open_timeout: float | None = 10.0,
    ) -> None:
        chosen = fetch or runtime_fetch()
        if chosen is None:
            raise InvalidRequest(
                "Outside Pyodide there is no fetch: pass fetch=, or use "
                "OpenAIRealtimeWebSocket.",
                code="missing_fetch",
            )

        def opened(url: str, key: str) -> AbstractAsyncContextManager[Wire]:
            sent = {
                "Authorization": f"Bearer {key}",
                "Sec-WebSocket-Protocol": "realtime",
                "User-Agent": f"Offhook/{__version__}",
                **(headers or {}),
            }
            return fetch_websocket(
                url, fetch=chosen, headers=sent, open_timeout=open_timeout
            )

        self._transport = OpenAITransport(
            opened, api_key=api_key, model=model, url=url, reported=reported
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()

    @property
    def status(self) -> Status:
        """See RealtimeTransportLayer."""
        return self._transport.status

    @property
    def history(self) -> tuple[Item, ...]:
        """The conversation, as far as it came over this transport."""
        return self._transport.history

    def on(self, name: str, listener: Listener) -> Self:
        """See RealtimeTransportLayer."""
        self._transport.on(name, listener)
        return self

    def once(self, name: str, listener: Listener) -> Self:
        """See RealtimeTransportLayer."""
        self._transport.once(name, listener)
        return self

    def off(self, name: str, listener: Listener) -> Self:
        """See RealtimeTransportLayer."""
        self._transport.off(name, listener)
        return self

    stream = forwarded(OpenAITransport.stream)
    connect = forwarded(OpenAITransport.connect)
    drain = forwarded(OpenAITransport.drain)
    close = forwarded(OpenAITransport.close)
    send_event = forwarded(OpenAITransport.send_event)
    request_response = forwarded(OpenAITransport.request_response)
    send_message = forwarded(OpenAITransport.send_message)
    add_image = forwarded(OpenAITransport.add_image)
    send_audio = forwarded(OpenAITransport.send_audio)
    update_session_config = forwarded(OpenAITransport.update_session_config)
    mute = forwarded(OpenAITransport.mute)
    played = forwarded(OpenAITransport.played)
    send_function_call_output = forwarded(OpenAITransport.send_function_call_output)
    interrupt = forwarded(OpenAITransport.interrupt)
    reset_history = forwarded(OpenAITransport.reset_history)
    send_mcp_response = forwarded(OpenAITransport.send_mcp_response)
