from __future__ import annotations

import pytest

from offhook.media.descriptions import check_bundle
from tests.relays import OFFER


def test_a_group_of_lines_that_are_there() -> None:
    check_bundle(OFFER.decode())
    check_bundle(OFFER.decode().replace("a=group:BUNDLE 0 1\r\n", ""))


def test_a_group_of_lines_that_are_not() -> None:
    with pytest.raises(ValueError, match="unknown mid"):
        check_bundle(OFFER.decode().replace("BUNDLE 0 1", "BUNDLE 0 7"))
