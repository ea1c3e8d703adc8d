"""`.run/fleet.json`: where a running fleet is, for people, scripts and tests.

Written (mode 0600, atomically) when everything is ready, again when a service came back under
another pid, and removed when the fleet is down.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tapewire.fleet.files import write_private

FLEET_FILE = "fleet.json"
RUN_DIR_VARIABLE = "TAPEWIRE_RUN_DIR"

Engine = Literal["process", "compose"]


class NoFleet(RuntimeError):
    """No fleet is recorded in the run directory."""


class Urls(BaseModel):
    """HTTP base URLs, without a slash at the end; under compose all are the proxy's."""

    model_config = ConfigDict(frozen=True)

    edge: tuple[str, ...]
    ingest: str
    desk: str
    risk: str
    market: str
    dashboard: str


class Fleet(BaseModel):
    """A running fleet.

    Attributes:
        amqp: an administrator's URL.
        inspector: the AMQP URL of who may look at inboxes and replay what was rejected.
        management: base URL of the broker's management API.
        pids: by name (`supervisor`, `rabbitmq`, `edge-1`, `risk`, …); under compose the pids of
            the containers' first processes as the host sees them.
        jwt_secret: signs tokens that the fleet accepts.
        logs: directory of the logs; under compose they are in `docker compose logs`.
    """

    model_config = ConfigDict(frozen=True)

    engine: Engine
    amqp: str = Field(repr=False)
    inspector: str = Field(repr=False)
    management: str
    urls: Urls
    pids: dict[str, int]
    jwt_secret: str = Field(repr=False)
    run_dir: Path
    logs: Path
    demo: bool
    started_at: datetime

    def write(self) -> None:
        """Writes the record into its run directory."""
        write_private(self.run_dir / FLEET_FILE, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def read(cls, run_dir: Path) -> Fleet:
        """The fleet that runs in `run_dir`.

        Raises:
            NoFleet: there is no record there, or another version's.
        """
        path = run_dir / FLEET_FILE
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise NoFleet(f"no fleet runs here ({path} does not exist)") from None
        except (OSError, ValueError) as error:
            raise NoFleet(f"{path} cannot be used: {error}") from error


def project_root() -> Path | None:
    """The work tree that this package runs from (an editable installation), or None."""
    for parent in Path(__file__).resolve().parents:
        if (parent / "docker-compose.yml").exists() and (parent / "pyproject.toml").exists():
            return parent
    return None


def default_run_dir() -> Path:
    """`$TAPEWIRE_RUN_DIR`, or `.run` in the work tree, or `.run` in the current directory."""
    chosen = os.environ.get(RUN_DIR_VARIABLE)
    if chosen:
        return Path(chosen).resolve()
    return (project_root() or Path.cwd()) / ".run"
