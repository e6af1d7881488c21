"""The relay's API: one function per route, which parses, calls and answers."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from offhook.archive.records import CallRecord
from offhook.errors import InvalidRequest
from offhook.http.body import read_json, read_offer
from offhook.protocol.consent import Consent, require
from offhook.protocol.disclosure import logged
from offhook.protocol.policy import Policy, visible
from offhook.protocol.sdp import check_offer
from offhook.relay.agents import complete
from offhook.relay.callers import address_of, bearer, is_local
from offhook.relay.supervisor import Supervisors
from offhook.upstream.base import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import HTTPConnection, Request

    from offhook.archive.records import Path
    from offhook.relay.agents import Agent, Agents, Session
    from offhook.relay.bridged import BridgedCall, Hook
    from offhook.relay.calls import Calls, HangUp, LiveCall
    from offhook.relay.grants import Grant, Grants
    from offhook.relay.limits import Limits
    from offhook.relay.links import Links
    from offhook.relay.operators import Operators
    from offhook.relay.runtime import Runtime
    from offhook.settings import Settings
    from offhook.transports.base import RealtimeTransportLayer

    # Makes the model's side of a call, for the agent of this name.
    LegMaker = Callable[[str], RealtimeTransportLayer]

_log = logging.getLogger(__name__)

_PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_MINT_FIELDS = {"expires_after", "session", "agent", "consent"}


@dataclass(frozen=True)
class Relay:
    """What the routes share."""

    settings: Settings
    agents: Agents
    grants: Grants
    calls: Calls
    limits: Limits
    runtime: Runtime
    operators: Operators
    links: Links
    leg: LegMaker | None = None
    hook: Hook | None = None

    @cached_property
    def supervisors(self) -> Supervisors:
        """What stays with direct calls."""
        mode, seconds = self.settings.supervise, self.settings.session_seconds
        return Supervisors(self.calls, mode, seconds)


async def mint(request: Request) -> Response:
    """`POST /v1/realtime/client_secrets`: make a key for one call."""
    relay = _relay(request)
    wanted = await read_json(request, relay.settings.body_seconds)
    seconds = _seconds(wanted, relay.settings.grant_seconds)
    agent = relay.agents.find(_agent(wanted))
    consent = _consent(wanted)
    require(agent.record, given=bool(consent))
    own = _own_session(request, wanted.get("session"))
    # Started now, so that models load while the browser asks for the microphone.
    upstream = await relay.runtime.upstream()
    if relay.settings.keys == "upstream":
        secret = await upstream.mint(own or agent.session, seconds)
        effective = secret.get("session")
        shown = effective if isinstance(effective, dict) else own or agent.session
        public = {key: secret.get(key) for key in ("value", "expires_at", "calls_url")}
    else:
        origin = request.headers.get("origin")
        token, grant = relay.grants.issue(
            agent.name, origin, seconds, time.time(), own, consent
        )
        shown = own or agent.session
        public = {"value": token, "expires_at": grant.expires}
    return JSONResponse({**public, "session": visible(shown)}, headers=_PRIVATE)


async def call(request: Request) -> Response:
    """`POST /v1/realtime/calls`: pass an offer on, and the answer back."""
    relay = _relay(request)
    origin = request.headers.get("origin")
    grant = relay.grants.verify(bearer(request), origin, time.time())
    offer, sent = await read_offer(request, relay.settings.body_seconds)
    check_offer(offer)
    agent = relay.agents.find(grant.agent)
    require(agent.record, given=bool(grant.consent))
    own = _own_session(request, sent)
    consent = Consent(agent.record, given=bool(grant.consent))
    with contextlib.ExitStack() as place:
        place.callback(relay.limits.take(address_of(request)))
        upstream = await relay.runtime.upstream()
        # From here on the grant is gone, whatever happens: a create may be billed.
        minted = relay.grants.spend(grant, time.time())
        session = own or minted or agent.session
        fixed = not may_configure(request, relay)
        bridged = None
        if relay.leg or agent.media == "bridged":
            bridged = await _bridged(relay, session, agent, consent, fixed=fixed)
            sdp = await bridged.answer(offer.decode(errors="replace"))
            answer = Answer(bridged.call_id, sdp.encode())
            end: HangUp = bridged.hang_up
        else:
            answer = await upstream.answer(offer, session)
            end = partial(upstream.hang_up, answer.call_id)
        path: Path = "bridged" if bridged else "direct"
        record = record_of(answer.call_id, path, grant, agent, session)
        live = relay.calls.begin(record, grant.id, end, place.pop_all().close)
        await relay.runtime.keep(
            _held(relay, bridged, live)
            if bridged
            else relay.supervisors.supervise(live, upstream, session, guarded=fixed)
        )
    _log.info("call %s…: agent %s, origin %r", answer.call_id[:12], grant.agent, origin)
    return Response(
        answer.sdp,
        201,
        # Clients read the last segment only, so that no mount prefix is needed.
        {
            **_PRIVATE,
            **({} if bridged else _teed(agent, consent)),
            "Location": f"/v1/realtime/calls/{answer.call_id}",
        },
        "application/sdp",
    )


async def hang_up(request: Request) -> Response:
    """`POST /v1/realtime/calls/{call_id}/hangup`: end the call of this key."""
    relay = _relay(request)
    grant = relay.grants.identify(bearer(request), request.headers.get("origin"))
    live = relay.calls.find(request.path_params["call_id"], grant.id)
    await live.hang_up("caller")
    return Response(headers=_PRIVATE)


async def record(request: Request) -> Response:
    """`POST /v1/offhook/calls/{call_id}/recording`: take both sides of a call, too."""
    relay = _relay(request)
    grant = relay.grants.identify(bearer(request), request.headers.get("origin"))
    live = relay.calls.find(request.path_params["call_id"], grant.id)
    agent = relay.agents.find(grant.agent)
    if agent.record == "never" or live.record.path != "direct" or live.teed:
        raise InvalidRequest(
            "This call is not to be recorded by a tee, or is already.",
            code="not_recorded",
            status=409,
        )
    offer, _ = await read_offer(request, relay.settings.body_seconds)
    text = check_offer(offer)
    peers, studio = await relay.runtime.peers(), await relay.runtime.studio()
    # Loaded only when needed: it brings the media extra with it.
    from offhook.relay.tee import TeeCall

    consent = Consent(agent.record, given=bool(grant.consent))
    seconds = relay.settings.session_seconds
    tee = TeeCall(live, consent, studio, peers, seconds=seconds)
    # Before anything is waited for: there is one tee, whoever else asks.
    live.teed = True
    try:
        answer = await tee.answer(text)
    except BaseException:
        live.teed = False
        raise
    await relay.runtime.keep(tee.run())
    return Response(answer, 201, _PRIVATE, "application/sdp")


async def withdraw(request: Request) -> Response:
    """`DELETE /v1/offhook/calls/{call_id}/recording`: it is not to be recorded.

    This is for a page whose tee has broken; the others say it over theirs.
    """
    relay = _relay(request)
    grant = relay.grants.identify(bearer(request), request.headers.get("origin"))
    live = relay.calls.find(request.path_params["call_id"], grant.id)
    if live.withdraw is None:
        raise InvalidRequest(
            "This call is not recorded by a tee.", code="not_recorded", status=409
        )
    live.withdraw()
    return Response(status_code=204, headers=_PRIVATE)


async def about(request: Request) -> Response:
    """`GET /v1/offhook/agent`: what a page has to know before it calls."""
    agent = _relay(request).agents.find(request.query_params.get("agent"))
    shown = {"agent": agent.name, "record": agent.record}
    return JSONResponse(shown, headers=_PRIVATE)


async def health(request: Request) -> Response:
    """`GET /healthz`: the server runs."""
    return JSONResponse({"status": "ok"}, headers=_PRIVATE)


def _teed(agent: Agent, consent: Consent) -> dict[str, str]:
    """Tell a page whether it has to send both sides of a call for its recording."""
    if agent.record == "never":
        return {}
    return {"Offhook-Tee": "now" if consent.recorded else "on-consent"}


def may_configure(connection: HTTPConnection, relay: Relay) -> bool:
    """Whether a caller may have a session of its own: in development only."""
    return relay.agents.built_in and is_local(connection)


def record_of(
    call_id: str, path: Path, grant: Grant, agent: Agent, session: Mapping[str, Any]
) -> CallRecord:
    """Begin the record of a call."""
    model = session.get("model")
    return CallRecord(
        call_id,
        agent.name,
        path,
        time.time(),
        model=model if isinstance(model, str) else None,
        origin=grant.origin,
        consent=grant.consent,
    )


def policy_for(session: Mapping[str, Any], *, fixed: bool) -> Policy:
    """Make a policy that tells the log what it keeps from the caller."""

    def note(said: str) -> None:
        _log.info("the upstream said: %r", logged(said, session))

    return Policy(fixed=fixed, note=note)


async def _bridged(
    relay: Relay,
    session: Mapping[str, Any],
    agent: Agent,
    consent: Consent,
    *,
    fixed: bool,
) -> BridgedCall:
    peers = await relay.runtime.peers()
    # Loaded only when needed: they bring the media extra with them.
    from offhook.relay import model_legs
    from offhook.relay.bridged import BridgedCall

    upstream = await relay.runtime.upstream()
    if relay.leg:
        leg = model_legs.own_leg(relay.leg(agent.name), session)
    elif agent.leg == "websocket":
        leg = model_legs.socket_leg(upstream, session)
    else:
        leg = model_legs.webrtc_leg(upstream, session)
    if agent.brain:
        leg = model_legs.with_brain(leg, agent.brain)
    seconds = relay.settings.session_seconds
    policy = policy_for(session, fixed=fixed)
    return BridgedCall(
        leg,
        policy,
        session,
        peers,
        seconds=seconds,
        consent=consent,
        studio=await relay.runtime.studio() if agent.record != "never" else None,
        cues=agent.cues,
        hook=relay.hook,
    )


async def _held(relay: Relay, call: BridgedCall, live: LiveCall) -> None:
    try:
        await call.run(live)
    finally:
        relay.calls.end(live, call.reason)


def _relay(request: Request) -> Relay:
    relay: Relay = request.app.state.relay
    return relay


def _own_session(request: Request, session: Any) -> Session | None:
    """Take a caller's session where it may configure one; else the server's stands."""
    if session is None:
        return None
    if not isinstance(session, dict):
        raise InvalidRequest(
            "session must be an object.", code="invalid_type", param="session"
        )
    allowed = may_configure(request, _relay(request))
    return complete(session) if allowed else None


def _agent(wanted: dict[str, Any]) -> str | None:
    agent = wanted.get("agent")
    if agent is not None and not isinstance(agent, str):
        raise InvalidRequest(
            "agent must be a name.", code="invalid_type", param="agent"
        )
    return agent


def _consent(wanted: dict[str, Any]) -> bool | None:
    """Read what the caller says to being recorded."""
    consent = wanted.get("consent")
    if consent is None:
        return None
    given = consent.get("recording") if isinstance(consent, dict) else None
    if not isinstance(given, bool) or len(consent) > 1:
        raise InvalidRequest(
            'consent must be {"recording": true} or {"recording": false}.',
            code="invalid_value",
            param="consent",
        )
    return given


def _seconds(wanted: dict[str, Any], most: int) -> int:
    """Check a mint request, and find how long its key may live."""
    for name in sorted(wanted.keys() - _MINT_FIELDS):
        raise InvalidRequest(
            f"Unknown parameter: {name[:64]!r}.",
            code="unknown_parameter",
            param=name[:64],
        )
    after = wanted.get("expires_after")
    if after is None:
        return most
    if not isinstance(after, dict) or after.get("anchor", "created_at") != "created_at":
        raise InvalidRequest(
            "expires_after must be an object whose anchor is 'created_at'.",
            code="invalid_value",
            param="expires_after",
        )
    seconds = after.get("seconds", most)
    # A bool is an int in Python, but not in JSON.
    if type(seconds) is not int or not 10 <= seconds <= 7200:
        raise InvalidRequest(
            "seconds must be a whole number from 10 to 7200.",
            code="invalid_value",
            param="expires_after.seconds",
        )
    # A caller may ask for less than the operator allows, not for more.
    return min(seconds, most)
