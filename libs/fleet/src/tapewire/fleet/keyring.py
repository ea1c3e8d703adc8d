"""The generated secrets of a fleet on one machine; kept, so that tokens survive a restart."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tapewire.broker.permissions import USERS
from tapewire.fleet.files import write_private

SECRET_BYTES = 32  # of entropy: HS256 wants a key at least as long as its hash (RFC 7518, 3.2)


@dataclass(frozen=True)
class Keyring:
    """The secret that signs tokens, and the password of every broker user."""

    jwt_secret: str = field(repr=False)
    broker: dict[str, str] = field(repr=False)

    @classmethod
    def open(cls, path: Path) -> Keyring:
        """The keyring in the file `path`; what is missing in it is drawn and written there."""
        known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        broker = {user: secrets.token_urlsafe(SECRET_BYTES) for user in USERS}
        keyring = cls(
            jwt_secret=known.get("jwt_secret", secrets.token_urlsafe(SECRET_BYTES)),
            broker=broker | known.get("broker", {}),
        )
        if asdict(keyring) != known:
            write_private(path, json.dumps(asdict(keyring)))
        return keyring
