"""How a gateway is set up: by flags, else by FOREWORD_* variables, else by a TOML file.

What may change while it runs (guards, keys, checks) is in guards.toml instead, see
`policy`. The key of the upstream is a secret and never printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from foreword.core.errors import ConfigError
from foreword.gateway.requests import MAX_BODY
from foreword.gateway.upstream import Key, address
from foreword.models.dialects import dialect


def _known(name: str) -> str:
    """A dialect's name; raises UnknownName before anybody is asked."""
    return name if name == "auto" else dialect(name).name


class Settings(BaseSettings):
    """Of one `foreword serve`."""

    model_config = SettingsConfigDict(
        env_prefix="FOREWORD_", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    upstream: Annotated[str, AfterValidator(address)]  # the /v1 address of the server
    upstream_key: Key | None = None  # sent instead of the client's own
    guard: Path | None = None  # one guard for everybody, or
    guards: Path | None = None  # a guards.toml
    dialect: Annotated[str, AfterValidator(_known)] = "auto"
    render: str | None = None  # whose chat template, for servers that continue no chat
    model: str | None = None  # whom to probe; the first that the server lists
    host: str = "127.0.0.1"
    port: int = Field(8700, ge=0, le=65535)
    workers: int = Field(1, ge=1, le=256)  # processes
    show_prefix: bool = False
    silence: float = Field(300.0, ge=0.1)  # longest wait for the upstream's next byte, seconds
    max_body: int = Field(MAX_BODY, ge=1024)  # bytes of a request
    audit: Path | None = None  # an append-only JSONL file
    log_level: Literal["debug", "info", "warning", "error"] = "warning"  # info: each request
    log_format: Literal["text", "json"] = "text"
    log_prompts: bool = False  # keep what is asked in audit and log, too

    @property
    def secret(self) -> str | None:
        """The upstream's key, no longer hidden."""
        return self.upstream_key.get_secret_value() if self.upstream_key else None

    @model_validator(mode="after")
    def _one(self) -> Settings:
        if (self.guard is None) == (self.guards is None):
            raise ValueError("name a guard.json with --guard, or a guards.toml with --guards")
        if self.render is not None and self.dialect != "auto":
            raise ValueError("--render is a dialect of its own; leave --dialect out")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load(config: Path | None, flags: Mapping[str, Any]) -> Settings:
    """The settings of these flags (None: not given), the environment and a TOML file.

    Raises:
        ConfigError: something is missing, unknown or wrong; the message says what.
        UnknownName: there is no such dialect.
    """
    if config is not None and not config.is_file():
        raise ConfigError(f"cannot read {config}: there is no such file")

    class Here(Settings):
        model_config = SettingsConfigDict(toml_file=config)

    try:
        return Here(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "settings"
        missing = f"is missing; give --{place.replace('_', '-')} or FOREWORD_{place.upper()}"
        reason = {"missing": missing, "extra_forbidden": "is not a setting"}.get(first["type"])
        reason = reason or first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{place}: {reason}") from error
    except (OSError, ValueError) as error:  # of the TOML file itself
        raise ConfigError(f"{config}: {error}") from error
