"""The client's side of responses: one `response.create` in flight at a time.

A conversation answers one thing at a time: a second `response.create` is refused while
a response is being made. What wants an answer in the meantime waits here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from offhook.events import Event

_ALREADY_ACTIVE = "conversation_already_has_active_response"
_NOT_ACTIVE = "response_cancel_not_active"


@dataclass(frozen=True)
class _Create:
    """A create that was sent, and the requests it answers (None: automatic)."""

    event_id: str
    requests: list[Event | None]


class ResponseSequencer:
    """Decides when to send which `response.create` and `response.cancel`.

    Every method returns the client events to be sent now, in order. The rules are those
    of the official JavaScript SDK 0.20, and it waits for nothing that was not promised:
    any `response.done` frees it, whether or not its `response.created` was seen. Three
    things are better. A create that lost a race against a response of the server's own
    (it began, then came the refusal) is sent again when that response is done. The end
    of a response that another one overtook frees nothing. And "there is nothing to
    cancel" ends a response whose `response.done` was lost.
    """

    def __init__(self) -> None:
        self._waiting: deque[Event | None] = deque()
        self._sent: _Create | None = None
        self._ongoing: str | None = None
        self._overtaken: set[str] = set()
        self._cancelling = False
        self._count = 0

    @property
    def ongoing(self) -> str | None:
        """The id of the response that is being made."""
        return self._ongoing

    @property
    def busy(self) -> bool:
        """Whether a response is being made or has been asked for."""
        return self._sent is not None or self._ongoing is not None

    def request(self) -> list[Event]:
        """Ask for an answer to what the conversation now contains.

        Requests that wait are answered by one response, up to the next `create`.
        """
        self._waiting.append(None)
        return self._next()

    def create(self, event: Event) -> list[Event]:
        """Ask for exactly this `response.create`; it is never merged with another.

        It keeps its `event_id` if it has one.
        """
        self._waiting.append(event)
        return self._next()

    def cancel(self, response_id: str | None = None) -> list[Event]:
        """Stop the ongoing response, if it is this one; creates wait until it is done.

        Only the first call for a response returns an event. An owner that forwards
        somebody else's `response.cancel` calls this too, and ignores what it returns.
        """
        if self._ongoing is None or self._cancelling:
            return []
        if response_id not in (None, self._ongoing):
            return []
        self._cancelling = True
        named = {} if response_id is None else {"response_id": response_id}
        return [{"type": "response.cancel", **named}]

    def take(self, event: Event) -> list[Event]:
        """Take a server event; only those about responses, and errors, matter."""
        match event.get("type"):
            case "response.created":
                self._begin(_response_id(event))
            case "response.done":
                self._end(_response_id(event))
            case "error" if isinstance(event.get("error"), dict):
                self._refuse(event["error"])
        return self._next()

    def failed(self, event_id: str) -> list[Event]:
        """Say that a client event could not be sent; if a create, it is given up."""
        if self._sent and self._sent.event_id == event_id:
            self._release(again=False)
        return self._next()

    def reset(self) -> None:
        """Forget everything: the connection is gone. Event ids go on counting."""
        self._waiting.clear()
        self._overtaken.clear()
        self._end(None)

    def _next(self) -> list[Event]:
        if self.busy or not self._waiting:
            return []
        first = self._waiting.popleft()
        requests = [first]
        while first is None and self._waiting and self._waiting[0] is None:
            requests.append(self._waiting.popleft())
        event = dict(first or {"type": "response.create"})
        if not isinstance(event.get("event_id"), str):
            self._count += 1
            event["event_id"] = f"offhook_response_create_{self._count}"
        self._sent = _Create(event["event_id"], requests)
        return [event]

    def _begin(self, response_id: str | None) -> None:
        # One without an id counts as not seen.
        if response_id in (None, self._ongoing):
            return
        if self._ongoing is not None:
            self._overtaken.add(self._ongoing)
        self._ongoing = response_id
        self._cancelling = False

    def _end(self, response_id: str | None) -> None:
        if response_id in self._overtaken:
            self._overtaken.discard(response_id)
            return
        self._sent = None
        self._ongoing = None
        self._cancelling = False

    def _refuse(self, error: dict[str, Any]) -> None:
        if self._cancelling and error.get("code") == _NOT_ACTIVE:
            self._end(None)
        elif self._concerns_create(error):
            # Were it sent again with no response to wait for, it could be for ever.
            lost_race = error.get("code") == _ALREADY_ACTIVE and self._ongoing
            self._release(again=bool(lost_race))

    def _concerns_create(self, error: dict[str, Any]) -> bool:
        if self._sent is None:
            return False
        if linked := error.get("event_id"):
            return bool(linked == self._sent.event_id)
        code, message = str(error.get("code")), str(error.get("message"))
        return code == _ALREADY_ACTIVE or (
            self._ongoing is None
            and ("response_create" in code or "response.create" in message)
        )

    def _release(self, *, again: bool) -> None:
        """Put back what a create would have answered, if not `again` but the first."""
        if self._sent:
            self._waiting.extendleft(self._sent.requests[0 if again else 1 :])
            self._sent = None


def _response_id(event: Event) -> str | None:
    response = event.get("response")
    named = response.get("id") if isinstance(response, dict) else None
    return named if isinstance(named, str) else None
