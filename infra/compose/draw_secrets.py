"""Makes the secrets of a fleet under Docker Compose, once, each where one service can read it.

Runs to its end before anything else starts, with a volume per service under `/secrets`:
`/secrets/edge/amqp-url` is seen by the edges as `/run/tapewire/amqp-url`, and by nobody else. What
was drawn is kept in `/secrets/state`, so that a second start finds the same, and a newer version
can write further files from it. Needs Python and nothing else: an image that does not change when
the fleet's does, or Compose would make the broker and the database anew with every version.

`show` prints what a host needs, the JWT secret and the passwords of the broker's users:

    docker compose run --rm --no-deps -T secrets show
"""

import base64
import hashlib
import json
import os
import secrets
import sys
from pathlib import Path
from urllib.parse import quote

ROOT = Path("/secrets")
STATE = ROOT / "state" / "state.json"
DEFINITIONS = Path("/etc/tapewire/definitions.json")  # of the broker; no password is in it
JWT_READERS = ("edge", "ingest", "risk", "market", "desk", "dashboard")
AMQP_USERS = {name: name for name in ("edge", "ingest", "risk", "market", "desk")}
AMQP_USERS["trader"] = "producer"
DATABASES = ("risk", "desk")


def draw(known: dict, users: list[str]) -> dict:
    """Return `known` with fresh values for what is not in it yet."""
    drawn = {
        "jwt_secret": secrets.token_urlsafe(48),
        "amqp": {user: secrets.token_urlsafe(24) for user in users},
        "postgres": {user: secrets.token_urlsafe(24) for user in ("postgres", *DATABASES)},
    }
    return {
        name: value | known.get(name, {}) if isinstance(value, dict) else known.get(name, value)
        for name, value in drawn.items()
    }


def password_hash(password: str) -> str:
    """Return RabbitMQ's salted SHA-256, as `tapewire.broker.permissions` does."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def files(drawn: dict, definitions: dict) -> dict[str, str]:
    """Return the content of every file, by its path below `ROOT`."""
    amqp, postgres = drawn["amqp"], drawn["postgres"]
    found = {f"{service}/jwt-secret": drawn["jwt_secret"] for service in JWT_READERS}
    for service, user in AMQP_USERS.items():
        password = quote(amqp[user], safe="")
        found[f"{service}/amqp-url"] = f"amqp://{user}:{password}@rabbitmq:5672/%2F"
    for name in DATABASES:
        password = quote(postgres[name], safe="")
        found[f"{name}/database-url"] = f"postgresql+asyncpg://{name}:{password}@postgres/{name}"
        found[f"postgres/{name}-password"] = postgres[name]
    found["postgres/postgres-password"] = postgres["postgres"]
    for user in definitions["users"]:
        user["password_hash"] = password_hash(amqp[user["name"]])
    found["rabbitmq/definitions.json"] = json.dumps(definitions)
    return found


def write(path: Path, content: str, mode: int) -> None:
    """Replace a file at once, so that a reader never sees half of it."""
    draft = path.with_suffix(".draft")
    draft.write_text(content)
    draft.chmod(mode)
    draft.replace(path)


def main() -> None:
    """Draw what is missing and write everything, or show what was drawn."""
    known = json.loads(STATE.read_text()) if STATE.exists() else {}
    if sys.argv[1:] == ["show"]:
        print(json.dumps({"jwt_secret": known["jwt_secret"], "amqp": known["amqp"]}))
        return
    os.umask(0o077)
    definitions = json.loads(DEFINITIONS.read_text())
    drawn = draw(known, [user["name"] for user in definitions["users"]])
    write(STATE, json.dumps(drawn), 0o600)
    for name, content in files(drawn, definitions).items():
        # Readable by whatever user the one container runs as that mounts the volume.
        write(ROOT / name, content, 0o444)
    print("secrets: as before" if drawn == known else "secrets: drawn")


if __name__ == "__main__":
    main()
