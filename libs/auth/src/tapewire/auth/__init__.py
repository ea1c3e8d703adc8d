"""Tokens, claims, key sets, and the dependencies that ask for them."""

from tapewire.auth.claims import DEFAULT_SCOPES, EVERYONE, SCOPES, Claims
from tapewire.auth.errors import (
    ExpiredToken,
    InvalidToken,
    KeysUnavailable,
    RevocationsUnknown,
    RevokedToken,
    TokenError,
    Unverifiable,
)
from tapewire.auth.http import authenticated, require
from tapewire.auth.minting import mint
from tapewire.auth.revoking import Revoking
from tapewire.auth.settings import AuthSettings
from tapewire.auth.verifier import Verifier

__all__ = [
    "DEFAULT_SCOPES",
    "EVERYONE",
    "SCOPES",
    "AuthSettings",
    "Claims",
    "ExpiredToken",
    "InvalidToken",
    "KeysUnavailable",
    "RevocationsUnknown",
    "RevokedToken",
    "Revoking",
    "TokenError",
    "Unverifiable",
    "Verifier",
    "authenticated",
    "mint",
    "require",
]
