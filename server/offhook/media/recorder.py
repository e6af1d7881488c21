"""Records both sides of a call as packets, in step, as they come.

A bridged call is recorded from its caller's leg alone: what it said, and what was sent
to it, speech and sounds, cut where the model was interrupted::

    async with Disk() as disk:                       # once, for all calls
        ...
        async with Recorder(folder, disk, failed=tell) as recorder:
            recorder.attach(call.caller)             # again after it has reconnected
            recorder.note("model", event)            # each event, for the transcript

After that `media.mastering` makes of the folder what people listen to and read; what a
process left that died, `media.recovery` makes whole before.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from offhook.errors import ServerError
from offhook.events import serialise
from offhook.media.spool import About, Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from offhook.events import Event
    from offhook.media.disk import Disk
    from offhook.media.leg import Leg
    from offhook.media.spool import Format
    from offhook.protocol.rtp import Packet

    Came = list[tuple[Packet, float]]

_log = logging.getLogger(__name__)

# So often what has come is given to the disk: with what the timeline waits for, a
# process that dies loses less than a second.
_TICK_S = 0.3
_TOGETHER_S = 0.05
# What a packet keeps beside its payload, in bytes.
_PACKET_BYTES = 300


class Recorder:
    """Writes a recording: two tracks of equal length, and the events with their times.

    Use as `async with Recorder(folder, disk) as recorder`. Nothing that befalls the
    disk touches the call: what cannot be written is missing as silence.

    Args:
        folder: Is made for it, readable by its owner only.
        disk: Writes it.
        call: What is known of the call; goes into `recording.json`.
        tee: Whether what is heard comes from the caller, too, when it has been heard.
        formats: What is made of it after the call, beside Ogg Opus.
        failed: Called once with what to tell the operator, if something is lost.

    Attributes:
        began: When the timeline began, in seconds since 1970.
        about: What there is of it, after the block; None where that is not known.

    Raises:
        ServerError: The folder cannot be made, is there, or the disk does not answer.
    """

    def __init__(
        self,
        folder: Path,
        disk: Disk,
        *,
        call: Mapping[str, Any] | None = None,
        tee: bool = False,
        formats: Sequence[Format] = (),
        failed: Callable[[str], None] | None = None,
    ) -> None:
        self.began = time.time()
        self.about: About | None = None
        self._began = time.monotonic()
        self._folder = folder
        self._disk = disk
        self._call = dict(call or {})
        self._tee = tee
        self._formats = list(formats)
        self._tell = failed
        self._failed = False
        self._said: Came = []
        self._heard: Came = []
        self._events: list[str] = []
        self._size = 0
        self._paused: int | None = None  # since when, in ms
        self._pauses: list[list[int]] = []
        self._detach: tuple[Callable[[], None], ...] = ()
        self._spool: Spool | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self.began, self._began = time.time(), time.monotonic()
        about = About(self.began, call=self._call, formats=self._formats)
        made: list[Spool] = []

        def make() -> None:
            spool = Spool(
                self._folder,
                self._began,
                about,
                live=self._tee,
                failed=self._fail_from_disk,
            )
            made.append(spool)

        try:
            await self._disk.run(make)
        except (ServerError, asyncio.CancelledError):
            # It may be made yet.
            self._disk.post(partial(_leave, made), 0)
            raise
        except OSError as error:
            raise ServerError(
                f"The recording cannot begin: {error.strerror}. See to its folder, "
                f"{self._folder}."
            ) from None
        [self._spool] = made
        self._wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.detach()
        if self._timer:
            self._timer.cancel()
        if self._spool is None:
            return
        self.resume()
        now = time.monotonic()
        self._hand_over(now)
        try:
            self.about = await self._disk.run(
                partial(self._spool.close, now, self._pauses)
            )
        except ServerError as error:
            self._fail(error.message)

    def attach(self, leg: Leg) -> None:
        """Record the caller's leg from now on, and no other one."""
        self.detach()
        self._detach = (leg.tap_said(self.said), leg.tap_heard(self.heard))

    def detach(self) -> None:
        """Record no leg."""
        for untap in self._detach:
            untap()
        self._detach = ()

    def said(self, packet: Packet, now: float) -> None:
        """Take a packet that the caller said: a tap, where there is no one leg."""
        if self._paused is None:
            self._said.append((packet, now))
            self._size += len(packet.payload) + _PACKET_BYTES

    def heard(self, packet: Packet, now: float) -> None:
        """Take a packet that the caller heard, likewise."""
        if self._paused is None:
            self._heard.append((packet, now))
            self._size += len(packet.payload) + _PACKET_BYTES

    def note(self, source: Literal["caller", "model", "server"], event: Event) -> None:
        """Note an event, without the audio in it."""
        if self._paused is None:
            line = serialise(
                {
                    "at_ms": self._now_ms(),
                    "from": source,
                    "event": without_audio(event),
                }
            )
            self._events.append(line)
            self._size += len(line)

    def pause(self) -> None:
        """Record nothing from now on: the time passes in silence."""
        if self._paused is None:
            self._paused = self._now_ms()

    def resume(self) -> None:
        """Record again."""
        if self._paused is not None:
            self._pauses.append([self._paused, self._now_ms()])
            self._paused = None

    def _now_ms(self) -> int:
        return round((time.monotonic() - self._began) * 1000)

    def _tick(self) -> None:
        self._hand_over(time.monotonic())
        self._wait()

    def _wait(self) -> None:
        """Wait for the next tick, with others: the disk's thread wakes up for all."""
        due = self._loop.time() + _TICK_S
        self._timer = self._loop.call_at(due - due % _TOGETHER_S, self._tick)

    def _hand_over(self, now: float) -> None:
        if self._spool is None:
            return
        came = (self._said, self._heard)
        work = partial(self._spool.write, came, self._events, now)
        if not self._disk.post(work, self._size):
            self._fail("the disk is too slow: what it cannot take is silence")
        self._said, self._heard, self._events, self._size = [], [], [], 0

    def _fail_from_disk(self, why: str) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._fail, why)

    def _fail(self, why: str) -> None:
        if self._failed:
            return
        self._failed = True
        _log.error("a recording is not whole: %s", why)
        if self._tell:
            self._tell(why)


def _leave(made: list[Spool]) -> None:
    for spool in made:
        spool.leave()


def without_audio(value: Any) -> Any:
    """Leave the audio out of an event, wherever it is in base64.

    Of what the model says stays how long it is: over WebSocket nothing else tells.
    """
    match value:
        case {"type": "response.output_audio.delta" | "response.audio.delta", **rest}:
            delta = rest.pop("delta", "")
            return {
                "type": value["type"],
                **rest,
                "delta_length": len(delta) if isinstance(delta, str) else 0,
            }
        case dict():
            return {
                key: without_audio(part)
                for key, part in value.items()
                if not (key == "audio" and isinstance(part, str))
            }
        case list():
            return [without_audio(part) for part in value]
    return value
