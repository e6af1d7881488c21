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
        environment = Environment(
            loader=FileSystemLoader(folder("templates")),
            autoescape=True,
            undefined=StrictUndefined,
        )
        self._template = environment.get_template("page.html")
        self._context = {
            "agents": agents,
            "upstream": upstream,
            "version": __version__,
        }
        self._headers = {
            "Content-Security-Policy": _policy(connect),
            "Permissions-Policy": "microphone=(self)",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-cache",
        }

    async def show(self, request: Request) -> Response:
        """`GET /`: the page to talk from."""
        return HTMLResponse(self._template.render(self._context), headers=self._headers)

    async def icon(self, request: Request) -> Response:
        """`GET /favicon.ico`: what browsers ask for without being told to."""
        return FileResponse(folder("static") / "icon.svg", headers=_STATIC)


def _policy(connect: str | None) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            " ".join(filter(None, ("connect-src 'self'", connect))),
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
