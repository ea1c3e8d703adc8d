"""Makes the secrets of a fleet under Docker Compose, once, each where one service can read it.

Runs to its end before anything else starts, with a volume per service under `/secrets`:
`/secrets/edge/amqp-url` is seen by the edges as `/run/tapewire/amqp-url`, and by nobody else. What
was drawn is kept in `/secrets/state`, so that a second start finds the same, and a newer version
can write further files from it. `show` prints what a host needs, the JWT secret and the passwords
of the broker's users:

    docker compose run --rm --no-deps -T secrets show
"""

import json
import os
import secrets
import sys
from pathlib import Path
from urllib.parse import quote

from tapewire.broker.permissions import USERS, definitions

ROOT = Path("/secrets")
STATE = ROOT / "state" / "state.json"
JWT_READERS = ("edge", "ingest", "risk", "market", "desk", "dashboard")
DATABASES = ("risk", "desk")


def draw(known: dict) -> dict:
    """Return `known` with fresh values for what is not in it yet."""
    drawn = {
        "jwt_secret": secrets.token_urlsafe(48),
        "amqp": {user: secrets.token_urlsafe(24) for user in USERS},
        "postgres": {user: secrets.token_urlsafe(24) for user in ("postgres", *DATABASES)},
    }
    return {
        name: value | known.get(name, {}) if isinstance(value, dict) else known.get(name, value)
        for name, value in drawn.items()
    }


def amqp_url(user: str, password: str, host: str = "rabbitmq:5672") -> str:
    """Return the URL of the vhost `/`."""
    return f"amqp://{user}:{quote(password, safe='')}@{host}/%2F"


def files(drawn: dict) -> dict[str, str]:
    """Return the content of every file, by its path below `ROOT`."""
    amqp, postgres = drawn["amqp"], drawn["postgres"]
    volumes = {path.name for path in ROOT.iterdir()}
    found = {f"{user}/amqp-url": amqp_url(user, amqp[user]) for user in USERS if user in volumes}
    found["trader/amqp-url"] = amqp_url("producer", amqp["producer"])
    found |= {f"{service}/jwt-secret": drawn["jwt_secret"] for service in JWT_READERS}
    for name in DATABASES:
        url = f"postgresql+asyncpg://{name}:{quote(postgres[name], safe='')}@postgres/{name}"
        found[f"{name}/database-url"] = url
        found[f"postgres/{name}-password"] = postgres[name]
    found["postgres/postgres-password"] = postgres["postgres"]
    found["rabbitmq/definitions.json"] = json.dumps(definitions(amqp))
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
    drawn = draw(known)
    write(STATE, json.dumps(drawn), 0o600)
    for name, content in files(drawn).items():
        # Readable by whatever user the one container runs as that mounts the volume.
        write(ROOT / name, content, 0o444)
    print("secrets: drawn" if drawn != known else "secrets: as before")


if __name__ == "__main__":
    main()
