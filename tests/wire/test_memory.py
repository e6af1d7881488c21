from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from offhook.wire.memory import pair
from tests.wire.conformance import Conformance, turn

if TYPE_CHECKING:
    from tests.wire.conformance import Pair


@pytest.fixture
def wires() -> Pair:
    return pair()


class TestMemory(Conformance):
    async def test_256_texts_wait_and_no_more(self, wires: Pair) -> None:
        near, far = wires
        for number in range(256):
            await near.send(str(number))
        late = asyncio.create_task(near.send("256"))
        await turn()
        assert not late.done()
        assert await far.receive() == "0"
        await late
        assert [await far.receive() for _ in range(256)][-1] == "256"
