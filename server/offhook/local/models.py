"""The engines of a local endpoint: loaded once, in the background."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Literal

from offhook.errors import ServerError
from offhook.speech.engines import Engines

if TYPE_CHECKING:
    from offhook.settings import LocalSettings

_log = logging.getLogger(__name__)


class Models:
    """Loads the engines while the server is already listening.

    Use as an async context manager; leaving unloads them.
    """

    def __init__(self, settings: LocalSettings) -> None:
        self._settings = settings
        self._engines: Engines | None = None
        self._error: BaseException | None = None
        self._done = asyncio.Event()
        self._leave = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Models:
        self._task = asyncio.create_task(self._hold())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._leave.set()
        if self._task:
            await self._task

    @property
    def state(self) -> Literal["ok", "loading", "failed"]:
        """Whether calls can be answered: at once, soon, or never."""
        if self._engines is not None:
            return "ok"
        return "failed" if self._done.is_set() else "loading"

    async def loaded(self) -> Engines:
        """Return the engines, when they are there.

        Raises:
            ServerError: They could not be loaded.
        """
        await self._done.wait()
        if self._engines is None:
            raise ServerError(
                f"The local endpoint's models did not load: {self._error}",
                code="models_not_loaded",
                status=503,
            )
        return self._engines

    async def _hold(self) -> None:
        began = time.monotonic()
        with contextlib.suppress(asyncio.CancelledError):
            try:
                async with Engines.load(self._settings, self._progress) as engines:
                    self._engines = engines
                    self._done.set()
                    _log.info("ready in %.1f s", time.monotonic() - began)
                    await self._leave.wait()
            except Exception as error:
                # Whoever waits for the engines gets this; the server keeps answering.
                _log.error("the models did not load: %s", error)
                self._error = error
            finally:
                self._engines = None
                self._done.set()

    @staticmethod
    def _progress(line: str) -> None:
        _log.info("loading %s", line)
