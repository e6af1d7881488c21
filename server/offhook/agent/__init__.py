"""Agents in Python: openai-agents over our transports.

Importing it raises `MissingExtra` where openai-agents is not installed.
"""

from offhook.errors import MissingExtra

try:
    from offhook.agent.model import TransportModel
except ModuleNotFoundError as error:
    if str(error.name).startswith("offhook"):
        raise
    raise MissingExtra("agents", str(error.name)) from None

__all__ = ["TransportModel"]
