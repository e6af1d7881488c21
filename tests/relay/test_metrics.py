from __future__ import annotations

import dataclasses

import pytest
from prometheus_client.parser import text_string_to_metric_families

from offhook.archive.records import CallRecord
from offhook.protocol.entries import Entry
from offhook.relay.metrics import Metrics
from tests.relays import Relay, Running, error_of

pytestmark = pytest.mark.anyio

CALL = CallRecord("rtc_1", "support", "bridged", 100.0)
TOKEN = "an operator's token"


def read(text: str) -> dict[str, float]:
    """Read the samples by their names and the values of their labels."""
    return {
        " ".join([sample.name, *(v for _, v in sorted(sample.labels.items()))]): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def seen(metrics: Metrics) -> dict[str, float]:
    return read(metrics.written()[0].decode())


def test_calls_are_counted() -> None:
    metrics = Metrics()
    for name in ("rtc_1", "rtc_2"):
        metrics.began(dataclasses.replace(CALL, id=name))
    metrics.ended(
        dataclasses.replace(
            CALL, ended=130.0, reason="limit", usage={"tokens": {"output_audio": 70}}
        )
    )
    found = seen(metrics)
    assert found["offhook_calls support bridged"] == 1
    assert found["offhook_calls_begun_total support bridged"] == 2
    assert found["offhook_calls_ended_total support bridged limit"] == 1
    assert found["offhook_call_seconds_total support bridged"] == 30
    assert found["offhook_tokens_total support output_audio"] == 70


def test_what_happens_is_counted() -> None:
    metrics = Metrics()
    metrics.began(CALL)
    answer = Entry("turn", "model", 900, 2_000, "Hello", {"first_audio_ms": 700})
    metrics.told(CALL, answer)
    metrics.told(CALL, Entry("interruption", "caller", 1, 1))
    metrics.told(CALL, Entry("mark", "server", 1, 1, "guard.restored"))
    metrics.told(CALL, Entry("mark", "server", 1, 1, "what an upstream said"))
    metrics.told(CALL, Entry("mark", "server", 1, 1, "guard.upstream said"))
    found = seen(metrics)
    assert found["offhook_first_audio_seconds_sum support bridged"] == 0.7
    assert found["offhook_first_audio_seconds_bucket support 0.6 bridged"] == 0
    assert found["offhook_first_audio_seconds_bucket support 0.8 bridged"] == 1
    assert found["offhook_entries_total support turn bridged model"] == 1
    assert found["offhook_entries_total support interruption bridged caller"] == 1
    assert found["offhook_guard_actions_total restored support"] == 1
    assert not any("upstream said" in name for name in found)


def test_figures_that_grow_are_counted_once() -> None:
    metrics = Metrics()
    metrics.began(CALL)
    for received, lost in ((100, 5), (250, 3), (250, 6)):
        figures = {
            "caller_packets_received": received,
            "caller_packets_lost": lost,
            "caller_jitter_ms": 4.0,
            "model_round_trip_ms": 30.0,
            "caller_dropped_stranger": 2,
            "cpu_seconds": received / 1000,
        }
        metrics.measured(CALL, figures)
    found = seen(metrics)
    assert found["offhook_packets_total caller received"] == 250
    assert found["offhook_packets_total caller lost"] == 6
    assert found["offhook_dropped_datagrams_total stranger"] == 2
    assert found["offhook_bridged_cpu_seconds_total"] == 0.25
    assert found["offhook_jitter_seconds_count caller"] == 3
    assert found["offhook_round_trip_seconds_sum model"] == pytest.approx(0.09)


async def test_a_relay_shows_its_process_and_its_calls(relay: Relay) -> None:
    await relay.call(await relay.grant())
    answer = await relay.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = read(answer.text)
    assert found["offhook_calls support direct"] == 1
    assert found["process_open_fds"] > 0
    assert found["process_resident_memory_bytes"] > 0
    assert found["process_cpu_seconds_total"] > 0


async def test_elsewhere_only_the_operator_sees_them(running: Running) -> None:
    async with running(operator_token=TOKEN) as relay:
        error_of(await relay.client.get("/metrics"), 401, "invalid_operator_token")
        token = {"Authorization": f"Bearer {TOKEN}"}
        answer = await relay.client.get("/metrics", headers=token)
        assert "offhook_calls" in answer.text


async def test_another_sites_page_does_not_see_them(relay: Relay) -> None:
    headers = {"Origin": "https://elsewhere.example"}
    assert (await relay.client.get("/metrics", headers=headers)).status_code == 403


async def test_what_asks_for_openmetrics_gets_it(relay: Relay) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = await relay.client.get("/metrics", headers=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
