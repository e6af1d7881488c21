"""A transport for Cloudflare Workers, where a WebSocket begins with a fetch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offhook import __version__
from offhook.errors import InvalidRequest
from offhook.protocol.playback import PlaybackLedger
from offhook.transports import given
from offhook.transports.openai import OpenAITransport
from offhook.wire.fetched import fetch_websocket, usable_fetch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from offhook.transports.base import ApiKey
    from offhook.wire.base import Wire
    from offhook.wire.fetched import Fetch


class CloudflareRealtimeTransportLayer(OpenAITransport):
    """A Realtime session over a WebSocket that `fetch` upgrades to.

    Otherwise as OpenAIRealtimeWebSocket. The runtime sends at its own pace, so that
    `drain` waits until it has taken everything, not until that has left.

    Args:
        api_key: A key, or a function that gives one; `connect` may get another.
        model: The model to ask for.
        url: Where to connect to, with its query; by default OpenAI.
        headers: Sent with the request, besides those of the upgrade.
        fetch: As in JavaScript, with a dict of options. In Pyodide it may be a function
            of JavaScript's, and is the runtime's by default.
        reported: Whether you tell what was heard, by `played`; otherwise audio counts
            as played from when it came.
        open_timeout: Seconds for everything up to the end of the upgrade.

    Raises:
        InvalidRequest: There is no fetch, or an argument cannot be used.
    """

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
        given.mapping(headers or {}, "headers")
        given.limit(open_timeout, "open_timeout")
        chosen = usable_fetch(fetch)
        if not callable(chosen):
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

        super().__init__(
            opened,
            api_key=api_key,
            model=model,
            url=url,
            ledger=PlaybackLedger(reported=reported),
        )
