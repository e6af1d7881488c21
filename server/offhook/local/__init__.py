"""The local endpoint: a Realtime API server that needs no network and no key.

Importing it raises `MissingExtra` where its parts are not installed.
"""

from offhook.errors import MissingExtra

try:
    from offhook.local.server import run, serving
except ModuleNotFoundError as error:
    if str(error.name).startswith("offhook"):
        raise
    raise MissingExtra("local", str(error.name)) from None

__all__ = ["run", "serving"]
