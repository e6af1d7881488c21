"""For your own tests: a local endpoint, and a transport that follows a script.

With pytest, the fixture `realtime` is there at once; elsewhere:

    with offhook.testing.endpoint() as realtime:
        client = realtime.client()
"""

from offhook.testing.realtime import Realtime, endpoint
from offhook.testing.scripted import ScriptedRealtimeTransport

__all__ = ["Realtime", "ScriptedRealtimeTransport", "endpoint"]
