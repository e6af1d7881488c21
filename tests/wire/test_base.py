from __future__ import annotations

import pytest

from offhook.wire.base import close_frame


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1011, 1014, 3000, 4999])
def test_codes_that_may_be_sent(code: int) -> None:
    assert close_frame(code, "why") == (code, "why")


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
def test_codes_that_may_not(code: int) -> None:
    with pytest.raises(ValueError, match=str(code)):
        close_frame(code, "")


def test_a_reason_has_room_for_123_bytes() -> None:
    assert close_frame(1000, "x" * 200)[1] == "x" * 123
    assert close_frame(1000, "€" * 200)[1] == "€" * 41
    assert close_frame(1000, "xx" + "€" * 200)[1] == "xx" + "€" * 40
