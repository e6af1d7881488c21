"""`offhook record`: a call from here, or what is to be had of another one."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import httpx

from offhook.addresses import is_loopback
from offhook.call import call
from offhook.errors import InvalidRequest, NotFound, UpstreamError, redact
from offhook.protocol.journal import Journal
from offhook.target import target_of
from offhook.transports.websocket import OpenAIRealtimeWebSocket

if TYPE_CHECKING:
    from pathlib import Path

    from offhook.call import Write
    from offhook.events import Event
    from offhook.protocol.entries import Entry
    from offhook.settings import RecordSettings

_POLL_SECONDS = 2.0
# Of a state that is not the last one.
_PENDING = ("recording", "mastering")
_SPEAKERS = {"caller": "you", "model": "agent", "server": "server"}


async def record(what: str, settings: RecordSettings, write: Write) -> None:
    """Record a call that is made here, or get what there is of another one.

    Args:
        what: Whom to call, or the id of a call.
        settings: What with, and where to.
        write: Takes the captions and what else is to be told, piece by piece.

    Raises:
        OffhookError: The call cannot be made or found, or it is not recorded.
    """
    if not what.startswith("rtc_"):
        await call(what, settings, write, record=settings.into)
    elif target_of(settings.at).is_socket:
        await _transcribe(what, settings, write)
    else:
        await _fetch(what, settings, write)


async def _transcribe(call_id: str, settings: RecordSettings, write: Write) -> None:
    """Follow a call over a sideband, and write down what is said in it."""
    if settings.key is None:
        raise InvalidRequest(
            "A call at an upstream is joined with its key: pass it with --key.",
            code="missing_api_key",
        )
    folder = settings.into / call_id
    await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
    journal, gone = Journal(), asyncio.Event()
    began = time.monotonic()

    def take(event: Event) -> None:
        for entry in journal.take(event, (time.monotonic() - began) * 1000):
            write(_line(entry))

    url = target_of(settings.at).url
    async with OpenAIRealtimeWebSocket(url=url) as transport:
        transport.on("*", take)
        transport.on("disconnected", gone.set)
        await transport.connect(
            call_id=call_id, api_key=settings.key.get_secret_value()
        )
        try:
            async with asyncio.timeout(settings.seconds):
                await gone.wait()
        except TimeoutError:
            pass
        finally:
            journal.end((time.monotonic() - began) * 1000)
            _save(folder, journal)
    write(f"recorded: {folder}\n")


def _save(folder: Path, journal: Journal) -> None:
    entries = [entry.as_json() for entry in journal.entries]
    for name, text in (
        ("timeline.json", json.dumps(entries, indent=1)),
        ("transcript.txt", "".join(map(_line, journal.entries))),
    ):
        with open(folder / name, "w", encoding="utf-8", opener=_private) as file:
            file.write(text)


def _private(path: str, flags: int) -> int:
    """Open for the owner only, as recordings are."""
    return os.open(path, flags, 0o600)


def _line(entry: Entry) -> str:
    if entry.kind != "turn" or not entry.text:
        return ""
    minutes, seconds = divmod(entry.begins_ms // 1000, 60)
    return f"[{minutes:02}:{seconds:02}] {_SPEAKERS[entry.who]}: {entry.text}\n"


async def _fetch(call_id: str, settings: RecordSettings, write: Write) -> None:
    """Wait until a relay has a call's recording, and bring its files here."""
    base = settings.at if settings.at.endswith("/") else f"{settings.at}/"
    token = settings.operator_token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else None
    host = urlsplit(base).hostname or ""
    # No proxy leads to a server on this machine.
    async with httpx.AsyncClient(
        base_url=base, headers=headers, trust_env=not is_loopback(host)
    ) as client:
        recording = await _ready(client, call_id, write)
        folder = settings.into / call_id
        await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        for name, link in recording["links"].items():
            # A relay says what the files are called, and not where they are put.
            path = folder / PurePath(str(name)).name
            await _download(client, urljoin(base, str(link)), path)
    write(f"recorded: {folder}\n")


async def _ready(client: httpx.AsyncClient, call_id: str, write: Write) -> Any:
    told = ""
    while True:
        found = (await _get(client, f"calls/{call_id}.json")).get("recording") or {}
        state = str(found.get("state", "none"))
        if state == "ready":
            return await _get(client, f"recordings/{found['id']}")
        if state not in _PENDING:
            raise NotFound(
                f"There is no recording of this call to be had (its state: {state}): "
                "its agent's policy and its caller decide that, not this command.",
                code="not_recorded",
            )
        if state != told:
            told = state
            write(f"{state}\n")
        await asyncio.sleep(_POLL_SECONDS)


async def _get(client: httpx.AsyncClient, path: str) -> Any:
    try:
        answer = await client.get(path)
        value = answer.json()
    except (httpx.HTTPError, ValueError):
        raise UpstreamError(
            f"There is no relay at {client.base_url}: check --at.",
            code="upstream_unreachable",
        ) from None
    if answer.is_success and isinstance(value, dict):
        return value
    error = value.get("error") if isinstance(value, dict) else None
    said = error.get("message") if isinstance(error, dict) else answer.status_code
    raise UpstreamError(
        f"The relay refused: {redact(str(said))}", code="upstream_rejected"
    )


async def _download(client: httpx.AsyncClient, url: str, path: Path) -> None:
    async with client.stream("GET", url) as answer:
        if not answer.is_success:
            raise UpstreamError(
                f"{path.name} cannot be had: the relay answered {answer.status_code}.",
                code="upstream_failed",
            )
        with await asyncio.to_thread(open, path, "wb", opener=_private) as file:
            async for piece in answer.aiter_bytes():
                await asyncio.to_thread(file.write, piece)
