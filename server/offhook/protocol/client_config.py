"""What a user asks of a session, as the `session` of a GA `session.update`.

Three vocabularies are read, and may be mixed: the GA names of the wire, the same in
camelCase (the JavaScript SDK's), and the flat names of the beta API. Source of the old
names: @openai/agents-realtime 0.20, `clientMessages`; which of them it drops when they
are mixed is not copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offhook.errors import InvalidRequest
from offhook.protocol.session_names import DEFAULT_MODEL, SETTINGS

if TYPE_CHECKING:
    from offhook.protocol.session_config import Session
    from offhook.protocol.session_names import Names

Path = tuple[str, ...]

_BETA: dict[str, Path] = {
    "modalities": ("output_modalities",),
    "max_response_output_tokens": ("max_output_tokens",),
    "input_audio_format": ("audio", "input", "format"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "output_audio_format": ("audio", "output", "format"),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
}
# Objects that hold settings; every other value is one setting, changed as a unit.
_GROUPS: tuple[Path, ...] = (("audio",), ("audio", "input"), ("audio", "output"))
_PROVIDER_DATA = "provider_data"
_FORMATS: dict[str, dict[str, Any]] = {
    "pcm16": {"type": "audio/pcm", "rate": 24000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}


@dataclass(frozen=True)
class _Setting:
    """One thing that is asked for.

    Attributes:
        path: Where it stands in a GA session.
        written: What the user called it.
        rank: Of two settings of one path, the higher one holds.
    """

    path: Path
    written: str
    value: Any
    rank: int


def defaults() -> Session:
    """Return what the JavaScript SDK asks for where its user says nothing."""
    return {
        "type": "realtime",
        "model": DEFAULT_MODEL,
        "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": {"model": "gpt-4o-mini-transcribe"},
                "noise_reduction": None,
                "turn_detection": {"type": "semantic_vad"},
            },
            "output": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "speed": 1,
            },
        },
    }


def session_update(
    config: Mapping[str, Any],
    model: str | None = None,
    *,
    base: Mapping[str, Any] | None = None,
) -> tuple[Session, list[str]]:
    """Translate a user's config; nothing given is dropped without a word.

    Args:
        config: In any of the three vocabularies. Unknown names pass as they are, and
            None is the API's null, except for `audio` and its two sides.
        model: Goes along where the config names none.
        base: Another config, which holds where the first says nothing, if it is for a
            session of the same type; for example `defaults()`.

    Returns:
        The session, which shares nothing with the arguments, and warnings: where one
        thing is set twice, the GA name holds, and over it `providerData`.

    Raises:
        InvalidRequest: `audio`, a side of it or `providerData` is not an object.
    """
    warnings: list[str] = []
    held: dict[Path, _Setting] = {}
    for setting in sorted(_settings(config, warnings), key=lambda s: s.rank):
        other = held.get(setting.path)
        if other and other.value != setting.value:
            warnings.append(_twice(other.written, setting.written))
        held[setting.path] = setting
    kind = held[("type",)].value if ("type",) in held else "realtime"
    session: Session = {"type": kind}
    if base and base.get("type", "realtime") == kind:
        for setting in sorted(_settings(base, []), key=lambda s: s.rank):
            _put(session, setting.path, setting.value)
    if model is not None and kind == "realtime":
        session["model"] = model
    for path, setting in held.items():
        _put(session, path, setting.value)
    return session, warnings


def _settings(config: Mapping[str, Any], warnings: list[str]) -> Iterator[_Setting]:
    plain: dict[str, Any] = {}
    for written, value in config.items():
        name = _snake(written)
        if name == _PROVIDER_DATA:
            data = _object(value, written)
            yield from _group(data, (), 4, warnings, f"{written}.")
        elif name in _BETA:
            path = _BETA[name]
            kept = _value(value, path, written, warnings)
            yield _Setting(path, written, kept, int(written == name))
        else:
            plain[written] = value
    yield from _group(plain, (), 2, warnings)


def _group(
    group: Mapping[str, Any], at: Path, rank: int, warnings: list[str], where: str = ""
) -> Iterator[_Setting]:
    names = SETTINGS
    for step in at:
        names = names[step]
    for key, value in group.items():
        name = _known(key, names)
        path, written = (*at, name), f"{where}{key}"
        if path in _GROUPS:
            inner = _object(value, written)
            yield from _group(inner, path, rank, warnings, f"{written}.")
        else:
            kept = _value(value, path, written, warnings)
            yield _Setting(path, written, kept, rank + (key == name))


def _value(value: Any, path: Path, written: str, warnings: list[str]) -> Any:
    names = SETTINGS
    for step in path:
        names = names.get(step, {})
    value = _respelled(value, names, written, warnings)
    match path, value:
        case ("audio", _, "format"), str():
            return {**_FORMATS[value]} if value in _FORMATS else value
        case ("output_modalities",), ["text", "audio"] | ["audio", "text"]:
            # GA: one of them; speech always comes with its transcript.
            return ["audio"]
        case ("audio", "input", "turn_detection"), dict() if "type" not in value:
            # The beta API's default; it had no semantic_vad without the word.
            kind = "semantic_vad" if "eagerness" in value else "server_vad"
            warnings.append(f"'{written}' has no type: taken for {kind}.")
            return {"type": kind, **value}
        case ("prompt",), dict():
            # The JavaScript SDK's word.
            alias = next((k for k in ("promptId", "prompt_id") if k in value), None)
            if alias and (id_ := value.pop(alias)) != value.setdefault("id", id_):
                warnings.append(_twice(f"{written}.{alias}", f"{written}.id"))
        case ("tools",), list():
            return [_tool(tool, warnings) for tool in value]
    return value


def _tool(tool: Any, warnings: list[str]) -> Any:
    # Agents define it on every function; the Realtime API has no such field.
    if isinstance(tool, dict) and tool.get("type") == "function" and "strict" in tool:
        name = tool.get("name")
        warnings.append(f"'strict' of tool '{name}' is unknown to the Realtime API.")
        return {key: value for key, value in tool.items() if key != "strict"}
    return tool


def _respelled(value: Any, names: Names, at: str, warnings: list[str]) -> Any:
    """Copy a value, with the names that are known as the wire spells them."""
    if isinstance(value, list | tuple):
        return [_respelled(each, names, at, warnings) for each in value]
    if not isinstance(value, Mapping):
        return value
    copy: dict[str, Any] = {}
    # The wire's own spelling comes last, and holds.
    for key in sorted(value, key=lambda key: _known(key, names) == key):
        name, path = _known(key, names), f"{at}.{key}"
        kept = _respelled(value[key], names.get(name, {}), path, warnings)
        if copy.get(name, kept) != kept:
            warnings.append(_twice(f"{at}.{_camel(name)}", path))
        copy[name] = kept
    return copy


def _put(session: Session, path: Path, value: Any) -> None:
    *groups, name = path
    for group in groups:
        session = session.setdefault(group, {})
    session[name] = value


def _object(value: Any, written: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidRequest(
            f"'{written}' has to be an object.", code="invalid_type", param=written
        )
    return value


def _twice(ignored: str, held: str) -> str:
    return f"'{ignored}' is ignored: '{held}' sets the same."


def _known(key: str, names: Names) -> str:
    name = _snake(key)
    return name if name in names else key


def _snake(key: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", key)


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda letter: letter[1].upper(), name)
