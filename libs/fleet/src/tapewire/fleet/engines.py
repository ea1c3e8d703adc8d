"""Which engine carries the fleet on this machine: local processes, or Docker Compose."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tapewire.fleet.installation import Installation
from tapewire.fleet.record import Engine, project_root

DOCKER_TIMEOUT_S = 10.0

INSTALL_BY_HAND = (
    "Install RabbitMQ (`sudo apt-get install rabbitmq-server`, `brew install rabbitmq`), "
    "or start Docker."
)


class NoEngine(RuntimeError):
    """Neither engine can run here; the message says what to install."""


def docker_missing() -> str | None:
    """Why Docker Compose cannot be used here, or None when it can."""
    if shutil.which("docker") is None:
        return "the command `docker` is not installed"
    for arguments, reason in (
        (["compose", "version"], "the plugin `docker compose` is not installed"),
        (["info"], "no Docker engine answers"),
    ):
        try:
            command = ["docker", *arguments]
            done = subprocess.run(
                command, capture_output=True, timeout=DOCKER_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return reason
        if done.returncode:
            return reason
    return None


def choose(asked: Engine | None) -> Engine:
    """The engine to use: the one asked for, or the first that this machine has.

    Where there is neither RabbitMQ nor Docker, RabbitMQ is installed if that needs no question.

    Raises:
        NoEngine: the engine that was asked for, or any, cannot run here.
    """
    if asked != "compose" and Installation.find() is not None:
        return "process"
    if asked != "process":
        reason = docker_missing()
        if reason is None:
            return "compose"
        if asked == "compose":
            raise NoEngine(f"compose: {reason}")
    if install() and Installation.find() is not None:
        return "process"
    raise NoEngine(f"RabbitMQ is not installed, and it could not be. {INSTALL_BY_HAND}")


def install() -> bool:
    """Installs RabbitMQ by the work tree's set-up script; whether that went well."""
    root = project_root()
    script = (root or Path("/nonexistent")) / "infra" / "setup"
    if not script.exists():
        return False
    done = subprocess.run(
        [script, "broker"], stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False
    )
    return done.returncode == 0
