from __future__ import annotations

import pytest

from offhook.speech.recogniser import Moonshine
from offhook.speech.synthesiser import Hibari


@pytest.fixture(scope="session")
def hibari() -> Hibari:
    return Hibari()


@pytest.fixture(scope="session")
def moonshine() -> Moonshine:
    return Moonshine()
