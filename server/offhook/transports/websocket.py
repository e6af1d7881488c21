"""A transport over WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from offhook.protocol.playback import PlaybackLedger
from offhook.transports.openai import OpenAITransport
from offhook.wire.websocket import connect_websocket

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from offhook.protocol.reconnect import Reconnect
    from offhook.transports.base import ApiKey
    from offhook.wire.base import Wire


class OpenAIRealtimeWebSocket(OpenAITransport):
    """A Realtime session over WebSocket.

    Use `connect` and `close`, or `async with` to be sure of the second. All methods
    belong to one event loop; those that send return at once.

    Args:
        api_key: A key, or a function that gives one; `connect` may get another.
        model: The model to ask for.
        url: Where to connect to, with its query; by default OpenAI.
        headers: Sent with the handshake, besides Authorization.
        reported: Whether you tell what was heard, by `played`; otherwise audio counts
            as played from when it came.
        grace_ms: How far playback may be ahead of what you last told.
        reconnect: What to do when the connection breaks: a new session then gets the
            configuration and the history of the old one. By default nothing.
        defaults: Whether what a configuration leaves out is asked for as the JavaScript
            SDK does; otherwise it stays as the server has it, as behind a relay.
        options: Those of `wire.websocket.connect_websocket`: timeouts, pings, sizes.
    """

    def __init__(
        self,
        *,
        api_key: ApiKey | None = None,
        model: str | None = None,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        reported: bool = False,
        grace_ms: float = 0.0,
        reconnect: Reconnect | None = None,
        defaults: bool = True,
        **options: Any,
    ) -> None:
        def opened(url: str, key: str) -> AbstractAsyncContextManager[Wire]:
            sent = {"Authorization": f"Bearer {key}", **(headers or {})}
            return connect_websocket(url, headers=sent, **options)

        super().__init__(
            opened,
            api_key=api_key,
            model=model,
            url=url,
            ledger=PlaybackLedger(reported=reported, grace_ms=grace_ms),
            reconnect=reconnect,
            defaults=defaults,
        )
