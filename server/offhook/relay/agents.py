"""Agents: named sessions of the Realtime API that the server fixes.

An agents file is TOML with one table per agent; its keys are those of the GA session
object:

    [support]
    instructions = "You help customers of Example Ltd. with their orders."
    audio.output.voice = "cedar"
"""

from __future__ import annotations

import json
import re
import tomllib
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from offhook.errors import InvalidRequest, MissingExtra, NotFound, SettingsError
from offhook.protocol.consent import RECORD, Record
from offhook.relay.cues import Cues, read_cues

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offhook.agent import RealtimeAgent
    from offhook.relay.cues import Cue

Session = dict[str, Any]

DEFAULT = "default"

# The keys of a table that are no fields of a session.
_OURS = ("agent", "media", "leg", "record", "record_formats", "sounds")
_FORMATS: tuple[str, ...] = ("wav", "flac")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SERVER_VAD: Session = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "create_response": True,
    "interrupt_response": True,
}
_BASE: Session = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "audio": {
        "input": {
            "transcription": {"model": "gpt-transcribe"},  # captions need it
            "turn_detection": _SERVER_VAD,
        }
    },
}
_DEFAULT_AGENT: Session = {
    "instructions": (
        "You are a friendly voice assistant. Keep answers short, as in a conversation, "
        "and speak the language of the person who is talking to you."
    ),
    "audio": {"output": {"voice": "marin"}},
}


class Agent(NamedTuple):
    """One agent.

    Attributes:
        session: What the Realtime API is asked for.
        media: Whether a caller's audio goes to the upstream directly, or is bridged
            here.
        leg: How the upstream is called where calls are bridged.
        cues: The sounds that its calls know by name.
        record: Whether calls are recorded; see `protocol.consent`.
        record_formats: What recordings are to be had as, beside Ogg Opus.
        brain: An agent of openai-agents', whose tools and guardrails run here.
    """

    name: str
    session: Session
    media: Literal["direct", "bridged"] = "direct"
    leg: Literal["webrtc", "websocket"] = "webrtc"
    brain: RealtimeAgent[Any] | None = None
    record: Record = "never"
    cues: Mapping[str, Cue] = MappingProxyType({})
    record_formats: tuple[Literal["wav", "flac"], ...] = ()


class Agents:
    """The agents that this server offers, each with its completed session."""

    def __init__(
        self,
        given: Mapping[str, Mapping[str, Any] | RealtimeAgent[Any]] | None = None,
        *,
        source: str,
        folder: Path = Path(),
    ) -> None:
        """Check and complete the given agents, or offer the default one.

        Args:
            given: Their tables.
            source: Where they are from.
            folder: What the files of their sounds are relative to.

        Raises:
            SettingsError: One is wrong; the message starts with the source.
        """
        self.built_in = given is None
        given = {DEFAULT: _DEFAULT_AGENT} if given is None else given
        if not given:
            raise _wrong(source, "names no agent: add a table such as [support]")
        self._agents = {
            name: _checked(source, name, fields, folder)
            for name, fields in given.items()
        }
        self.cues = Cues(
            [cue for agent in self._agents.values() for cue in agent.cues.values()]
        )

    @classmethod
    def read(cls, path: Path) -> Agents:
        """Read an agents file.

        Raises:
            SettingsError: It cannot be read, or an agent in it is wrong.
        """
        try:
            given = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise _wrong(str(path), f"cannot be read: {error.strerror}") from None
        except ValueError as error:  # not UTF-8, or not TOML
            raise _wrong(str(path), f"is not valid TOML: {error}") from None
        return cls(given, source=str(path), folder=path.parent)

    @property
    def names(self) -> list[str]:
        """The agents' names, in the order of their file."""
        return list(self._agents)

    def formats(self, name: str) -> tuple[Literal["wav", "flac"], ...]:
        """What recordings of an agent's calls are to be had as, beside Ogg Opus."""
        return self.find(name).record_formats

    @property
    def recorded(self) -> list[str]:
        """The names of those whose calls may be recorded."""
        return [
            agent.name for agent in self._agents.values() if agent.record != "never"
        ]

    @property
    def bridged(self) -> list[str]:
        """The names of those whose calls are bridged."""
        return [
            agent.name for agent in self._agents.values() if agent.media != "direct"
        ]

    def find(self, name: str | None) -> Agent:
        """Find an agent; the only one needs no name.

        Raises:
            NotFound: There is no agent of this name.
            InvalidRequest: No name was given, and there are several.
        """
        if name is None:
            name = self.names[0] if len(self.names) == 1 else DEFAULT
            if name not in self._agents:
                raise InvalidRequest(
                    "This server has several agents: say which one in 'agent'.",
                    code="missing_agent",
                    param="agent",
                )
        if name not in self._agents:
            raise NotFound(
                f"There is no agent {name[:64]!r} here.",
                code="unknown_agent",
                param="agent",
            )
        return self._agents[name]


def complete(fields: Mapping[str, Any]) -> Session:
    """Add to a session what every call needs: model, captions and turns.

    Tables are merged; turn detection of another type, or null, replaces ours whole.

    Raises:
        InvalidRequest: A part that has to be a table is something else.
    """
    if fields.get("type", "realtime") != "realtime":
        raise InvalidRequest(
            "type must be 'realtime'", code="invalid_value", param="type"
        )
    session = _merged(_BASE, fields, "")
    turns = _table(_table(fields, "audio"), "input").get("turn_detection")
    if isinstance(turns, dict) and turns.get("type", "server_vad") != "server_vad":
        session["audio"]["input"]["turn_detection"] = turns
    return session


def _checked(source: str, name: str, fields: object, folder: Path) -> Agent:
    if not _NAME.fullmatch(name):
        raise _wrong(
            source,
            f"agent {name[:64]!r}: a name has up to 64 letters, digits, - and _",
        )
    if not isinstance(fields, dict):
        return Agent(name, complete({}), "bridged", brain=_brain(source, name, fields))
    session = {k: value for k, value in fields.items() if k not in _OURS}
    try:
        json.dumps(session, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise _wrong(source, f"{name}: a value cannot be written as JSON") from None
    brain = _brain(source, name, fields["agent"]) if "agent" in fields else None
    # Only where the events pass through here can an agent's tools be called here.
    media: Any = "bridged" if brain else fields.get("media", "direct")
    if media not in ("direct", "bridged"):
        raise _wrong(source, f"{name}.media must be 'direct' or 'bridged'")
    leg = fields.get("leg", "webrtc")
    if leg not in ("webrtc", "websocket") or ("leg" in fields and media == "direct"):
        raise _wrong(
            source,
            f"{name}.leg must be 'webrtc' or 'websocket', beside media = \"bridged\"",
        )
    if "sounds" in fields and media == "direct":
        raise _wrong(source, f'{name}.sounds need media = "bridged" beside them')
    record, formats = _recording(source, name, fields)
    cues = _cues(source, name, fields.get("sounds", {}), folder)
    try:
        whole = complete(session)
        return Agent(name, whole, media, leg, brain, record, cues, formats)
    except InvalidRequest as error:
        raise _wrong(source, f"{name}.{error.message}") from None


def _cues(source: str, name: str, tables: object, folder: Path) -> Mapping[str, Cue]:
    try:
        return read_cues(tables, folder)
    except InvalidRequest as error:
        raise _wrong(source, f"{name}.{error.param}: {error.message}") from None


def _brain(source: str, name: str, brain: Any) -> RealtimeAgent[Any]:
    try:
        # Loaded only when needed, and there if this is an agent.
        from offhook.agent import is_agent

        known = is_agent(brain)
    except MissingExtra:
        known = False
    if not known:
        raise _wrong(source, f"{name} must be a table, [{name}], or a RealtimeAgent")
    checked: RealtimeAgent[Any] = brain
    return checked


def _recording(
    source: str, name: str, fields: Mapping[str, Any]
) -> tuple[Record, tuple[Any, ...]]:
    record: Any = fields.get("record", "never")
    if record not in RECORD:
        raise _wrong(source, f"{name}.record must be one of {', '.join(RECORD)}")
    formats = fields.get("record_formats", [])
    if not isinstance(formats, list) or any(one not in _FORMATS for one in formats):
        raise _wrong(
            source, f"{name}.record_formats must be a list of {' and '.join(_FORMATS)}"
        )
    return record, tuple(formats)


def _merged(base: Session, over: Mapping[str, Any], path: str) -> Session:
    result = deepcopy(base)
    for key, value in over.items():
        place = f"{path}{key}"
        if isinstance(base.get(key), dict) and value is not None:
            if not isinstance(value, dict):
                raise InvalidRequest(
                    f"{place} must be a table", code="invalid_type", param=place
                )
            value = _merged(base[key], value, f"{place}.")
        result[key] = value
    return result


def _table(fields: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = fields.get(key)
    return value if isinstance(value, dict) else {}


def _wrong(source: str, problem: str) -> SettingsError:
    return SettingsError(f"{source}: {problem}", code="invalid_settings")
