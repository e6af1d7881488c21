"""What a live relay owns: the way to the upstream, the local endpoint, the store."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from offhook.archive.recordings import Recordings
from offhook.archive.storage import Storage
from offhook.errors import MissingExtra
from offhook.relay.owned import Owned
from offhook.settings import LocalSettings
from offhook.upstream.openai import DEFAULT_URL, OpenAIUpstream, normalise

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from pathlib import Path

    import httpx

    from offhook.archive.keeper import Keeper
    from offhook.archive.store import Store
    from offhook.archive.writer import Writer
    from offhook.media.factory import PeerFactory
    from offhook.media.spool import Format
    from offhook.relay.studio import Studio
    from offhook.settings import Settings
    from offhook.upstream.base import Upstream

_log = logging.getLogger(__name__)


def upstream_url(settings: Settings) -> httpx.URL | None:
    """Where the upstream is, or None for the built-in local endpoint.

    Raises:
        SettingsError: The URL in the settings cannot be used.
    """
    if settings.upstream is None and settings.api_key is None:
        return None
    return normalise(settings.upstream or DEFAULT_URL)


def database_file(settings: Settings) -> Path:
    """Where calls are kept by default."""
    return settings.data / "calls.db"


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


class Runtime:
    """Starts once per event loop, on demand; `aclose` ends what runs in this one."""

    def __init__(
        self,
        settings: Settings,
        upstream: Upstream | None = None,
        *,
        bridges: bool = False,
        writer: Writer | None = None,
        prepare: Callable[[], None] = lambda: None,
        formats: Callable[[str], Sequence[Format]] = lambda _: (),
        endpoint: Callable[[], AbstractAsyncContextManager[str]] = local_endpoint,
    ) -> None:
        """Prepare.

        Args:
            settings: Say which upstream, and its key.
            upstream: Answers in place of the settings' one; its giver closes it.
            bridges: Whether there are calls to be bridged.
            writer: Is told of the calls; None where nothing is kept of them.
            prepare: Makes ready what these need; run in a thread.
            formats: What recordings of an agent's calls are made of; see `Studio`.
            endpoint: Runs the local endpoint, where no upstream is set.
        """
        self._settings = settings
        self._given = upstream
        self._bridges = bridges
        self._prepare = prepare
        self._formats = formats
        self._endpoint = endpoint
        self._live = Owned(self._start)
        self._writer = writer
        self._store = Owned(self._open_store)
        self._keeper = Owned(self._tend)
        self._studio = Owned(self._open_studio)

    async def upstream(self) -> Upstream:
        """The upstream, started by whoever asks first; the others wait for it.

        Cancelling one waiter leaves the start to the others.
        """
        if self._writer is not None:
            self._keeper.start()  # a call may follow
        return self._given or (await self._live.get()).upstream

    async def peers(self) -> PeerFactory:
        """What makes the callers' peers of bridged calls."""
        peers = (await self._live.get()).peers
        assert peers  # or nobody asks
        return peers

    async def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something until it ends, or what was started here does.

        What it raises ends it alone, and is logged.
        """
        live = await self._live.get()
        live.tasks.create_task(_guarded(work))

    async def store(self) -> Store | None:
        """What is kept of calls, or None where nothing is.

        Raises:
            MissingExtra: It is not installed.
            SettingsError: The settings lead to no database.
        """
        return await self._store.get() if self._writer is not None else None

    async def recordings(self) -> Recordings | None:
        """What is recorded of calls, or None where nothing is kept.

        Raises:
            MissingExtra: It is not installed.
            SettingsError: The settings lead to no storage.
        """
        return await self._keeper.get() if self._writer is not None else None

    async def studio(self) -> Studio:
        """Where recordings are made; not where nothing is kept.

        Raises:
            MissingExtra: It is not installed.
            SettingsError: The settings lead to no storage.
        """
        return await self._studio.get()

    async def aclose(self) -> None:
        """End what was started in this event loop; it may start again."""
        await self._live.aclose()
        await self._studio.aclose()  # deletes what the end of the calls left over
        await self._keeper.aclose()  # writes what the end of the calls was
        await self._store.aclose()

    @asynccontextmanager
    async def _start(self) -> AsyncIterator[_Live]:
        async with AsyncExitStack() as stack:
            upstream = self._given or await self._open(stack)
            peers = await self._bridge(stack) if self._bridges else None
            # Ends before the upstream does.
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            yield _Live(upstream, tasks, peers)

    @asynccontextmanager
    async def _open_store(self) -> AsyncIterator[Store]:
        try:
            # Loaded only when needed: it brings the store extra with it.
            from offhook.archive.store import Store
        except ModuleNotFoundError as error:
            raise MissingExtra("store", str(error.name)) from None
        url = self._settings.store or f"sqlite:///{database_file(self._settings)}"
        async with Store.open(url) as store:
            yield store

    @asynccontextmanager
    async def _tend(self) -> AsyncIterator[Recordings]:
        settings, data = self._settings, self._settings.data
        assert self._writer  # or nobody asks
        # Half a second of imports, which calls that go on would hear.
        keeper_class, storage = await asyncio.to_thread(_loaded, settings)
        recordings = Recordings(
            self._store.get,
            self._writer,
            storage,
            data / "spool",
            _master,
            settings.keep_days * 86400,
        )

        def exists() -> bool:
            return settings.store is not None or database_file(settings).exists()

        keeper = keeper_class(self._store.get, exists, self._writer, recordings)
        async with keeper.running():
            yield recordings

    @asynccontextmanager
    async def _open_studio(self) -> AsyncIterator[Studio]:
        try:
            # Loaded only when needed: it brings the media extra with it.
            from offhook.relay.studio import Studio
        except ModuleNotFoundError as error:
            raise MissingExtra("media", str(error.name)) from None
        async with Studio(await self._keeper.get(), self._formats) as studio:
            yield studio

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


def _loaded(settings: Settings) -> tuple[type[Keeper], Storage]:
    """Load what keeps the store and the recordings: it brings the extras with it."""
    try:
        from offhook.archive.keeper import Keeper
    except ModuleNotFoundError as error:
        raise MissingExtra("store", str(error.name)) from None
    return Keeper, Storage.at(settings.recordings or str(settings.data / "recordings"))


async def _master(
    folder: Path, progress: Callable[[float], None]
) -> tuple[float, list[Path]]:
    try:
        # Loaded only when needed: it brings the media extra with it.
        from offhook.media.mastering import master
    except ModuleNotFoundError as error:
        raise MissingExtra("media", str(error.name)) from None
    return await master(folder, progress)
