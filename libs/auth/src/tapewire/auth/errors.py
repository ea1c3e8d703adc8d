"""Why a token was refused.

TokenError
├── InvalidToken              it never will be good: do not come back with it
├── ExpiredToken              it was good: come back with a fresh one
├── RevokedToken              it was taken back: come back with another
└── Unverifiable              nobody can tell now: come back with it later
    ├── KeysUnavailable
    └── RevocationsUnknown
"""


class TokenError(Exception):
    """A token was refused. `reason` is one of a small fixed set and repeats nothing of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class InvalidToken(TokenError):
    """The token is malformed, forged, meant for somebody else, or taken back for good."""


class ExpiredToken(TokenError):
    """The token's time has passed."""

    def __init__(self) -> None:
        super().__init__("expired")


class RevokedToken(TokenError):
    """An operator took the token back; its owner may be given another."""

    def __init__(self) -> None:
        super().__init__("revoked")


class Unverifiable(TokenError):
    """Whether it is good cannot be told at the moment."""


class KeysUnavailable(Unverifiable):
    """No key could be fetched yet from the key set's URL, so nothing can be verified."""

    def __init__(self) -> None:
        super().__init__("keys unavailable")


class RevocationsUnknown(Unverifiable):
    """What was revoked before this process started could not be read yet."""

    def __init__(self) -> None:
        super().__init__("revocations unknown")
