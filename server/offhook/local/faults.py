"""Faults on demand: what a test can make the local endpoint do wrong."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Self

from offhook.errors import InvalidRequest, NotFound, OffhookError
from offhook.events import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER = "X-Offhook-Fault"

Sink = Callable[[Event], None]

_log = logging.getLogger(__name__)

_MOST = 1000  # faults that may wait for their requests
_AUDIO = "response.output_audio.delta"

# Type, code and message of https://platform.openai.com/docs/guides/error-codes
_BROKEN = "The server had an error while processing your request. Sorry about that!"
_OVERLOADED = "The engine is currently overloaded, please try again later."
_ABROAD = "unsupported_country_region_territory"
_FAILURES = {
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("request_forbidden", _ABROAD, "Country, region, or territory not supported."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    500: ("server_error", "server_error", _BROKEN),
    502: ("server_error", "server_error", "Bad gateway."),
    503: ("server_error", "server_error", _OVERLOADED),
    504: ("server_error", "server_error", "Gateway timeout."),
}

# How each part of a fault is written, shown, and read.
_SECONDS = (r"\d{1,6}(\.\d+)?", "SECONDS", float)
_STATUSES = "|".join(str(status) for status in _FAILURES)
_GRAMMAR: dict[str, tuple[str, str, Callable[[str], Any]]] = {
    "status": (_STATUSES, _STATUSES, int),
    "retry_after": (r"\d{1,6}(\.\d+)?", "SECONDS", str),
    "delay": _SECONDS,
    "half_close": _SECONDS,
    "drop": _SECONDS,
    "drop_media": _SECONDS,
    "lose": (r"[a-z_.*?]{1,64}", "GLOB", str),
    "expire": _SECONDS,
    "times": (r"[1-9]\d{0,2}", "1…999", int),
}

# What can happen to whom: a mint or a hang-up has no call that could break, and a
# sideband neither audio nor an end of its own.
REQUEST = frozenset({"status", "retry_after", "delay"})
SIDEBAND = REQUEST | {"half_close", "drop", "lose"}
CALL = SIDEBAND | {"drop_media", "expire"}


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a request, and with the call that it opens.

    Attributes:
        status: The HTTP status that answers, or denies the handshake.
        retry_after: The value of its Retry-After header.
        delay: Seconds before the answer, or the handshake.
        half_close: Seconds until events end in both directions, without a close.
        drop: Seconds until the connection is gone without a goodbye.
        drop_media: Seconds until the answers' audio is missing.
        lose: Which types of server events get lost; `*` and `?` stand for others.
        expire: Seconds until the session expires.
        times: How many requests it is for.
    """

    status: int | None = None
    retry_after: str | None = None
    delay: float | None = None
    half_close: float | None = None
    drop: float | None = None
    drop_media: float | None = None
    lose: str | None = None
    expire: float | None = None
    times: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a fault as tests write it: `status=429; retry_after=2; times=2`.

        Raises:
            InvalidRequest: It is none; the message says what there is.
        """
        given: dict[str, Any] = {}
        for part in filter(str.strip, text.split(";")):
            name, _, value = (word.strip() for word in part.partition("="))
            if name not in _GRAMMAR:
                raise _invalid(f"{name[:32]!r} is unknown")
            pattern, form, read = _GRAMMAR[name]
            if name in given:
                raise _invalid(f"{name!r} is there twice")
            if not re.fullmatch(pattern, value, re.ASCII):
                raise _invalid(f"{value[:32]!r} is not {name}={form}")
            given[name] = read(value)
        if not given.keys() - {"times", "retry_after"}:
            raise _invalid("nothing is to go wrong")
        return cls(**given)

    def __str__(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self._given.items())

    @property
    def effects(self) -> set[str]:
        """The names of what goes wrong."""
        return self._given.keys() - {"times"}

    async def strike(self) -> None:
        """Do what happens before a request is answered.

        Raises:
            OffhookError: The answer.
        """
        await asyncio.sleep(self.delay or 0)
        if self.status is not None:
            kind, code, message = _FAILURES[self.status]
            raise OffhookError(
                message,
                type=kind,
                code=code,
                status=self.status,
                retry_after=self.retry_after,
            )

    def sieve(self, send: Sink) -> Sink:
        """Return a `send` on which events get lost, from now on."""
        began = time.monotonic()

        def leaky(event: Event) -> None:
            if self._loses(event["type"], time.monotonic() - began):
                _log.info("fault: lost %s", event["type"])
            else:
                send(event)

        return leaky if self.effects & {"lose", "drop_media"} else send

    def _loses(self, kind: str, age: float) -> bool:
        if self.lose is not None and fnmatchcase(kind, self.lose):
            return True
        return kind == _AUDIO and self.drop_media is not None and age >= self.drop_media

    @property
    def _given(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in _GRAMMAR}
        return {name: v for name, v in given.items() if v != getattr(Fault, name)}


class Faults:
    """The faults that tests have asked for.

    Args:
        on: Whether they may.
    """

    def __init__(self, on: bool) -> None:
        self._on = on
        self._armed: deque[Fault] = deque()

    def arm(self, text: str) -> list[str]:
        """Let the next requests go wrong, and return all that is armed.

        Raises:
            InvalidRequest: The text is no fault.
            NotFound: Faults are off.
        """
        self._check_on()
        fault = Fault.parse(text)
        if len(self._armed) + fault.times > _MOST:
            raise _invalid(f"more than {_MOST} are armed")
        self._armed.extend([replace(fault, times=1)] * fault.times)
        return [str(fault) for fault in self._armed]

    def clear(self) -> None:
        """Let nothing go wrong any more.

        Raises:
            NotFound: Faults are off.
        """
        self._check_on()
        self._armed.clear()

    async def strike(
        self, headers: Mapping[str, str], able: frozenset[str], *, armed: bool = True
    ) -> Fault:
        """Let a request meet its fault, and return what is left for its call.

        Args:
            headers: The request's; a fault in `HEADER` comes before those armed.
            able: The effects that this kind of request can have.
            armed: Whether armed faults are for it: the first whose effects it can have.

        Raises:
            OffhookError: What is to be answered.
        """
        fault = self._next(headers.get(HEADER), able, armed) if self._on else Fault()
        if fault.effects:
            _log.info("fault: %s", fault)
        await fault.strike()
        return fault

    def _next(self, header: str | None, able: frozenset[str], armed: bool) -> Fault:
        if header is not None:
            fault = Fault.parse(header)
            if unable := sorted(fault.effects - able):
                raise _invalid(f"{unable[0]!r} cannot happen to this request")
            return fault
        for fault in self._armed if armed else ():
            if fault.effects <= able:
                self._armed.remove(fault)
                return fault
        return Fault()

    def _check_on(self) -> None:
        if not self._on:
            raise NotFound(
                "Faults are off: start the local endpoint with --faults true or "
                "OFFHOOK_LOCAL_FAULTS=true.",
                code="faults_off",
            )


def _invalid(reason: str) -> InvalidRequest:
    known = "; ".join(f"{name}={form}" for name, (_, form, _) in _GRAMMAR.items())
    return InvalidRequest(
        f"No such fault: {reason}. There are, in any combination: {known}.",
        code="invalid_fault",
        param="fault",
    )
