"""Offhook puts a realtime voice agent on any web site.

The names are loaded when they are used, so that importing this package needs neither
the web framework nor the media libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from offhook.agent import RealtimeAgent, RealtimeSession, TransportModel
    from offhook.errors import (
        CallerError,
        Forbidden,
        InvalidRequest,
        MissingExtra,
        NotFound,
        OffhookError,
        ServerError,
        SettingsError,
        Unauthorized,
        UpstreamError,
    )
    from offhook.media.sounds import Sound
    from offhook.protocol.reconnect import Reconnect
    from offhook.relay.app import create_app
    from offhook.relay.phone import PhoneCall, twilio_routes
    from offhook.settings import LocalSettings, Settings
    from offhook.transports.base import RealtimeTransportLayer
    from offhook.transports.cloudflare import CloudflareRealtimeTransportLayer
    from offhook.transports.twilio import TwilioRealtimeTransportLayer
    from offhook.transports.webrtc import OpenAIRealtimeWebRTC
    from offhook.transports.websocket import OpenAIRealtimeWebSocket
    from offhook.upstream.base import Answer, Upstream
    from offhook.upstream.openai import OpenAIUpstream

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "CallerError",
    "CloudflareRealtimeTransportLayer",
    "Forbidden",
    "InvalidRequest",
    "LocalSettings",
    "MissingExtra",
    "NotFound",
    "OffhookError",
    "OpenAIRealtimeWebRTC",
    "OpenAIRealtimeWebSocket",
    "OpenAIUpstream",
    "PhoneCall",
    "RealtimeAgent",
    "RealtimeSession",
    "RealtimeTransportLayer",
    "Reconnect",
    "ServerError",
    "Settings",
    "SettingsError",
    "Sound",
    "TransportModel",
    "TwilioRealtimeTransportLayer",
    "Unauthorized",
    "Upstream",
    "UpstreamError",
    "__version__",
    "create_app",
    "twilio_routes",
]

_HOMES = {
    "Answer": "offhook.upstream.base",
    "CloudflareRealtimeTransportLayer": "offhook.transports.cloudflare",
    "LocalSettings": "offhook.settings",
    "OpenAIRealtimeWebRTC": "offhook.transports.webrtc",
    "OpenAIRealtimeWebSocket": "offhook.transports.websocket",
    "OpenAIUpstream": "offhook.upstream.openai",
    "PhoneCall": "offhook.relay.phone",
    "RealtimeAgent": "offhook.agent",
    "RealtimeSession": "offhook.agent",
    "RealtimeTransportLayer": "offhook.transports.base",
    "Reconnect": "offhook.protocol.reconnect",
    "Settings": "offhook.settings",
    "Sound": "offhook.media.sounds",
    "TransportModel": "offhook.agent",
    "TwilioRealtimeTransportLayer": "offhook.transports.twilio",
    "Upstream": "offhook.upstream.base",
    "create_app": "offhook.relay.app",
    "twilio_routes": "offhook.relay.phone",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, "offhook.errors")
    try:
        value = getattr(import_module(home), name)
    except ModuleNotFoundError as error:
        if not home.startswith("offhook.media"):
            raise
        from offhook.errors import MissingExtra

        raise MissingExtra("media", str(error.name)) from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
