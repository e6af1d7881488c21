"""Reads request bodies with a limit in bytes and a deadline.

ASGI servers have neither: they take 50 MB and wait for a stalled body for minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from offhook.errors import InvalidRequest
from offhook.protocol.sdp import MAX_BYTES as MAX_OFFER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

MAX_BODY = 256 * 1024
_LINGER_BYTES = 4 * 2**20
_LINGER_SECONDS = 1.0

_MAX_FIELDS = 500

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_SDP = "application/sdp"
_MULTIPART = "multipart/form-data"


async def read_json(request: Request, seconds: float) -> dict[str, Any]:
    """Read a JSON object; an empty body is an empty one.

    Raises:
        InvalidRequest: It is something else, too large or too late.
    """
    body = await _read(request, MAX_BODY, seconds)
    if not body:
        return {}
    if _content_type(request) != _JSON:
        raise _unsupported(_JSON)
    return json_object(body)


async def read_form(request: Request, seconds: float) -> list[tuple[str, str]]:
    """Read the fields of a form, in their order, with those that are empty.

    Raises:
        InvalidRequest: It is none, too large or too late.
    """
    body = await _read(request, MAX_BODY, seconds)
    if _content_type(request) != _FORM:
        raise _unsupported(_FORM)
    try:
        text = body.decode()
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise InvalidRequest(
            "The body is not a form, or one with too many fields.", code="invalid_form"
        ) from None


async def read_text(request: Request, seconds: float, field: str) -> str:
    """Read a text: one field of a JSON object, or else the body itself.

    Raises:
        InvalidRequest: It is neither, too large or too late.
    """
    body = await _read(request, MAX_BODY, seconds)
    if _content_type(request) != _JSON:
        return body.decode(errors="replace")
    text = json_object(body).get(field)
    if not isinstance(text, str):
        raise InvalidRequest(
            f"The body must be an object with a string as its {field!r}.",
            code="invalid_type",
            param=field,
        )
    return text


async def read_offer(
    request: Request, seconds: float
) -> tuple[bytes, dict[str, Any] | None]:
    """Read an offer and, from a multipart body, the session that came with it.

    Raises:
        InvalidRequest: It is neither of the two forms, too large or too late.
    """
    content_type = _content_type(request)
    if content_type == _SDP:
        return await _read(request, MAX_OFFER, seconds), None
    if content_type != _MULTIPART:
        raise _unsupported(f"{_SDP} or {_MULTIPART}")
    body = await _read(request, MAX_BODY, seconds)
    parts = await _parts(request, body)
    if "sdp" not in parts:
        raise InvalidRequest(
            "The part 'sdp' is missing.", code="missing_parameter", param="sdp"
        )
    session = parts.get("session")
    return parts["sdp"], None if session is None else json_object(session, "session")


def json_object(text: bytes, param: str | None = None) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        InvalidRequest: It is none.
    """
    try:
        # NaN and Infinity are not JSON, and no upstream would take them.
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidRequest(
            "The body is not valid JSON.", code="invalid_json", param=param
        ) from None
    try:
        # Half a surrogate pair is valid JSON and no text (RFC 8259 §8.2): neither an
        # answer nor a request to the upstream could carry it.
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        raise InvalidRequest(
            "The body holds text that is not Unicode.",
            code="invalid_json",
            param=param,
        ) from None
    if not isinstance(value, dict):
        raise InvalidRequest(
            "The body must be a JSON object.", code="invalid_type", param=param
        )
    return value


async def _read(request: Request, limit: int, seconds: float) -> bytes:
    body = bytearray()
    stream = request.stream()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in stream:
                body += chunk
                if len(body) > limit:
                    break
    except TimeoutError:
        raise InvalidRequest(
            f"The body did not arrive within {seconds:g} seconds.",
            code="request_timeout",
            status=408,
        ) from None
    if len(body) > limit:
        await _linger(stream)
        raise InvalidRequest(
            f"The body is larger than {limit // 1024} KiB.",
            code="request_too_large",
            status=413,
        )
    return bytes(body)


async def _linger(stream: AsyncGenerator[bytes, None]) -> None:
    """Take in a little more of what is too large, so that the answer is read.

    A connection closed in the middle of a body is reset, and the reset overtakes the
    answer (RFC 9112 §9.6).
    """
    left = _LINGER_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            async for chunk in stream:
                left -= len(chunk)
                if left < 0:
                    return


async def _parts(request: Request, body: bytes) -> dict[str, bytes]:
    parser = MultiPartParser(request.headers, _once(body), max_files=2, max_fields=4)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidRequest(
            f"The multipart body cannot be read: {error.message}",
            code="invalid_multipart",
        ) from None
    parts = {}
    try:
        for name, value in form.multi_items():
            if name in parts:
                raise InvalidRequest(
                    f"The part {name[:32]!r} is there twice.",
                    code="invalid_multipart",
                    param=name[:32],
                )
            part = await value.read() if isinstance(value, UploadFile) else None
            # The parser decodes parts without a file name. Only where encoding them
            # again gives the bytes that came may they be passed on.
            parts[name] = str(value).encode() if part is None else part
            if parts[name] not in body:
                raise InvalidRequest(
                    f"The part {name[:32]!r} is not UTF-8 text.",
                    code="invalid_multipart",
                    param=name[:32],
                )
    finally:
        await form.close()
    return parts


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


def _content_type(request: Request) -> str:
    header = request.headers.get("content-type", "")
    return header.partition(";")[0].strip().lower()


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _unsupported(wanted: str) -> InvalidRequest:
    return InvalidRequest(
        f"The content type must be {wanted}.",
        code="unsupported_content_type",
        status=415,
    )
