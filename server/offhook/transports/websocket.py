"""A transport over WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from offhook.protocol.playback import PlaybackLedger
from offhook.transports import given
from offhook.transports.openai import OpenAITransport
from offhook.wire.websocket import connect_websocket

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from os import PathLike

    from offhook.protocol.reconnect import Reconnect
    from offhook.transports.base import ApiKey
    from offhook.transports.recording import Recording
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
        subprotocols: What to offer in the handshake; the server need not select one.
        open_timeout: Seconds for everything up to the end of the handshake.
        ping_interval: Seconds between pings; None sends none.
        ping_timeout: Seconds for a ping's answer, and for the server to take an event;
            then the connection is cut.
        max_size: Bytes of the longest event; a longer one ends the connection.
        record: A folder for recordings: in it each call gets one of its own, with what
            was said, what was played, and what happened; see `recording`. Needs the
            extra `media`.

    Raises:
        InvalidRequest: An argument cannot be used.
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
        subprotocols: Sequence[str] = (),
        open_timeout: float | None = 10.0,
        ping_interval: float | None = 20.0,
        ping_timeout: float | None = 20.0,
        max_size: int | None = 32 * 2**20,
        record: str | PathLike[str] | None = None,
    ) -> None:
        given.mapping(headers or {}, "headers")
        limits: dict[str, Any] = {
            "open_timeout": open_timeout,
            "ping_interval": ping_interval,
            "ping_timeout": ping_timeout,
            "max_size": max_size,
        }
        for name, value in limits.items():
            given.limit(value, name)

        def opened(url: str, key: str) -> AbstractAsyncContextManager[Wire]:
            sent = {"Authorization": f"Bearer {key}", **(headers or {})}
            return connect_websocket(
                url, headers=sent, subprotocols=subprotocols, **limits
            )

        super().__init__(
            opened,
            api_key=api_key,
            model=model,
            url=url,
            ledger=PlaybackLedger(reported=reported, grace_ms=grace_ms),
            reconnect=reconnect,
            defaults=defaults,
            recorded=_recording(record, reported),
        )


def _recording(folder: str | PathLike[str] | None, reported: bool) -> Recording | None:
    if folder is None:
        return None
    # Loaded only when needed: it brings the media extra with it.
    from offhook.transports.recording import Recording

    return Recording(folder, in_events=True, reported=reported)
