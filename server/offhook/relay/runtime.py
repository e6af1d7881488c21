"""What a live relay owns: the way to the upstream, and the local endpoint.

A mounted application never gets lifespan events, so the runtime starts when it is
first needed. It lives in a task of its own, because what it opens has to be closed by
the task that opened it. Connections belong to an event loop, so each loop has its own.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from offhook.errors import MissingExtra
from offhook.settings import LocalSettings
from offhook.upstream.openai import DEFAULT_URL, OpenAIUpstream, normalise

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import httpx

    from offhook.media.factory import PeerFactory
    from offhook.settings import Settings
    from offhook.upstream.base import Upstream

_log = logging.getLogger(__name__)

# An event loop holds its tasks by weak references only. A host may drop its application
# without a word; what the application opened is then closed by the end of the loop.
_running: set[asyncio.Task[None]] = set()


def upstream_url(settings: Settings) -> httpx.URL | None:
    """Where the upstream is, or None for the built-in local endpoint.

    Raises:
        SettingsError: The URL in the settings cannot be used.
    """
    if settings.upstream is None and settings.api_key is None:
        return None
    return normalise(settings.upstream or DEFAULT_URL)


def local_endpoint() -> AbstractAsyncContextManager[str]:
    """The built-in local endpoint, on any free port; gives its base URL.

    Raises:
        MissingExtra: It is not installed.
    """
    # Loaded only when needed: it brings the media and speech extras with it.
    from offhook.local import serving

    # For this relay alone: neither reachable from elsewhere, nor in need of a key.
    own = LocalSettings.load(host="127.0.0.1", port=0, api_key=None)
    return serving(own)


class _Live(NamedTuple):
    upstream: Upstream
    tasks: asyncio.TaskGroup
    peers: PeerFactory | None


@dataclass(frozen=True, slots=True)
class _Owner:
    task: asyncio.Task[None]
    ready: asyncio.Future[_Live]


class Runtime:
    """Starts once per event loop, on demand; `aclose` ends what runs in this one."""

    def __init__(
        self,
        settings: Settings,
        upstream: Upstream | None = None,
        *,
        bridges: bool = False,
        prepare: Callable[[], None] = lambda: None,
        endpoint: Callable[[], AbstractAsyncContextManager[str]] = local_endpoint,
    ) -> None:
        """Prepare.

        Args:
            settings: Say which upstream, and its key.
            upstream: Answers in place of the settings' one; its giver closes it.
            bridges: Whether there are calls to be bridged.
            prepare: Makes ready what these need; run in a thread.
            endpoint: Runs the local endpoint, where no upstream is set.
        """
        self._settings = settings
        self._given = upstream
        self._bridges = bridges
        self._prepare = prepare
        self._endpoint = endpoint
        self._owners: dict[asyncio.AbstractEventLoop, _Owner] = {}

    async def upstream(self) -> Upstream:
        """The upstream, started by whoever asks first; the others wait for it.

        Cancelling one waiter leaves the start to the others.
        """
        return self._given or (await self._live()).upstream

    async def peers(self) -> PeerFactory:
        """What makes the callers' peers of bridged calls."""
        peers = (await self._live()).peers
        assert peers  # or nobody asks
        return peers

    async def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something until it ends, or what was started here does.

        What it raises ends it alone, and is logged.
        """
        live = await self._live()
        live.tasks.create_task(_guarded(work))

    async def _live(self) -> _Live:
        loop = asyncio.get_running_loop()
        owner = self._owners.get(loop)
        # No await between this look and the change below: that is the lock.
        if owner is None or owner.task.done():
            owner = self._start(loop)
        return await asyncio.shield(owner.ready)

    async def aclose(self) -> None:
        """End what was started in this event loop; it may start again."""
        owner = self._owners.pop(asyncio.get_running_loop(), None)
        if owner is not None:
            owner.task.cancel()
            await asyncio.wait([owner.task])

    def _start(self, loop: asyncio.AbstractEventLoop) -> _Owner:
        for old in [old for old in self._owners if old.is_closed()]:
            del self._owners[old]
        ready: asyncio.Future[_Live] = loop.create_future()
        task = loop.create_task(self._own(ready))
        _running.add(task)
        task.add_done_callback(_running.discard)
        owner = _Owner(task, ready)
        self._owners[loop] = owner
        return owner

    async def _own(self, ready: asyncio.Future[_Live]) -> None:
        try:
            async with AsyncExitStack() as stack:
                upstream = self._given or await self._open(stack)
                peers = await self._bridge(stack) if self._bridges else None
                # Ends before the upstream does.
                tasks = await stack.enter_async_context(asyncio.TaskGroup())
                ready.set_result(_Live(upstream, tasks, peers))
                await asyncio.Event().wait()  # until cancelled
        except Exception as error:
            if ready.done():
                _log.error("The way to the upstream broke: %s", error)
            else:
                ready.set_exception(error)
        finally:
            ready.cancel()  # does nothing if it has its result

    async def _bridge(self, stack: AsyncExitStack) -> PeerFactory:
        try:
            # Loaded only when needed: it brings the media extra with it.
            from offhook.media.factory import PeerFactory
            from offhook.media.network import Network
        except ModuleNotFoundError as error:
            raise MissingExtra("media", str(error.name)) from None
        await asyncio.to_thread(self._prepare)
        peers = PeerFactory(Network.of(self._settings))
        return await stack.enter_async_context(peers)

    async def _open(self, stack: AsyncExitStack) -> Upstream:
        settings = self._settings
        url = upstream_url(settings)
        if url is None:
            base_url = await stack.enter_async_context(self._endpoint())
            _log.info("no API key: the built-in local endpoint answers (%s)", base_url)
        else:
            base_url = str(url)
        key = settings.api_key.get_secret_value() if settings.api_key else None
        upstream = OpenAIUpstream(base_url, key, seconds=settings.upstream_seconds)
        stack.push_async_callback(upstream.aclose)
        return upstream


async def _guarded(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        # One call's failure must not end the others in the group.
        _log.exception("a call failed")
