"""What the endpoint's state machine asks its shell to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from offhook.events import Event, new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from offhook.protocol.mcp import McpServer
    from offhook.protocol.prompt import Prompt


@dataclass(frozen=True)
class Send:
    """Put this server event on the wire."""

    event: Event


@dataclass(frozen=True)
class Reply:
    """Send this error to the client whose event was just taken, and to no other."""

    event: Event


@dataclass(frozen=True)
class Listen:
    """Look for voice in the caller's next 24 kHz PCM; answer with `notice`."""

    pcm: bytes


@dataclass(frozen=True)
class Recognise:
    """Write down this turn; answer with `heard` or `unheard`.

    Attributes:
        attempt: Goes back with the answer. A turn is tried early, when it seems to be
            over, and again if more was said.
        judge: Whether to say, too, if the caller has finished speaking.
    """

    item_id: str
    attempt: int
    pcm: bytes
    judge: bool = False


@dataclass(frozen=True)
class Generate:
    """Make this answer; report with `say`, `sound`, `call`, `finish` or `fail`.

    Attributes:
        response_id: What the reports have to name.
        modality: Whether the words are also to be spoken.
    """

    response_id: str
    prompt: Prompt
    modality: Literal["text", "audio"]
    voice: str
    speed: float


@dataclass(frozen=True)
class Abandon:
    """Stop making this answer; nobody wants it any more."""

    response_id: str


@dataclass(frozen=True)
class ListTools:
    """Ask an MCP server for its tools; answer with `listed` or `unlisted`."""

    item_id: str
    server: McpServer


@dataclass(frozen=True)
class CallTool:
    """Call a tool of an MCP server; answer with `returned` or `failed`.

    Attributes:
        arguments: A JSON object, as text.
    """

    item_id: str
    server: McpServer
    name: str
    arguments: str


Effect = Send | Reply | Listen | Recognise | Generate | Abandon | ListTools | CallTool


class Outbox:
    """Effects in the order in which they must happen."""

    def __init__(self, make_id: Callable[[str], str] = new_id) -> None:
        self.make_id = make_id
        self._effects: list[Effect] = []

    def emit(self, event: Event) -> None:
        """Send a server event under an id of its own."""
        self._effects.append(Send(self._stamped(event)))

    def reply(self, event: Event) -> None:
        """Send an event to the client that caused it."""
        self._effects.append(Reply(self._stamped(event)))

    def _stamped(self, event: Event) -> Event:
        kind = event.pop("type")
        return {"type": kind, "event_id": self.make_id("event"), **event}

    def request(self, effect: Effect) -> None:
        """Ask for anything else."""
        self._effects.append(effect)

    def drain(self) -> list[Effect]:
        """Return what has gathered, and forget it."""
        effects, self._effects = self._effects, []
        return effects
