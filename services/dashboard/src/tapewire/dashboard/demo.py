"""Tokens for the demo: a trader's, for whoever asks."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tapewire.auth import mint
from tapewire.contracts.fields import PrincipalId
from tapewire.dashboard.settings import DashboardSettings


class _Body(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, validate_by_name=True, extra="forbid"
    )


class TokenRequest(_Body):
    """Who wants to sign in."""

    user_id: PrincipalId


class TokenReply(_Body):
    """A bearer token for edge and desk."""

    user_id: str
    token: str
    expires_in: int = Field(description="Seconds.")


def routes(settings: DashboardSettings) -> APIRouter:
    """Return the routes; `settings.jwt_secret` is there (the settings see to it)."""
    assert settings.jwt_secret is not None
    secret = settings.jwt_secret.get_secret_value()
    router = APIRouter(tags=["demo"])

    @router.post("/v1/demo/token", summary="Sign in to the demo")
    async def token(request: TokenRequest) -> TokenReply:
        signed = mint(
            secret,
            request.user_id,
            ttl_s=settings.demo_token_ttl_s,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
        )
        return TokenReply(
            user_id=request.user_id, token=signed, expires_in=settings.demo_token_ttl_s
        )

    return router
