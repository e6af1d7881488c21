"""What every transport does, as tests: for those that you make yourself, too.

from offhook.testing.conformance import TransportConformance

class TestMine(TransportConformance):
    @pytest.fixture
    def make(self):
        return lambda: MyTransport(...)  # not connected yet; any "Hello" is answered
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from offhook.errors import OffhookError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from offhook.transports.base import RealtimeTransportLayer

    Make = Callable[[], RealtimeTransportLayer]


class TransportConformance:
    """Tests over your fixture `make`, which makes a transport that can connect.

    Attributes:
        patience: Seconds that anything may take.
        cycles: How often the leak test connects and closes.
        steps: At how many moments `connect` is cancelled.
    """

    pytestmark = pytest.mark.anyio

    patience = 20.0
    cycles = 20
    steps = 100

    @pytest.fixture(scope="session")
    @classmethod
    def anyio_backend(cls) -> str:
        """Transports belong to asyncio; whatever fixtures you have may ask for it."""
        return "asyncio"

    @pytest.fixture
    def make(self) -> Make:
        """Yours: return what makes a transport."""
        raise LookupError("The suite needs a fixture 'make' that makes a transport.")

    @pytest.fixture
    async def transport(self, make: Make) -> AsyncIterator[RealtimeTransportLayer]:
        """One transport, closed after the test."""
        transport = make()
        yield transport
        await transport.close()

    async def got(self, arriving: Awaitable[Any]) -> Any:
        """Wait for something, within reason."""
        async with asyncio.timeout(self.patience):
            return await arriving

    async def test_it_says_how_the_connection_fares(
        self, transport: RealtimeTransportLayer
    ) -> None:
        """`status` and `connection_change` agree."""
        told = [transport.status]
        transport.on("connection_change", told.append)
        transport.on("connection_change", lambda s: told.append(transport.status))
        await self.got(transport.connect())
        assert told[0] == "disconnected"
        assert told[1:] == ["connecting", "connecting", "connected", "connected"]
        await self.got(transport.close())
        rest = [status for status in told[5:] if status != "disconnecting"]
        assert rest == ["disconnected", "disconnected"]

    async def test_it_can_be_closed_at_any_time(
        self, transport: RealtimeTransportLayer
    ) -> None:
        """Before a connection, twice at a time, and again."""
        ends: list[str] = []
        await self.got(transport.close())
        await self.got(transport.connect())
        transport.on("connection_change", ends.append)
        await self.got(asyncio.gather(transport.close(), transport.close()))
        await self.got(transport.close())
        assert ends.count("disconnected") == 1

    async def test_it_connects_again_with_the_same_listeners(
        self, transport: RealtimeTransportLayer
    ) -> None:
        """What a listener hears is not doubled by a second connection."""
        told: list[str] = []
        transport.on("connection_change", told.append)
        for _ in range(2):
            await self.got(transport.connect())
            await self.got(transport.close())
        assert told.count("connected") == 2

    async def test_two_that_connect_make_one_connection(
        self, transport: RealtimeTransportLayer
    ) -> None:
        """The second joins the first or is refused, and disturbs nothing."""
        told: list[str] = []
        transport.on("connection_change", told.append)
        attempts = [asyncio.create_task(transport.connect()) for _ in range(2)]
        first, second = await self.got(
            asyncio.gather(*attempts, return_exceptions=True)
        )
        assert first is None
        assert second is None or isinstance(second, OffhookError)
        assert (transport.status, told.count("connected")) == ("connected", 1)

    async def test_without_a_connection_it_says_so(
        self, transport: RealtimeTransportLayer
    ) -> None:
        """Sending is an error that names the remedy; audio is lost without a word."""
        transport.send_audio(bytes(960))
        sends: tuple[Callable[[], None], ...] = (
            lambda: transport.send_message("Hello"),
            lambda: transport.send_event({"type": "response.create"}),
            transport.request_response,
            transport.interrupt,
            lambda: transport.update_session_config({"instructions": "Be brief."}),
        )
        for send in sends:
            with pytest.raises(OffhookError, match="connect"):
                send()

    async def test_a_message_is_answered_by_a_turn(
        self, transport: RealtimeTransportLayer
    ) -> None:
        """`turn_started`, the answer, and `turn_done` come in this order."""
        order: list[str] = []
        turns: list[Any] = []
        done = self._next(transport, "turn_done")
        transport.on("turn_started", lambda turn: turns.append(turn))
        for name in ("turn_started", "item_update", "turn_done"):
            transport.on(name, lambda *_, name=name: order.append(name))
        await self.got(transport.connect())
        transport.send_message("Hello")
        turn = await self.got(done)
        assert turns[0].response_id == turn.response_id
        assert "item_update" in order
        assert order.index("turn_started") < order.index("turn_done")

    async def test_everything_comes_raw(
        self, transport: RealtimeTransportLayer
    ) -> None:
        """`*` gets each event as it came, to do with as it likes."""
        types: list[str] = []
        transport.on("*", lambda event: types.append(event["type"]))
        transport.on("*", lambda event: event.clear())
        done = self._next(transport, "turn_done")
        await self.got(transport.connect())
        transport.send_message("Hello")
        assert (await self.got(done)).response_id
        assert types

    async def test_what_a_listener_raises_stays_with_it(
        self, transport: RealtimeTransportLayer
    ) -> None:
        """Others hear the event all the same, and the connection goes on."""
        heard: list[str] = []

        def fail(_: str) -> None:
            raise LookupError("a listener's own fault")

        transport.on("connection_change", fail)
        transport.on("connection_change", heard.append)
        await self.got(transport.connect())
        assert heard[-1] == transport.status == "connected"

    async def test_listeners_come_and_go(
        self, transport: RealtimeTransportLayer
    ) -> None:
        """`once` hears one event, and after `off` none is heard."""
        one: list[str] = []
        none: list[str] = []
        assert transport.once("connection_change", one.append) is transport
        transport.on("connection_change", none.append)
        transport.off("connection_change", none.append)
        await self.got(transport.connect())
        assert (one, none) == (["connecting"], [])

    async def test_a_stream_ends_with_the_connection(
        self, transport: RealtimeTransportLayer
    ) -> None:
        """`async for` over a stream leaves its loop when the transport is closed."""
        stream = transport.stream("connection_change")
        await self.got(transport.connect())
        await self.got(transport.close())

        async def collected() -> list[str]:
            return [status async for status in stream]

        assert "connected" in await self.got(collected())

    async def test_an_answer_can_be_interrupted(
        self, transport: RealtimeTransportLayer
    ) -> None:
        """`interrupt` ends the turn; when nothing is said, it does no harm."""
        begun, ended = (
            self._next(transport, name) for name in ("turn_started", "turn_done")
        )
        await self.got(transport.connect())
        transport.interrupt()
        transport.send_message("Hello")
        await self.got(begun)
        transport.interrupt()
        await self.got(ended)
        assert transport.status == "connected"

    async def test_audio_goes_in_any_amount(
        self, transport: RealtimeTransportLayer
    ) -> None:
        """Sending returns at once, and `drain` waits until it has left."""
        await self.got(transport.connect())
        for _ in range(50):
            transport.send_audio(bytes(960))
        await self.got(transport.drain())
        assert transport.status == "connected"

    async def test_muting_is_known_or_refused(
        self, transport: RealtimeTransportLayer
    ) -> None:
        """`muted` is None where there is no microphone; else it survives a close."""
        if transport.muted is None:
            with pytest.raises(OffhookError):
                transport.mute(True)
            return
        transport.mute(True)
        await self.got(transport.connect())
        await self.got(transport.close())
        still = transport.muted
        transport.mute(False)
        assert (still, transport.muted) == (True, False)

    async def test_closing_ends_a_connect(
        self, transport: RealtimeTransportLayer
    ) -> None:
        """Whoever connects is told, and can connect again."""
        connecting = asyncio.create_task(transport.connect())
        await asyncio.sleep(0)
        await self.got(transport.close())
        with contextlib.suppress(OffhookError):
            await self.got(connecting)
        assert transport.status == "disconnected"
        await self.got(transport.connect())

    async def test_connect_can_be_cancelled_at_any_moment(self, make: Make) -> None:
        """What is left can be closed, and nothing runs on."""
        before = asyncio.all_tasks()
        for step in range(self.steps):
            transport = make()
            connecting = asyncio.create_task(transport.connect())
            for _ in range(step):
                await asyncio.sleep(0)
            connecting.cancel()
            cancelled = False
            try:
                await self.got(connecting)
            except asyncio.CancelledError:
                cancelled = True
            assert not (cancelled and transport.status == "connected")
            await self.got(transport.close())
            assert transport.status == "disconnected"
        await self._none(lambda: asyncio.all_tasks() - before)

    async def test_connections_leave_nothing(self, make: Make) -> None:
        """No task, no thread and no descriptor is left behind, nor much memory."""
        transport = make()

        async def cycle() -> None:
            await self.got(transport.connect())
            await self.got(transport.close())

        for _ in range(3):
            await cycle()
        before, size = _resources(), _resident_bytes()
        for _ in range(self.cycles):
            await cycle()
        await self._none(lambda: _resources().items() - before.items())
        assert _resident_bytes() - size < 5 * 2**20

    async def _none(self, left: Callable[[], object]) -> None:
        # The other side may be in this process, and take a moment to notice.
        clock = asyncio.get_running_loop().time
        deadline = clock() + self.patience
        # What others leave behind tells nobody when it ends.
        while left() and clock() < deadline:  # noqa: ASYNC110  # see above
            await asyncio.sleep(0)
        assert not left()

    def _next(
        self, transport: RealtimeTransportLayer, name: str
    ) -> asyncio.Future[Any]:
        arrived: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def arrive(*args: Any) -> None:
            if not arrived.done():
                arrived.set_result(args[0] if args else None)

        transport.once(name, arrive)
        return arrived


def _resources() -> dict[str, int]:
    folder = next((p for p in ("/proc/self/fd", "/dev/fd") if Path(p).is_dir()), None)
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "descriptors": len(os.listdir(folder)) if folder else 0,
    }


def _resident_bytes() -> int:
    try:
        pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    except OSError:
        return 0  # not Linux: not measured
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
