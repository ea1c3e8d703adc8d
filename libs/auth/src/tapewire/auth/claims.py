"""What a verified token says."""

from dataclasses import dataclass
from datetime import datetime

EVERYONE = "all"  # the user id that addresses everybody; nobody may sign in as it

SCOPES = frozenset(
    {
        "md:read",
        "session:read",
        "alerts:ack",
        "events:write",
        "notices:write",
        "risk:stop",
        "risk:unlock",
        "admin",
    }
)
DEFAULT_SCOPES = ("md:read", "session:read", "alerts:ack", "risk:stop")  # a trader


@dataclass(frozen=True, slots=True)
class Claims:
    """A verified token's content. Scopes mean what they name: `admin` contains no other."""

    subject: str
    scopes: frozenset[str]
    supervises: frozenset[str]
    expires_at: datetime
    token_id: str | None = None
    issued_at: float | None = None  # seconds since 1970: the claim `iat`

    def may(self, scope: str) -> bool:
        """Return whether the token carries this scope."""
        return scope in self.scopes

    @property
    def users(self) -> frozenset[str]:
        """The users whose events this token may see: its subject and those it supervises."""
        return self.supervises | {self.subject}
