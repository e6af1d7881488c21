"""What is heard and downloaded of recordings, by the operator or by signed links."""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from offhook.errors import CallerError, NotFound
from offhook.http.failures import answer
from offhook.relay.call_pages import nothing_kept

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from offhook.archive.recordings import Recordings
    from offhook.archive.records import RecordingRecord, StoredFile
    from offhook.relay.routes import Relay

_HEADERS = {
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Nothing in a file is a page of ours, whatever it says.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_ID = re.compile(r"rec_[0-9a-f]{32}")
_NAME = re.compile(r"[a-z0-9_-]+\.[a-z0-9]+")
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)


def recording_routes() -> list[BaseRoute]:
    """Make the routes."""
    one = "/recordings/{recording_id}"
    return [
        Route(one, show, methods=["GET"]),
        Route(one, delete, methods=["DELETE"]),
        Route(f"{one}/{{name}}", send, methods=["GET"]),
    ]


async def show(request: Request) -> Response:
    """`GET /recordings/{recording_id}`: what there is, with a link to each file."""
    relay = _relay(request)
    await relay.operators.admit(request)
    recordings = await _recordings(relay)
    record = await recordings.find(request.path_params["recording_id"])
    now = time.time()
    links = {name: relay.links.sign(record.id, name, now) for name in record.files}
    root = request.scope.get("root_path", "").rstrip("/")
    body = asdict(record) | {
        "object": "recording",
        "links": {name: f"{root}/{link}" for name, link in links.items()},
    }
    return JSONResponse(body, headers=_HEADERS)


async def delete(request: Request) -> Response:
    """`DELETE /recordings/{recording_id}`: it, and what was said in its call."""
    relay = _relay(request)
    await relay.operators.admit(request)
    recordings = await _recordings(relay)
    recording_id = request.path_params["recording_id"]
    await recordings.delete(recording_id)
    body = {"object": "recording.deleted", "id": recording_id, "deleted": True}
    return JSONResponse(body, headers=_HEADERS)


async def send(request: Request) -> Response:
    """`GET /recordings/{recording_id}/{name}`: a file, or a part of it."""
    relay = _relay(request)
    recording_id, name = (
        request.path_params["recording_id"],
        request.path_params["name"],
    )
    signature = request.query_params.get("signature")
    if signature is None:
        await relay.operators.admit(request)
    else:
        expires = request.query_params.get("expires", "")
        relay.links.check(recording_id, name, expires, signature, time.time())
    if not (_ID.fullmatch(recording_id) and _NAME.fullmatch(name)):
        raise _no_file()  # and the store need not be asked
    recordings = await _recordings(relay)
    record = await recordings.find(recording_id)
    # What is asked for is compared with names that we gave; no path is made of it.
    file = record.files.get(name)
    if file is None or record.state != "ready":
        raise _no_file()
    return await _part(request, recordings, record, name, file)


def _no_file() -> NotFound:
    return NotFound("There is no such file.", code="file_not_found")


async def _part(
    request: Request,
    recordings: Recordings,
    record: RecordingRecord,
    name: str,
    file: StoredFile,
) -> Response:
    size = file.bytes
    tag = f'"{record.id}-{name}-{size}"'
    headers = _HEADERS | {
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Content-Type": file.media_type,
        "Content-Disposition": f'inline; filename="{record.call}-{name}"',
    }
    begin, end, status = 0, size, 200
    wanted = request.headers.get("range")
    # RFC 9110 §13.1.5: of another version the whole is wanted.
    if wanted is not None and request.headers.get("if-range", tag) == tag:
        begin, end, status = _range(wanted, size)
    if status == 416:
        response = answer(
            CallerError(f"The file has {size} bytes.", code="invalid_range", status=416)
        )
        response.headers["Content-Range"] = f"bytes */{size}"
        return response
    if status == 206:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - begin)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    pieces = recordings.read(record, name, begin, end)
    # Read before it is promised: a storage that is down is a 503.
    first = await anext(pieces, b"")
    return StreamingResponse(_chained(first, pieces), status, headers)


async def _chained(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in others:
        yield piece


def _range(wanted: str, size: int) -> tuple[int, int, int]:
    """Read a Range header: from where to where, and the status that says so."""
    found = _RANGE.fullmatch(wanted.strip())
    first, last = found.groups() if found else ("", "")
    if not (first or last) or (first and last and int(last) < int(first)):
        return 0, size, 200  # RFC 9110 §14.2: what is not understood is ignored
    if first:
        begin, end = int(first), min(int(last) + 1 if last else size, size)
    else:
        begin, end = max(0, size - int(last)), size
    return (begin, end, 206) if begin < end else (0, 0, 416)


def _relay(request: Request) -> Relay:
    relay: Relay = request.app.state.relay
    return relay


async def _recordings(relay: Relay) -> Recordings:
    recordings = await relay.runtime.recordings()
    if recordings is None:
        raise nothing_kept()
    return recordings
