"""The local endpoint: a Realtime API server that needs no network and no key."""

from offhook.local.server import run, serving

__all__ = ["run", "serving"]
