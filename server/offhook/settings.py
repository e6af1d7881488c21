"""Every setting of Offhook, and the only reader of the environment.

Order: what the code or the command line passes, then the environment
(`OFFHOOK_…`), then `offhook.toml` in the working directory, then the default.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (pydantic reads it at run time)
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)


class _Source(BaseSettings):
    """What both groups of settings share: where their values come from."""

    model_config = SettingsConfigDict(
        env_prefix="OFFHOOK_",
        toml_file="offhook.toml",
        extra="ignore",
        populate_by_name=True,
    )

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


class LocalSettings(_Source):
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


class Settings(_Source):
    """Settings of the relay (`OFFHOOK_…`)."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8040, ge=0, le=65535, description="port to listen on (0: any)")
    upstream: str | None = Field(
        None,
        validation_alias=AliasChoices(
            "upstream", "OFFHOOK_UPSTREAM", "OPENAI_BASE_URL"
        ),
        description="base URL of the upstream, for example https://api.openai.com/v1",
    )
    api_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("api_key", "OFFHOOK_API_KEY", "OPENAI_API_KEY"),
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
        None, description="signs grants; set it when several processes serve one site"
    )
    grant_seconds: int = Field(
        60, ge=10, le=7200, description="how long a grant may wait for its call"
    )
    upstream_seconds: float = Field(
        20.0, gt=0, description="how long the upstream may take to answer"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="how much to log"
    )

    @field_validator("origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
