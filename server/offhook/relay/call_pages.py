"""The operator's pages: the list of calls, and one call; as HTML and as JSON."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from offhook.errors import CallerError, NotFound, OffhookError
from offhook.http.body import read_form
from offhook.relay import call_views
from offhook.relay.alignment import aligned
from offhook.relay.figures import FILTERS
from offhook.relay.operators import COOKIE, SESSION_SECONDS
from offhook.relay.pages import headers, templates
from offhook.relay.timeline import Latency, Timeline
from offhook.relay.transcript import hits, mark, unheard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from offhook.archive.records import CallRecord, RecordingRecord
    from offhook.archive.store import Store
    from offhook.protocol.entries import Entry
    from offhook.relay.routes import Relay

    Show = Callable[[Request], Awaitable[Response]]

# Of a day; what is longer is not read for a page.
_MOST_TIMELINE = 16 * 2**20
_TIMELINE = "timeline.json"

_log = logging.getLogger(__name__)

_HEADERS = {
    **headers(media_src="'self'", form_action="'self'"),
    # Forms tell their origin then, which no-referrer would take from them.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept, Cookie",
}
# Where a signed-in operator may be sent: to these pages only.
_NEXT = re.compile(r"calls(/[\w.-]{1,128})?(\?[\w.~%&=+-]*)?")


@dataclass(frozen=True, slots=True)
class _Row:
    """One call in the list."""

    call: CallRecord
    words: str
    state: str


class CallPages:
    """Renders the pages of calls."""

    def __init__(self) -> None:
        environment = templates()
        environment.filters |= FILTERS | {"hits": hits, "mark": mark}
        environment.globals |= {"unheard": unheard, "states": call_views.STATES}
        self._environment = environment

    def routes(self) -> list[BaseRoute]:
        """Make the routes of the pages and of what they do."""
        one = "/calls/{call_id}"
        return [
            Route("/calls", self._guarded(self.list_calls)),
            Route("/calls.json", self._guarded(self.list_calls)),
            Route(f"{one}.json", self._guarded(self.show_call)),
            Route(f"{one}/delete", self._guarded(self.delete), methods=["POST"]),
            Route(one, self._guarded(self.show_call)),
            Route(one, self._guarded(self.delete), methods=["DELETE"]),
            Route("/sign-in", self.sign_in, methods=["POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def list_calls(self, request: Request) -> Response:
        """`GET /calls`: the calls that a query finds, a page at a time."""
        store = await _store(request)
        given = request.query_params
        asked = call_views.Asked.of(given)
        query = asked.query(given.get("cursor"), given.get("limit"))
        page = await store.find(query)
        recordings = await store.recordings_of(page.calls)
        openings = await store.openings([call.id for call in page.calls])
        if _wants_json(request):
            data = [
                call_views.call_json(call, recordings.get(call.recording or ""))
                | {"first_words": openings.get(call.id)}
                for call in page.calls
            ]
            body = {"object": "list", "data": data, "next": page.next}
            return JSONResponse(body, headers=_HEADERS)
        rows = []
        for call in page.calls:
            recording = recordings.get(call.recording or "")
            state = recording.state if recording else "none"
            rows.append(_Row(call, openings.get(call.id, ""), state))
        kept = {name: value for name, value in asdict(asked).items() if value}
        return self._page(
            request,
            "calls.html",
            here="calls",
            asked=asked,
            agents=await store.agents(),
            paths=call_views.PATHS,
            rows=rows,
            first=f"?{urlencode(kept)}" if query.cursor else None,
            next=f"?{urlencode(kept | {'cursor': page.next})}" if page.next else None,
        )

    async def show_call(self, request: Request) -> Response:
        """`GET /calls/{call_id}`: one call, with its recording and transcript."""
        store = await _store(request)
        call = await store.call(request.path_params["call_id"])
        recording = await store.recording(call.recording) if call.recording else None
        entries = await store.entries(call.id)
        offset = 0.0
        if recording is not None:
            entries, offset = await _heard(request, call, recording, entries)
        if _wants_json(request):
            body = call_views.call_json(call, recording)
            body["entries"] = [entry.as_json() for entry in entries]
            return JSONResponse(body, headers=_HEADERS)
        lasted = call.seconds or 0.0
        network, figures = call_views.connection(call.statistics)
        return self._page(
            request,
            "call.html",
            call=call,
            sound=call_views.Sound.of(recording, offset, _root(request)),
            entries=entries,
            timeline=Timeline.of(entries, lasted * 1000),
            latency=Latency.of(entries),
            usage=list(call_views.figures(call.usage)),
            network=network,
            facts=[*call_views.facts(call), *call_views.figures(figures)],
            sought=request.query_params.get("text", ""),
        )

    async def delete(self, request: Request) -> Response:
        """`POST /calls/{call_id}/delete`, or `DELETE`: all that is kept of a call."""
        call_id = request.path_params["call_id"]
        recordings = await _relay(request).runtime.recordings()
        if recordings is None:
            raise nothing_kept()
        await recordings.delete_call(call_id)
        if request.method == "DELETE":
            body = {"object": "call.deleted", "id": call_id, "deleted": True}
            return JSONResponse(body, headers=_HEADERS)
        return RedirectResponse("../../calls", 303, _HEADERS)

    async def sign_in(self, request: Request) -> Response:
        """`POST /sign-in`: exchange the operator's token for a cookie."""
        relay = _relay(request)
        form = dict(await read_form(request, relay.settings.body_seconds))
        wanted = form.get("next", "")
        next_ = wanted if _NEXT.fullmatch(wanted) else "calls"
        try:
            session = relay.operators.sign_in(request, form.get("token", ""))
        except CallerError as refusal:
            return self._refused(request, refusal, next_)
        response = RedirectResponse(next_, 303, _HEADERS)
        origin = request.headers.get("origin", "")
        # Without a path the browser takes the one that it knows us under, which may not
        # be the one that we do.
        response.set_cookie(
            COOKIE,
            session,
            max_age=SESSION_SECONDS,
            path=None,
            secure=request.url.scheme == "https" or origin.startswith("https:"),
            httponly=True,
            samesite="strict",
        )
        return response

    async def sign_out(self, request: Request) -> Response:
        """`POST /sign-out`: forget the cookie."""
        response = RedirectResponse("calls", 303, _HEADERS)
        response.set_cookie(COOKIE, "", max_age=0, path=None, httponly=True)
        return response

    def _guarded(self, show: Show) -> Show:
        """Let only the operator see this, and tell people in words what went wrong."""

        async def guarded(request: Request) -> Response:
            try:
                await _relay(request).operators.admit(request)
                return await show(request)
            except OffhookError as refusal:
                if _wants_json(request):
                    raise
                if not isinstance(refusal, CallerError):
                    _log.warning("%r: %s", request.url.path, refusal.message)
                query = f"?{request.url.query}" if request.url.query else ""
                call_id = request.path_params.get("call_id")
                place = f"calls/{call_id}" if call_id else "calls"
                return self._refused(request, refusal, place + query)

        return guarded

    def _refused(self, request: Request, refusal: OffhookError, next_: str) -> Response:
        takes_token = _relay(request).operators.takes_token
        tried = request.method == "POST" or refusal.code == "too_many_guesses"
        response = self._page(
            request,
            "refused.html",
            closed=refusal.status in (401, 403, 429),
            form=takes_token and refusal.status in (401, 429),
            wrong=refusal.message if tried or refusal.status != 401 else "",
            next=next_,
        )
        response.status_code = refusal.status
        if refusal.retry_after is not None:
            response.headers["Retry-After"] = refusal.retry_after
        return response

    def _page(self, request: Request, name: str, **context: Any) -> Response:
        shared = {
            "root": _root(request),
            "signed_in": COOKIE in request.cookies,
            "here": "",
        }
        html = self._environment.get_template(name).render(shared | context)
        return HTMLResponse(html, headers=_HEADERS)


def _relay(request: Request) -> Relay:
    relay: Relay = request.app.state.relay
    return relay


async def _store(request: Request) -> Store:
    store = await _relay(request).runtime.store()
    if store is None:
        raise nothing_kept()
    return store


def nothing_kept() -> NotFound:
    """Say that there are no calls."""
    return NotFound(
        "No calls are kept here: OFFHOOK_STORE is `none`, or offhook[store] is not "
        "installed.",
        code="no_store",
    )


async def _heard(
    request: Request, call: CallRecord, recording: RecordingRecord, entries: list[Entry]
) -> tuple[list[Entry], float]:
    """Put turns where they are heard; return when the recording began, in seconds."""
    offset = recording.began - call.began
    file = recording.files.get(_TIMELINE)
    recordings = await _relay(request).runtime.recordings()
    if file is None or file.bytes > _MOST_TIMELINE or recordings is None:
        return entries, offset
    try:
        pieces = recordings.read(recording, _TIMELINE, 0, file.bytes)
        timeline = json.loads(b"".join([piece async for piece in pieces]))
        offset = timeline["began"] - call.began
        return aligned(entries, timeline["entries"], 1000 * offset), offset
    except (OffhookError, ValueError, TypeError, KeyError) as error:
        # The page is worth having without.
        _log.warning("the timeline of %s: %s", recording.id, error)
        return entries, offset


def _root(request: Request) -> str:
    """Lead from a page to where the relay is, whatever that is called outside."""
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    return "../" * (path.count("/") - 1)


def _wants_json(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    asks = "application/json" in accept and "text/html" not in accept
    return asks or request.url.path.endswith(".json") or request.method == "DELETE"
