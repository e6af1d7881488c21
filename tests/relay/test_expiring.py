from __future__ import annotations

import pytest

from offhook.errors import ServerError
from offhook.relay.expiring import Expiring


def test_a_value_is_there_until_its_time() -> None:
    table: Expiring[str] = Expiring(1)
    table.put("a", "x", expires=10, now=0)
    assert table.get("a", 9.9) == "x"
    assert table.get("a", 10) is None
    assert table.get("b", 0) is None


def test_a_popped_value_is_gone() -> None:
    table: Expiring[str] = Expiring(1)
    table.put("a", "x", expires=10, now=0)
    assert table.pop("a", 1) == "x"
    assert table.pop("a", 1) is None


def test_a_full_table_refuses_until_something_expires() -> None:
    table: Expiring[int] = Expiring(2)
    table.put("a", 1, expires=10, now=0)
    table.put("b", 2, expires=20, now=0)
    with pytest.raises(ServerError) as error:
        table.put("c", 3, expires=30, now=9)
    assert (error.value.status, error.value.code) == (503, "server_busy")
    assert error.value.retry_after == "60"
    table.put("c", 3, expires=30, now=10)
    assert [table.get(key, 10) for key in "abc"] == [None, 2, 3]
