"""`GET /metrics`: the calls of this process, for Prometheus.

Labels have few values: agents are the operator's own, and nothing that a caller or an
upstream chooses is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from offhook.archive.records import CallRecord
    from offhook.protocol.entries import Entry
    from offhook.relay.routes import Relay

_SECONDS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 3.0, 5.0, 10.0)
_NETWORK_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_SIDES = ("caller", "model")
_PACKETS = ("received", "lost", "sent", "missed")
_DROPPED = "dropped_"
# What the upstream says is a mark, too, and may begin with anything.
_GUARD = {f"guard.{act}": act for act in ("restored", "expelled", "surrendered")}
# Entries of the journal that are counted; marks are not.
_COUNTED = ("turn", "tool", "interruption", "sound")


class Metrics:
    """An observer of the calls, which counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        # What was counted of each live call, as its figures grow.
        self._before: dict[str, dict[str, float]] = {}
        call = ("agent", "path")
        self._live = self._made(Gauge, "calls", "Calls that go on.", *call)
        self._began = self._made(Counter, "calls_begun", "Calls begun.", *call)
        self._ended = self._made(
            Counter, "calls_ended", "Calls ended, by why.", *call, "reason"
        )
        self._seconds = self._made(
            Counter, "call_seconds", "Length of the calls that have ended.", *call
        )
        self._entries = self._made(
            Counter, "entries", "What happened in calls.", *call, "kind", "who"
        )
        self._first_audio = self._made(
            Histogram,
            "first_audio_seconds",
            "From the caller's last word to the answer's first sound.",
            *call,
            buckets=_SECONDS,
        )
        self._guard = self._made(
            Counter, "guard_actions", "What callers' tries led to.", "agent", "action"
        )
        self._tokens = self._made(
            Counter, "tokens", "Tokens of calls that have ended.", "agent", "kind"
        )
        self._measured()

    def _measured(self) -> None:
        """Make what the figures of bridged calls are counted in."""
        self._packets = self._made(
            Counter, "packets", "RTP packets of bridged calls.", "side", "what"
        )
        self._dropped = self._made(
            Counter, "dropped_datagrams", "Datagrams of bridged calls.", "reason"
        )
        self._cpu = self._made(
            Counter, "bridged_cpu_seconds", "Processor time while calls were bridged."
        )
        self._jitter, self._round_trip = [
            self._made(Histogram, name, what, "side", buckets=_NETWORK_SECONDS)
            for name, what in (
                ("jitter_seconds", "Jitter of what came, every 5 seconds."),
                ("round_trip_seconds", "Round trip, every 5 seconds."),
            )
        ]

    async def show(self, request: Request) -> Response:
        """`GET /metrics`: show them to the operator."""
        relay: Relay = request.app.state.relay
        await relay.operators.admit(request)
        written, content_type = self.written(request.headers.get("accept", ""))
        return Response(written, headers={"Content-Type": content_type})

    def written(self, accept: str = "") -> tuple[bytes, str]:
        """Return them as text, and its media type, for an Accept header."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def began(self, call: CallRecord) -> None:
        """See `Observer`."""
        self._live.labels(call.agent, call.path).inc()
        self._began.labels(call.agent, call.path).inc()
        self._before[call.id] = {}

    def told(self, call: CallRecord, entry: Entry) -> None:
        """See `Observer`."""
        if entry.kind in _COUNTED:
            labels = (call.agent, call.path, entry.kind, entry.who)
            self._entries.labels(*labels).inc()
        elif action := _GUARD.get(entry.text):
            self._guard.labels(call.agent, action).inc()
        waited = entry.data.get("first_audio_ms")
        if waited is not None:
            self._first_audio.labels(call.agent, call.path).observe(waited / 1000)

    def measured(self, call: CallRecord, statistics: Mapping[str, float]) -> None:
        """See `Observer`."""
        before = self._before.get(call.id, {})
        grown = {
            name: value - before.get(name, 0.0) for name, value in statistics.items()
        }
        # What was lost may come after all: it is not counted again when more is.
        for name, growth in grown.items():
            before[name] = before.get(name, 0.0) + max(growth, 0.0)
        for side in _SIDES:
            for what in _PACKETS:
                name = f"{side}_packets_{what}"
                if grown.get(name, 0.0) > 0:
                    self._packets.labels(side, what).inc(grown[name])
            if f"{side}_jitter_ms" in grown:
                jitter = statistics[f"{side}_jitter_ms"]
                self._jitter.labels(side).observe(jitter / 1000)
            if f"{side}_round_trip_ms" in grown:
                round_trip = statistics[f"{side}_round_trip_ms"]
                self._round_trip.labels(side).observe(round_trip / 1000)
        for name, count in grown.items():
            _, dropped, reason = name.partition(_DROPPED)
            if dropped and count > 0:
                self._dropped.labels(reason).inc(count)
        self._cpu.inc(max(0.0, grown.get("cpu_seconds", 0.0)))

    def ended(self, call: CallRecord) -> None:
        """See `Observer`."""
        self._before.pop(call.id, None)
        self._live.labels(call.agent, call.path).dec()
        self._ended.labels(call.agent, call.path, call.reason or "").inc()
        self._seconds.labels(call.agent, call.path).inc(call.seconds or 0.0)
        for kind, count in call.usage.get("tokens", {}).items():
            self._tokens.labels(call.agent, kind).inc(count)

    def _made(
        self, kind: Any, name: str, what: str, *labels: str, **options: Any
    ) -> Any:
        return kind(f"offhook_{name}", what, labels, registry=self._registry, **options)
