"""What a service is told from outside, read once into a frozen value.

Every field can also be given as a file: `TAPEWIRE_AMQP_URL_FILE=/run/secrets/amqp` instead of
`TAPEWIRE_AMQP_URL=…`, which is how Docker and Kubernetes hand over secrets.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, AliasPath, BeforeValidator, Field
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["json", "console"]


class FileSource(PydanticBaseSettingsSource):
    """Reads the value of `X` from the file that the variable `X_FILE` names.

    Raises:
        SettingsError: the file cannot be read, or both `X` and `X_FILE` are set.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return (value or None, the field's name, False: files hold no JSON)."""
        prefix: str = self.config.get("env_prefix", "")
        for variable in _variables(prefix, field_name, field):
            path = os.environ.get(f"{variable}_FILE")
            if not path:
                continue
            if os.environ.get(variable):
                raise SettingsError(f"set {variable} or {variable}_FILE, not both")
            try:
                return Path(path).read_text(encoding="utf-8").strip(), field_name, False
            except OSError as error:
                raise SettingsError(f"{variable}_FILE: {path}: {error.strerror}") from error
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the fields that files give a value to."""
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                found[key] = value
        return found


def _variables(prefix: str, name: str, field: FieldInfo) -> list[str]:
    """Return the environment variables that may set a field."""
    alias = field.validation_alias
    if alias is None:
        return [f"{prefix}{name}".upper()]
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [choice.upper() for choice in choices if not isinstance(choice, AliasPath)]


def _split(value: object) -> object:
    """Turn `a, b` into `("a", "b")`; leave anything but a string alone."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Base of every settings value: frozen, prefix `TAPEWIRE_`, `X_FILE` for each `X`.

    An invalid value's text is not shown in the error: it may be a secret.
    """

    model_config = SettingsConfigDict(
        env_prefix="TAPEWIRE_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
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
        """Arguments first, then files, then the environment; no `.env` is read."""
        return init_settings, FileSource(settings_cls), env_settings


class ServiceSettings(Settings):
    """What every service needs; a service adds its own fields in a subclass.

    A field `edge_ack_deadline_s` is read from `TAPEWIRE_EDGE_ACK_DEADLINE_S`.
    """

    amqp_url: str = Field(default="amqp://guest:guest@127.0.0.1:5672/", repr=False)
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=0, le=65535)
    log_level: Annotated[LogLevel, BeforeValidator(_upper)] = "INFO"
    log_format: LogFormat = "json"
    cors_origins: CommaList = ()
    otlp_endpoint: str | None = None
    drain_timeout_s: float = Field(default=20.0, gt=0)
    data_dir: Path = Path(".run/data")
    database_url: str | None = Field(default=None, validation_alias="DATABASE_URL", repr=False)
    database_timeout_s: float = Field(default=10.0, gt=0)
    """PostgreSQL: for a connection, a statement, and a silence of the network."""
