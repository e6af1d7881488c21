"""Runs the local endpoint: alone, or inside another program."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

from offhook.errors import ServerError
from offhook.http.handshake import quiet_refusals
from offhook.local.app import create_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.applications import Starlette

    from offhook.settings import LocalSettings

_log = logging.getLogger(__name__)

# 15 MiB of audio are 20 MiB of base64, and uvicorn's own limit is 16 MiB.
_FRAME_BYTES = 24 * 2**20


class _Guest(uvicorn.Server):
    """A server inside somebody else's program, whose signals are not ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


@contextlib.asynccontextmanager
async def serving(settings: LocalSettings) -> AsyncIterator[str]:
    """Serve the local endpoint; yields its base URL once the socket listens.

    The models load in the background; offers wait for them.

    Raises:
        ServerError: The port is taken.
    """
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        address = (settings.host, settings.port)
        listener = socket.create_server(address, family=family)
    except OSError as error:
        raise ServerError(
            f"The local endpoint cannot listen on {settings.host}:{settings.port}: "
            f"{error.strerror}. Choose another port with --port or OFFHOOK_LOCAL_PORT.",
            code="port_taken",
        ) from None
    # Not to wait for acknowledgements: asyncio does so for its own sockets only.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    host, port = listener.getsockname()[:2]
    app = create_app(settings)
    # The lifespan runs here and not in uvicorn's own task: that one would be cancelled
    # together with everything else when a host ends its event loop without a word.
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(listener)
        await stack.enter_async_context(app.router.lifespan_context(app))
        server = _Guest(_config(app))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
        finally:
            server.should_exit = True
            await asyncio.wait([task])


def run(settings: LocalSettings) -> None:
    """Serve the local endpoint until SIGINT or SIGTERM.

    Raises:
        ServerError: The port is taken.
    """
    asyncio.run(_run(settings))


async def _run(settings: LocalSettings) -> None:
    stop = asyncio.Event()
    # In a container this is process 1, for which SIGTERM does nothing of its own.
    with contextlib.suppress(NotImplementedError):  # Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serving(settings) as url:
        _log.info("the local endpoint listens on %s", url)
        await stop.wait()


def _config(app: Starlette) -> uvicorn.Config:
    quiet_refusals()
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=_FRAME_BYTES,
        # Compression costs more than it saves on base64 audio, and invites bombs.
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=2,
    )
