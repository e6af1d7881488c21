from __future__ import annotations

from typing import get_args

import pytest
from openai.types.realtime import RealtimeClientEvent

from offhook.errors import InvalidRequest
from offhook.protocol.client_events import checked


def test_every_event_of_the_official_client_is_known() -> None:
    for model in get_args(get_args(RealtimeClientEvent)[0]):
        [kind] = get_args(model.model_fields["type"].annotation)
        try:
            checked({"type": kind})
        except InvalidRequest as error:
            assert error.code == "missing_required_parameter", kind


def test_an_unknown_event_is_told_which_ones_there_are() -> None:
    with pytest.raises(InvalidRequest, match="Supported values are") as caught:
        checked({"type": "x" * 1000})
    assert "'response.cancel'" in caught.value.message
    assert len(caught.value.message) < 500


def test_an_overlong_event_id_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="event_id"):
        checked({"type": "response.cancel", "event_id": "x" * 513})
