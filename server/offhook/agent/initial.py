"""What a session would ask for, without a connection."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from agents.realtime import RealtimeSession as SdkSession
from agents.realtime.model import RealtimeModel

from offhook.agent.options import voiced
from offhook.agent.settings import config_over
from offhook.protocol.client_config import defaults, session_update

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.realtime import RealtimeAgent
    from agents.realtime.model import RealtimeModelConfig, RealtimeModelListener
    from agents.realtime.model_inputs import RealtimeModelSendEvent

    from offhook.agent.options import Options


async def initial_config(agent: RealtimeAgent[Any], options: Options) -> dict[str, Any]:
    """Return the configuration that a session begins with.

    Raises:
        InvalidRequest: A tool is none that a Realtime session can have.
    """
    model = _Notes()
    settings = copy.copy(options.settings)
    connecting: RealtimeModelConfig = {"initial_model_settings": settings}
    async with SdkSession(model, agent, options.context, connecting):
        asked = config_over(model.settings, voiced(options.config, agent))
    session, _ = session_update(asked, base=defaults())
    return session


class _Notes(RealtimeModel):
    """A model that only notes what it is asked for."""

    settings: Mapping[str, Any]

    async def connect(self, options: RealtimeModelConfig) -> None:
        self.settings = options["initial_model_settings"]

    def add_listener(self, listener: RealtimeModelListener) -> None:
        pass

    def remove_listener(self, listener: RealtimeModelListener) -> None:
        pass

    async def send_event(self, event: RealtimeModelSendEvent) -> None:
        pass

    async def close(self) -> None:
        pass
