"""Cues: the sounds that an agent's calls know by name.

In an agents file each is a table of its agent:

    [support.sounds.greeting]
    file = "recorded.wav"
    when = "connected"
"""

from __future__ import annotations

import logging
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError

from offhook.errors import InvalidRequest, MissingExtra, SettingsError
from offhook.protocol.validation import Strict

if TYPE_CHECKING:
    from offhook.media.player import Playable

_log = logging.getLogger(__name__)

To = Literal["caller", "model", "both"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_MOST = 64
# Of these, as each that plays costs something.
_MOST_BY_THEMSELVES = 8


class CueTable(Strict):
    """What a cue's table may say."""

    file: str | Path | None = None
    sound: Any = None
    when: Literal["connected", "waiting", "always"] | None = None
    to: To = "caller"
    under_speech: bool | None = None
    loop: bool | None = None
    gain_db: Annotated[float, Field(ge=-60, le=20)] = 0.0
    duck_db: Annotated[float, Field(ge=-60, le=0)] = -12.0
    fade_ms: Annotated[int, Field(ge=0, le=10_000)] = 20
    control: bool = False


class Cue:
    """A sound, and when and how it is played.

    Attributes:
        name: Its name.
        when: What begins it; None: only somebody who asks for it.
        to: Who hears it.
        control: Whether the caller may start and stop it.
        how: The options of `Leg.play`.
        playable: What is played; None until it has been loaded.
    """

    def __init__(self, name: str, table: CueTable, folder: Path) -> None:
        """Take a table; its file is relative to the folder.

        Raises:
            InvalidRequest: Its keys do not fit together, or the file is no sound.
            MissingExtra: Without the extra `media`.
        """
        # Loaded only when needed: it brings the media extra with it.
        try:
            from offhook.media.files import check_sound
        except ModuleNotFoundError as error:
            raise MissingExtra("media", str(error.name)) from None
        if (table.file is None) == (table.sound is None):
            raise _invalid("file", "name a file with sound, or in Python a sound")
        stays = table.when in ("waiting", "always")
        if stays and table.under_speech is False:
            raise _invalid("under_speech", f"has to be true where when = {table.when}")
        self.name = name
        self.when = table.when
        self.to: To = table.to
        self.control = table.control
        self.how: dict[str, Any] = {
            "under_speech": stays or bool(table.under_speech),
            "loop": stays if table.loop is None else table.loop,
            "gain_db": table.gain_db,
            "duck_db": table.duck_db,
            "fade_ms": table.fade_ms,
        }
        self.playable: Playable | None = table.sound
        self._path = folder / table.file if table.file is not None else None
        if self._path:
            check_sound(str(self._path))
        elif not (callable(table.sound) or hasattr(table.sound, "packets")):
            raise _invalid(
                "sound", "has to be a Sound, or a function that makes a track"
            )

    def load(self) -> None:
        """Decode and encode it; takes some 5 ms for a second of sound."""
        from offhook.media.sounds import Sound

        if self.playable is None and self._path is not None:
            self.playable = Sound.read(self._path)
        if isinstance(self.playable, Sound) and not self.how["under_speech"]:
            # What is heard alone is not mixed: its level is changed once, here.
            gain_db, self.how["gain_db"] = self.how["gain_db"], 0.0
            self.playable = self.playable.at(gain_db) if gain_db else self.playable


class Cues:
    """The cues of all agents, of which each file is loaded once."""

    def __init__(self, cues: list[Cue]) -> None:
        self._cues = cues
        self._lock = threading.Lock()

    def load(self) -> None:
        """Load what is not loaded yet; what has broken meanwhile stays silent."""
        with self._lock:
            for cue in self._cues:
                try:
                    cue.load()
                except SettingsError as error:
                    _log.error("the sound %r is not played: %s", cue.name, error)


def read_cues(tables: object, folder: Path) -> dict[str, Cue]:
    """Read the `sounds` of an agent.

    Raises:
        InvalidRequest: One is wrong; `param` names its key.
        MissingExtra: There are some, but not the extra `media`.
    """
    if not isinstance(tables, dict) or len(tables) > _MOST:
        raise InvalidRequest(f"has to have up to {_MOST} tables", param="sounds")
    cues = {name: _cue(name, table, folder) for name, table in tables.items()}
    if sum(cue.when is not None for cue in cues.values()) > _MOST_BY_THEMSELVES:
        raise InvalidRequest(
            f"of these up to {_MOST_BY_THEMSELVES} may have a `when`", param="sounds"
        )
    return cues


def _cue(name: str, table: object, folder: Path) -> Cue:
    at = f"sounds.{name}"
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            "a name has up to 64 letters, digits, - and _", param="sounds"
        )
    if not isinstance(table, dict):
        raise InvalidRequest("has to be a table", param=at)
    try:
        return Cue(name, CueTable.model_validate(table), folder)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in (at, *first["loc"][:1]))
        raise InvalidRequest(first["msg"], param=place) from None
    except InvalidRequest as error:
        place = f"{at}.{error.param or 'file'}"
        raise InvalidRequest(error.message, param=place) from None


def _invalid(key: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, param=key)
