"""Where the fleet is: from the environment, else from the record of a running one."""

import json
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tapewire.client import Token


@dataclass(frozen=True)
class Addresses:
    """What the examples need to find and enter a fleet.

    Attributes:
        edges: base URLs, tried in turn.
        ingest: base URL of the HTTP door.
        amqp: the broker's URL, if producers may reach it.
        secret: the fleet's JWT secret; a fleet with a key set of its own has none: give tokens.
        token: a token from outside.
        token_url: where a demo gives a token to whoever asks.
    """

    edges: tuple[str, ...]
    ingest: str | None
    amqp: str | None
    secret: str | None
    token: str | None
    token_url: str | None

    @classmethod
    def find(cls) -> "Addresses":
        """Read the environment (each secret also as ``…_FILE``), then ``.run/fleet.json``."""
        fleet = _fleet()
        urls = fleet.get("urls", {})
        edges = _setting("TAPEWIRE_EDGE_URL")
        return cls(
            edges=tuple(edges.split(",")) if edges else tuple(urls.get("edge", ())),
            ingest=_setting("TAPEWIRE_INGEST_URL") or urls.get("ingest"),
            amqp=_setting("TAPEWIRE_AMQP_URL") or fleet.get("amqp"),
            secret=_setting("TAPEWIRE_JWT_SECRET") or fleet.get("jwt_secret"),
            token=_setting("TAPEWIRE_TOKEN"),
            token_url=_setting("TAPEWIRE_TOKEN_URL"),
        )

    def need(self, name: str) -> Any:
        """Return the field ``name``, or end the program with a hint."""
        value = getattr(self, name)
        if not value:
            raise SystemExit(f"{name}: no fleet found; start one with `tapewire up`")
        return value

    def token_for(self, user: str, *scopes: str) -> Token:
        """Return what to pass as ``token``: the one given, or a maker of fresh ones."""
        if self.token:
            return self.token
        if self.token_url:
            return partial(_ask_demo, self.token_url, user)
        return partial(self.token_now, user, *scopes)

    def token_now(self, user: str, *scopes: str) -> str:
        """Return a token for ``user``, with a trader's scopes unless some are named."""
        if self.token:
            return self.token
        from tapewire.auth import DEFAULT_SCOPES, mint  # of the extra `fleet`

        return mint(self.need("secret"), user, scopes=scopes or DEFAULT_SCOPES)


async def _ask_demo(url: str, user: str) -> str:
    async with httpx.AsyncClient(trust_env=False) as http:
        response = await http.post(url, json={"userId": user})
        return str(response.raise_for_status().json()["token"])


def _setting(name: str) -> str | None:
    if value := os.environ.get(name):
        return value
    file = Path(os.environ.get(f"{name}_FILE", ""))
    return file.read_text("utf-8").strip() if file.is_file() else None


def _fleet() -> dict[str, Any]:
    """Return the record of the fleet that runs from here or from this work tree."""
    here = Path(os.environ.get("TAPEWIRE_RUN_DIR", ".run"))
    for folder in (here, Path(__file__).resolve().parents[1] / ".run"):
        record = folder / "fleet.json"
        if record.exists():
            return dict(json.loads(record.read_text("utf-8")))
    return {}
