"""What a browser loads: the page, and the static files for any site."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from offhook import __version__
from offhook.assets import folder

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Scope

    from offhook.relay.routes import Relay

# Any site may load these: they hold no data.
_STATIC = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "no-cache",  # asks each time, and mostly gets a 304
    "X-Content-Type-Options": "nosniff",
}


class Static(StaticFiles):
    """The files in `static/`, with headers that let other sites use them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file."""
        response = await super().get_response(path, scope)
        response.headers.update(_STATIC)
        if path.endswith(".js") and "content-type" in response.headers:
            # The registry of some Windows machines says text/plain, which a browser
            # refuses to run as a module.
            response.headers["Content-Type"] = "text/javascript; charset=utf-8"
        return response


class Page:
    """Renders `templates/page.html`."""

    def __init__(
        self, agents: list[str], upstream: str, connect: str | None = None
    ) -> None:
        """Take what the page shows.

        Args:
            agents: The agents' names.
            upstream: Who answers, in words.
            connect: An origin beside our own that the page's scripts may call.
        """
        self._template = templates().get_template("page.html")
        self._context = {"agents": agents, "upstream": upstream, "root": ""}
        connects = " ".join(filter(None, ("'self'", connect)))
        self._headers = {
            **headers(connect_src=connects),
            "Permissions-Policy": "microphone=(self)",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        }

    async def show(self, request: Request) -> Response:
        """`GET /`: the page to talk from."""
        relay: Relay = request.app.state.relay
        operator = await relay.operators.admits(request)
        html = self._template.render(self._context, operator=operator)
        return HTMLResponse(html, headers=self._headers)

    async def icon(self, request: Request) -> Response:
        """`GET /favicon.ico`: what browsers ask for without being told to."""
        return FileResponse(folder("static") / "icon.svg", headers=_STATIC)


def templates() -> Environment:
    """Load the templates; what they show is escaped."""
    environment = Environment(
        loader=FileSystemLoader(folder("templates")),
        autoescape=True,
        undefined=StrictUndefined,
    )
    environment.globals["version"] = __version__
    return environment


def headers(**directives: str) -> dict[str, str]:
    """Make the headers of a page that may do what our pages do, and these things."""
    policy = {
        "default_src": "'none'",
        "script_src": "'self'",
        "style_src": "'self'",
        "img_src": "'self'",
        "connect_src": "'self'",
        "base_uri": "'none'",
        "form_action": "'none'",
        "frame_ancestors": "'none'",
        **directives,
    }
    return {
        "Content-Security-Policy": "; ".join(
            f"{name.replace('_', '-')} {value}" for name, value in policy.items()
        ),
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
