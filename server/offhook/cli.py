"""The command line: `offhook serve`, `local`, `call` and `record`.

Every flag is a setting: `--upstream-seconds` is `OFFHOOK_UPSTREAM_SECONDS`.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import socket
import sys
from typing import TYPE_CHECKING, Any

from offhook import __version__
from offhook.addresses import is_loopback
from offhook.errors import OffhookError, ServerError, SettingsError
from offhook.settings import CallSettings, LocalSettings, RecordSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.applications import Starlette

_log = logging.getLogger(__name__)

_RECORD = "record a call made from here, or fetch the recording of one at a relay"
_WHAT = (
    "a URL to call, as `offhook call` does, with both sides recorded; or a call's id, "
    "rtc_…: of a relay (--at) its recording is fetched once the call has ended, if it "
    "is being recorded; of an upstream (--at wss://…) a transcript is written as long "
    "as the call lasts, for there the audio is not to be had"
)
_WILDCARDS = ("0.0.0.0", "::", "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return the exit code of the process."""
    given = vars(_parser().parse_args(arguments))
    command = given.pop("command")
    try:
        command(given)
    except SettingsError as error:
        return _fail(error, 2)
    except OffhookError as error:
        return _fail(error, 1)
    except KeyboardInterrupt:
        pass  # Ctrl-C is how these commands end
    return 0


def _fail(error: OffhookError, code: int) -> int:
    sys.stderr.write(f"offhook: {error}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "offhook", description="Puts a realtime voice agent on any web site."
    )
    parser.add_argument("--version", action="version", version=f"offhook {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, model, about in (
        ("serve", _serve, Settings, "run the relay and its page"),
        ("local", _local, LocalSettings, "run the local endpoint alone"),
        ("call", _call, CallSettings, "call a relay or an endpoint, with captions"),
        ("record", _record, RecordSettings, _RECORD),
    ):
        command = commands.add_parser(
            name, help=about, description=about, allow_abbrev=False
        )
        command.set_defaults(command=run)
        _add_flags(command, model)
        if model is CallSettings:
            command.add_argument("url", metavar="URL", help="whom to call")
        elif model is RecordSettings:
            command.add_argument("what", metavar="URL|CALL", help=_WHAT)
    return parser


def _add_flags(
    parser: argparse.ArgumentParser,
    model: type[Settings | LocalSettings | CallSettings],  # or what is made of them
) -> None:
    for name, field in model.model_fields.items():
        default = f", default: {field.default}" if field.default else ""
        parser.add_argument(
            model.flag(name),
            dest=name,
            default=argparse.SUPPRESS,  # what is not given comes from elsewhere
            metavar="VALUE",
            help=f"{field.description} ({' or '.join(model.variables(name))}{default})",
        )


def _serve(given: dict[str, Any]) -> None:
    settings = Settings.load(**given)
    # Loaded here, so that --help and --version need no web framework.
    from offhook.relay.app import create_app
    from offhook.relay.telemetry import log_to_stderr

    secrets = (settings.api_key, settings.secret, settings.operator_token)
    log_to_stderr(settings.log_level, *(s.get_secret_value() for s in secrets if s))
    app = create_app(settings)
    with _listen(settings.host, settings.port) as listener:
        _warn_of_strangers(settings)
        asyncio.run(_run(app, listener, settings.event_bytes))


async def _run(app: Starlette, listener: socket.socket, event_bytes: int) -> None:
    import uvicorn

    from offhook.http.handshake import quiet_refusals
    from offhook.wire.server import websocket_protocol

    quiet_refusals()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            sys.stdout.write(f"Open {_url(listener)}\n")
            sys.stdout.flush()

    config = uvicorn.Config(
        app,
        lifespan="on",
        ws=websocket_protocol(),
        ws_max_size=event_bytes,
        # Compression costs more than it saves on base64 audio, and invites bombs.
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    await Server(config).serve([listener])


def _local(given: dict[str, Any]) -> None:
    settings = LocalSettings.load(**given)
    from offhook.local import run
    from offhook.relay.telemetry import log_to_stderr

    secrets = (settings.api_key, settings.chat_key, settings.turn_secret)
    log_to_stderr("info", *(s.get_secret_value() for s in secrets if s))
    run(settings)


def _call(given: dict[str, Any]) -> None:
    url = given.pop("url")
    settings = CallSettings.load(**given)
    from offhook.call import call

    asyncio.run(call(url, settings, _write))


def _record(given: dict[str, Any]) -> None:
    what = given.pop("what")
    settings = RecordSettings.load(**given)
    from offhook.record import record

    asyncio.run(record(what, settings, _write))


def _write(words: str) -> None:
    sys.stdout.write(words)
    sys.stdout.flush()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = f"port {port} is in use: set OFFHOOK_PORT or --port to another one"
        else:
            reason = (
                f"cannot listen on {host} port {port}: {error.strerror}. "
                "Set OFFHOOK_HOST and OFFHOOK_PORT"
            )
        raise ServerError(reason, code="cannot_listen") from None
    # asyncio does so for sockets that it makes itself. Without it the body of an answer
    # waits up to 40 ms for the caller to acknowledge its head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    # Browsers give the microphone to https and to localhost only.
    if host in _WILDCARDS or is_loopback(host):
        host = "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def _warn_of_strangers(settings: Settings) -> None:
    if is_loopback(settings.host) or settings.api_key is None:
        return
    if settings.agents is None and not settings.origins:
        _log.warning(
            "everybody who reaches %s can talk at the cost of your API key: set "
            "OFFHOOK_AGENTS, and OFFHOOK_ORIGINS to the sites that may call",
            settings.host,
        )
