"""Every setting of Offhook, and the only reader of the environment.

Order: what the code or the command line passes, then the environment
(`OFFHOOK_…`), then `offhook.toml` in the working directory, then the default.
"""

from __future__ import annotations

import re
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    Field,
    IPvAnyAddress,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from offhook.errors import SettingsError

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s*@]+")


class _Source(BaseSettings):
    """What both groups of settings share: where their values come from."""

    model_config = SettingsConfigDict(
        env_prefix="OFFHOOK_",
        env_ignore_empty=True,
        toml_file="offhook.toml",
        extra="ignore",
        populate_by_name=True,
        # A wrong value may be a secret in the wrong place.
        hide_input_in_errors=True,
    )

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Read the settings, with the given ones first.

        Raises:
            SettingsError: One is wrong; the message names it and its variable.
        """
        try:
            return cls(**given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise SettingsError(
                f"{cls._name_of(str(first['loc'][0]))}: {first['msg']}",
                code="invalid_settings",
            ) from None
        except TOMLDecodeError as error:
            raise SettingsError(
                f"offhook.toml is not valid TOML: {error}", code="invalid_settings"
            ) from None

    @classmethod
    def variables(cls, field: str) -> tuple[str, ...]:
        """Name the environment variables of a field, strongest first."""
        alias = cls.model_fields[field].validation_alias
        if isinstance(alias, AliasChoices):
            return tuple(str(choice) for choice in alias.choices)
        return (f"{cls.model_config['env_prefix']}{field}".upper(),)

    @classmethod
    def flag(cls, field: str) -> str:
        """Name the command-line flag of a field."""
        return f"--{field.rstrip('_').replace('_', '-')}"

    @classmethod
    def _name_of(cls, place: str) -> str:
        for field in cls.model_fields:
            if place == field or place in cls.variables(field):
                return f"{field.replace('_', '-')} ({cls.variables(field)[0]})"
        return place

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put offhook.toml behind the environment."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def _parts(value: object) -> object:
    """Split what came as one text, separated by commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class NetworkSettings(_Source):
    """What both kinds of servers are told about the network of their calls."""

    udp_ports: str | None = Field(
        None, description="UDP ports for calls, for example 50000-50999 (none: any)"
    )
    address: IPvAnyAddress | None = Field(
        None, description="address that callers reach, if it is not this machine's own"
    )
    ice_servers: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="STUN and TURN servers, separated by commas"
    )
    turn_secret: SecretStr | None = Field(
        None, description="secret of the TURN servers, from which credentials are made"
    )
    candidates: Literal["none", "public", "lan"] = Field(
        "none",
        description="which of a caller's addresses to try: none, public ones, or all",
    )

    @field_validator("ice_servers", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return _parts(value)

    @field_validator("udp_ports")
    @classmethod
    def _ports(cls, value: str | None) -> str | None:
        if value is not None:
            first, _, last = value.partition("-")
            if not (first.isdecimal() and last.isdecimal()) or not (
                1024 <= int(first) <= int(last) <= 65535
            ):
                raise ValueError("write the first and the last port: 50000-50999")
        return value


class LocalSettings(NetworkSettings):
    """Settings of the local endpoint (`OFFHOOK_LOCAL_…`)."""

    model_config = SettingsConfigDict(
        env_prefix="OFFHOOK_LOCAL_", toml_table_header=("local",)
    )

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8041, ge=0, le=65535, description="port to listen on (0: any)")
    api_key: SecretStr | None = Field(
        None, description="the only API key to accept (none: any key will do)"
    )
    chat_url: str | None = Field(
        None, description="base URL of an OpenAI-compatible chat server that answers"
    )
    chat_model: str = Field("default", description="model to ask that chat server for")
    chat_key: SecretStr | None = Field(None, description="API key of that chat server")
    session_seconds: float = Field(
        3600, gt=0, description="how long a session may last"
    )
    faults: bool = Field(False, description="let tests switch faults on")


class CallSettings(_Source):
    """Settings of a caller on the command line (`OFFHOOK_CALL_…`)."""

    model_config = SettingsConfigDict(
        env_prefix="OFFHOOK_CALL_", toml_table_header=("call",)
    )

    # `in` is a word of Python's own.
    in_: str = Field(
        "mic",
        validation_alias=AliasChoices("OFFHOOK_CALL_IN"),
        description="what to say: `mic`, or a file with sound",
    )
    out: str = Field(
        "speakers",
        description="where to hear the answers: `speakers`, a WAV file, or `none`",
    )
    key: SecretStr | None = Field(
        None, description="API key of the server (none: it is asked for one)"
    )
    agent: str | None = Field(None, description="the agent to talk to, at a relay")
    model: str | None = Field(None, description="the model to ask for, with a key")
    seconds: float | None = Field(
        None, gt=0, description="when to hang up (none: when all is said)"
    )
    consent: bool | None = Field(
        None, description="what to say to being recorded by a relay: true or false"
    )


class RecordSettings(CallSettings):
    """Settings of a recording on the command line: those of a call, and more."""

    into: Path = Field(Path("recordings"), description="folder for the recordings")
    at: str = Field(
        "http://localhost:8040/",
        description="where a call is that has an id: a relay, or a ws or wss URL",
    )
    operator_token: SecretStr | None = Field(
        None, description="the relay's OFFHOOK_OPERATOR_TOKEN"
    )


class Settings(NetworkSettings):
    """Settings of the relay (`OFFHOOK_…`)."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8040, ge=0, le=65535, description="port to listen on (0: any)")
    upstream: str | None = Field(
        None,
        validation_alias=AliasChoices("OFFHOOK_UPSTREAM", "OPENAI_BASE_URL"),
        description="base URL of the upstream, for example https://api.openai.com/v1",
    )
    api_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("OFFHOOK_API_KEY", "OPENAI_API_KEY"),
        description="the upstream's API key; it never leaves the server",
    )
    agents: Path | None = Field(None, description="TOML file with the agents' sessions")
    origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="other sites' origins that may call, separated by commas"
    )
    keys: Literal["offhook", "upstream"] = Field(
        "offhook",
        description="what the mint hands out: our grants, or the upstream's own keys",
    )
    secret: SecretStr | None = Field(
        None,
        min_length=16,
        description="signs grants; set it when several processes serve one site",
    )
    data: Path = Field(
        Path("offhook-data"), description="folder of what is kept of calls"
    )
    store: str | None = Field(
        None,
        description="SQL URL of the calls (none: SQLite in `data`; `none`: keep none)",
    )
    recordings: str | None = Field(
        None,
        description="where recordings are: a folder, or a URL like s3://bucket/folder "
        "(none: in `data`)",
    )
    keep_days: float = Field(
        30, gt=0, description="when calls and their recordings are deleted"
    )
    operator_token: SecretStr | None = Field(
        None,
        min_length=16,
        description="opens /calls, recordings, /metrics (none: at this machine only)",
    )
    grant_seconds: int = Field(
        60, ge=10, le=7200, description="how long a grant may wait for its call"
    )
    body_seconds: float = Field(
        5.0, gt=0, description="how long a caller may take to send its request"
    )
    upstream_seconds: float = Field(
        20.0, gt=0, description="how long the upstream may take to answer"
    )
    session_seconds: float = Field(
        3600,
        gt=0,
        description="how long a call may last",
    )
    supervise: Literal["auto", "required", "off"] = Field(
        "auto",
        description="supervise direct calls: where that is possible, always, or never",
    )
    max_calls: int = Field(
        1000, ge=1, description="how many calls there may be at a time"
    )
    max_calls_per_caller: int = Field(
        100, ge=1, description="how many of them may come from one address"
    )
    event_bytes: int = Field(
        2**20, ge=1024, description="how long one event of a caller may be"
    )
    event_rate: float = Field(
        200, ge=1, description="how many events a second are read from a caller"
    )
    patience_seconds: float = Field(
        20.0,
        gt=0,
        description="how long a caller may send too much, or read nothing",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="how much to log"
    )

    @field_validator("origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return _parts(value)

    @field_validator("origins")
    @classmethod
    def _exact(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        lowered = tuple(origin.lower() for origin in origins)
        for origin in lowered:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is not an origin: write scheme://host or "
                    "scheme://host:port, without a path and without wildcards"
                )
        return lowered
