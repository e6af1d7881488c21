from __future__ import annotations

from functools import partial

import pytest

from offhook.errors import NotFound
from offhook.relay.calls import Calls


async def hang_up() -> None:
    pass


def test_a_call_belongs_to_its_grant_until_it_ends() -> None:
    calls = Calls()
    ended = list[str]()
    calls.add("rtc_1", "grant", hang_up, partial(ended.append, "rtc_1"))
    assert calls.find("rtc_1", "grant") is hang_up
    with pytest.raises(NotFound) as error:
        calls.find("rtc_1", "stranger")
    assert (error.value.status, error.value.code) == (404, "call_id_not_found")
    assert ended == []
    calls.remove("rtc_1")
    with pytest.raises(NotFound):
        calls.find("rtc_1", "grant")
    calls.remove("rtc_1")
    assert ended == ["rtc_1"]


def test_the_oldest_call_makes_room() -> None:
    calls, ended = Calls(limit=2), list[str]()
    for number in "123":
        calls.add(f"rtc_{number}", "grant", hang_up, partial(ended.append, number))
    assert ended == ["1"]
    with pytest.raises(NotFound):
        calls.find("rtc_1", "grant")
    calls.find("rtc_2", "grant")
    calls.find("rtc_3", "grant")
