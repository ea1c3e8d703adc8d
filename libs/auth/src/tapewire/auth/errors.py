"""Why a token was refused.

TokenError
├── InvalidToken      it never will be good: do not come back with it
├── ExpiredToken      it was good: come back with a fresh one
└── KeysUnavailable   nobody can tell now: come back with it later
"""


class TokenError(Exception):
    """A token was refused. `reason` is one of a small fixed set and repeats nothing of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class InvalidToken(TokenError):
    """The token is malformed, forged, or meant for somebody else."""


class ExpiredToken(TokenError):
    """The token's time has passed."""

    def __init__(self) -> None:
        super().__init__("expired")


class KeysUnavailable(TokenError):
    """No key could be fetched yet from the key set's URL, so nothing can be verified."""

    def __init__(self) -> None:
        super().__init__("keys unavailable")
