"""How tokens are verified, read once from the environment."""

from pydantic import Field, SecretStr, model_validator

from tapewire.service.settings import Settings

MIN_SECRET_BYTES = 32  # RFC 7518 §3.2: a key at least as long as the hash


class AuthSettings(Settings):
    """`TAPEWIRE_JWT_SECRET` for one machine, or `TAPEWIRE_JWKS_URL`: exactly one of them."""

    jwt_secret: SecretStr | None = None
    jwks_url: str | None = Field(default=None, pattern=r"^https?://")
    jwt_issuer: str = "tapewire"
    jwt_audience: str = "tapewire"

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> "AuthSettings":
        if (self.jwt_secret is None) == (self.jwks_url is None):
            raise ValueError(
                "set TAPEWIRE_JWT_SECRET (or TAPEWIRE_JWT_SECRET_FILE) for tokens signed with a "
                "shared secret, or TAPEWIRE_JWKS_URL for tokens of an identity provider: one of "
                "the two"
            )
        if self.jwt_secret is not None:
            length = len(self.jwt_secret.get_secret_value().encode())
            if length < MIN_SECRET_BYTES:
                raise ValueError(f"TAPEWIRE_JWT_SECRET needs {MIN_SECRET_BYTES} bytes or more")
        return self
