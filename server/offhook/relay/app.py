"""Puts the relay together."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from offhook.archive.writer import Writer
from offhook.assets import folder
from offhook.errors import MissingExtra, OffhookError, SettingsError
from offhook.http.failures import HANDLERS
from offhook.http.handshake import not_found
from offhook.relay import routes
from offhook.relay.agents import Agents
from offhook.relay.call_pages import CallPages
from offhook.relay.calls import Calls
from offhook.relay.grants import Grants
from offhook.relay.limits import Limits
from offhook.relay.links import Links
from offhook.relay.metrics import Metrics
from offhook.relay.operators import Operators
from offhook.relay.origins import Origins
from offhook.relay.pages import Page, Static
from offhook.relay.recording_routes import recording_routes
from offhook.relay.runtime import Runtime, upstream_url
from offhook.relay.socket import RealtimeSocket
from offhook.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from pydantic import SecretStr

    from offhook.agent import RealtimeAgent
    from offhook.archive.records import CallRecord
    from offhook.relay.bridged import Hook
    from offhook.relay.observers import Observer
    from offhook.relay.operators import Check
    from offhook.transports.base import RealtimeTransportLayer
    from offhook.upstream.base import Upstream

_log = logging.getLogger(__name__)

_TEE = "/v1/offhook/calls/{call_id}/recording"


def create_app(
    settings: Settings | None = None,
    *,
    agents: Mapping[str, Mapping[str, Any] | RealtimeAgent[Any]] | None = None,
    upstream: Upstream | None = None,
    transport: Callable[[str], RealtimeTransportLayer] | None = None,
    on_bridged: Hook | None = None,
    operator: Check | None = None,
    observers: Iterable[Observer] = (),
) -> Starlette:
    """Make the relay: an ASGI application to run, or to mount in another one.

    Nothing starts before it is needed, so that a mounted relay works without the
    lifespan events that a mounted application never gets.

    Args:
        settings: The settings; read from the environment if not given.
        agents: Their tables, or agents with tools, by name; in place of the file's.
        upstream: Who answers, in place of the settings' upstream; its giver closes it.
        transport: Leads to a model of your own: called with the agent's name for each
            call, all of which are bridged then.
        on_bridged: Run beside each bridged call once its audio passes, until its end.
        observers: Are told of every call: when it begins and ends, and what happens.
        operator: Whether who sends a request may see /calls; beside the token.

    Raises:
        SettingsError: The settings or the agents cannot be used.
    """
    settings = Settings.load() if settings is None else settings
    known = _agents(settings, agents)
    bridged = known.names if transport else known.bridged
    writer, metrics = _writer(settings, known), Metrics()
    page, secret = _page(settings, known, upstream, bridged), _revealed(settings.secret)
    app = _application(_routes(page, metrics), settings.origins)
    app.state.relay = routes.Relay(
        settings,
        known,
        Grants(secret),
        Calls([metrics, *([writer] if writer else []), *observers]),
        Limits(settings.max_calls, settings.max_calls_per_caller),
        _runtime(settings, known, upstream, bool(bridged), writer),
        Operators(_revealed(settings.operator_token), operator),
        Links(secret, settings.data),
        transport,
        on_bridged,
    )
    return app


def _runtime(
    settings: Settings,
    known: Agents,
    upstream: Upstream | None,
    bridges: bool,
    writer: Writer | None,
) -> Runtime:
    return Runtime(
        settings,
        upstream,
        bridges=bridges or bool(known.recorded),
        writer=writer,
        prepare=known.cues.load,
        formats=known.formats,
    )


def _application(routes: list[BaseRoute], origins: tuple[str, ...]) -> Starlette:
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Origins, allowed=origins)],
        exception_handlers=HANDLERS,
        lifespan=_lifespan,
    )
    app.router.default = not_found
    return app


def _routes(page: Page, metrics: Metrics) -> list[BaseRoute]:
    api = "/v1/realtime"
    return [
        Route("/", page.show),
        Route("/favicon.ico", page.icon),
        Route("/healthz", routes.health),
        Route("/metrics", metrics.show),
        *CallPages().routes(),
        *recording_routes(),
        Mount("/static", Static(directory=folder("static"))),
        Route("/v1/offhook/agent", routes.about),
        Route(_TEE, routes.record, methods=["POST"]),
        Route(_TEE, routes.withdraw, methods=["DELETE"]),
        Route(f"{api}/client_secrets", routes.mint, methods=["POST"]),
        Route(f"{api}/calls", routes.call, methods=["POST"]),
        Route(f"{api}/calls/{{call_id}}/hangup", routes.hang_up, methods=["POST"]),
        WebSocketRoute(api, RealtimeSocket()),
    ]


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    runtime: Runtime = app.state.relay.runtime
    try:
        await runtime.upstream()
    except OffhookError as error:
        # The page is served all the same, and each call is told what is missing.
        _log.error("%s", error)
    try:
        yield
    finally:
        await runtime.aclose()


def _agents(
    settings: Settings,
    given: Mapping[str, Mapping[str, Any] | RealtimeAgent[Any]] | None,
) -> Agents:
    if given is not None:
        return Agents(given, source="agents")
    if settings.agents is not None:
        return Agents.read(settings.agents)
    _log.info("no agents file: local callers may configure their own session")
    return Agents(source="agents")


def _writer(settings: Settings, agents: Agents) -> Writer | None:
    """Make what keeps the calls, unless nothing is to be kept."""
    recorded = agents.recorded
    if settings.store == "none":
        if recorded:
            raise SettingsError(
                f"The calls of {recorded[0]!r} are recorded, and OFFHOOK_STORE=none "
                "keeps nothing: leave one of the two",
                code="invalid_settings",
            )
        return None
    if find_spec("sqlalchemy") is None:
        if settings.store is not None or recorded:
            raise MissingExtra("store", "sqlalchemy")
        _log.info("calls are not kept: run pip install 'offhook[store]' to have them")
        return None
    asked = {name for name in recorded if agents.find(name).record != "always"}

    def hushed(call: CallRecord) -> bool:
        # What is not to be recorded, or not yet, is not to be read either. Over a
        # WebSocket nothing is recorded, and no consent could be taken back.
        agreed = call.consent and call.path != "websocket"
        return call.consent is False or (call.agent in asked and not agreed)

    return Writer(hushed)


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _page(
    settings: Settings, agents: Agents, given: Upstream | None, bridged: list[str]
) -> Page:
    url = upstream_url(settings)
    if settings.keys == "upstream" and url is None:
        raise SettingsError(
            "OFFHOOK_KEYS=upstream needs an upstream that browsers can reach: set "
            "OPENAI_API_KEY or OFFHOOK_UPSTREAM",
            code="invalid_settings",
        )
    if given is not None:
        label = type(given).__name__
    else:
        label = "local endpoint" if url is None else url.host
    if settings.keys == "upstream" and bridged:
        raise SettingsError(
            f"The calls of {bridged[0]!r} are bridged, which OFFHOOK_KEYS=upstream "
            "makes impossible: leave one of the two",
            code="invalid_settings",
        )
    if settings.keys == "upstream" and agents.recorded:
        raise SettingsError(
            f"The calls of {agents.recorded[0]!r} are recorded, which "
            "OFFHOOK_KEYS=upstream makes impossible: leave one of the two",
            code="invalid_settings",
        )
    direct = settings.keys == "upstream" and url is not None
    connect = f"{url.scheme}://{url.netloc.decode()}" if direct and url else None
    return Page(agents.names, label, connect)
