from __future__ import annotations

import sys
import threading
import time

import httpx
import pytest
from openai import AuthenticationError

from offhook.errors import InvalidRequest, ServerError, SettingsError
from offhook.testing import Realtime, endpoint


def test_it_runs_beside_the_test_and_leaves_nothing() -> None:
    before = threading.active_count()
    with endpoint() as realtime:
        assert realtime.ws_url == realtime.url.replace("http", "ws") + "/realtime"
        secret = realtime.mint(instructions="Be brief.")
        with realtime.client(api_key=secret) as client:
            with client.realtime.connect(model="any") as connection:
                created = connection.recv()
                assert created.type == "session.created"
                assert "Be brief." in created.to_json()
            # What is passed is stronger than what is usual here.
            with pytest.raises(AuthenticationError):
                client.realtime.client_secrets.create()
    assert threading.active_count() == before
    with pytest.raises(httpx.ConnectError):
        realtime.mint()


def test_connections_that_are_left_open_do_not_keep_it() -> None:
    with endpoint() as realtime:
        realtime.fault("half_close=0")
        clients = [realtime.client().realtime.connect(model="x") for _ in range(2)]
        for client in clients:
            client.enter()
        began = time.monotonic()
    assert time.monotonic() - began < 5


def test_a_bad_fault_is_named_where_it_was_written() -> None:
    with endpoint() as realtime:
        with pytest.raises(InvalidRequest, match="'explode' is unknown"):
            realtime.fault("explode=1")
        realtime.fault("status=500; times=2")
        with pytest.raises(InvalidRequest) as caught:
            realtime.mint()
        assert caught.value.status == 500
        realtime.clear_faults()
        realtime.mint()


def test_it_takes_the_settings_of_the_local_endpoint() -> None:
    with endpoint(api_key="sk-right") as realtime:
        assert realtime.api_key == "sk-right"
        with realtime.client(api_key="sk-wrong") as wrong:
            with pytest.raises(AuthenticationError):
                wrong.realtime.client_secrets.create()
        realtime.mint()
    with pytest.raises(SettingsError, match="session-seconds"):
        with endpoint(session_seconds=0):
            pass


def test_a_port_that_is_taken_is_named() -> None:
    with endpoint() as realtime, pytest.raises(ServerError, match="cannot listen"):
        with endpoint(port=httpx.URL(realtime.url).port):
            pass


def test_openai_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    realtime = Realtime("http://127.0.0.1:1/v1", "sk-test")
    for make in (realtime.client, realtime.async_client):
        with pytest.raises(ServerError, match="pip install openai"):
            make()
