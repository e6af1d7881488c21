"""Agents in Python: openai-agents over our transports.

Importing it raises `MissingExtra` where openai-agents is not installed.
"""

from offhook.errors import MissingExtra

try:
    from offhook.agent.agent import RealtimeAgent, is_agent
    from offhook.agent.approvals import ToolApprovalRequest
    from offhook.agent.guardrails import Blocked
    from offhook.agent.model import TransportModel
    from offhook.agent.session import RealtimeSession
except ModuleNotFoundError as error:
    if str(error.name).startswith("offhook"):
        raise
    raise MissingExtra("agents", str(error.name)) from None

__all__ = [
    "Blocked",
    "RealtimeAgent",
    "RealtimeSession",
    "ToolApprovalRequest",
    "TransportModel",
    "is_agent",
]
