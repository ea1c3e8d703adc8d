"""The fleet under Docker Compose: started, recorded and stopped as the one of processes is."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tapewire.fleet.launch import AlreadyRunning
from tapewire.fleet.lock import is_held_by_the_living
from tapewire.fleet.options import Options
from tapewire.fleet.ports import LOOPBACK, Claims, assign, take
from tapewire.fleet.record import FLEET_FILE, Fleet, NoFleet, Urls, project_root

EDGES = 2  # in docker-compose.yml and haproxy.cfg
UNWATCHED = ("secrets", "trader")  # without a health check; `up --wait` refuses those
START_TIMEOUT_S = 900  # the first time, images are pulled and built
STOP_TIMEOUT_S = 180
ASK_TIMEOUT_S = 60


class ComposeFailed(RuntimeError):
    """Docker Compose did not do what it was asked; its own words came before."""


def start(options: Options, *, quiet: bool = False) -> Fleet:
    """Builds and starts the containers, waits until they are healthy, records the fleet.

    Compose shows its own progress; `quiet` sends that to standard error.

    Raises:
        AlreadyRunning: nothing was started.
        ComposeFailed: a container is not healthy, or there are not so many edges.
    """
    if options.edges > EDGES:
        raise ComposeFailed(
            f"docker-compose.yml has {EDGES} edges; more run as processes: --engine process"
        )
    options.run_dir.mkdir(parents=True, exist_ok=True)
    if is_held_by_the_living(options.run_dir) or _running():
        raise AlreadyRunning(str(options.run_dir))
    claims = Claims()
    port = assign(["dashboard"], claims)["dashboard"]
    try:
        _up(options, port, output=2 if quiet else 1)
        fleet = _fleet(options, port)
    except BaseException as error:
        complaint = _complaint() if isinstance(error, ComposeFailed) else ""
        stop(options.run_dir)
        if complaint:
            raise ComposeFailed(f"{error}\n{complaint}") from None
        raise
    finally:
        claims.release()
    fleet.write()
    return fleet


def refuse_second(run_dir: Path) -> None:
    """Raises `AlreadyRunning` when the fleet that is recorded here runs in containers."""
    with contextlib.suppress(NoFleet, ComposeFailed):
        if Fleet.read(run_dir).engine == "compose" and _running():
            raise AlreadyRunning(str(run_dir))


def stop(run_dir: Path) -> None:
    """Stops and removes the containers; what is in the volumes stays.

    Raises:
        ComposeFailed: Docker refused.
    """
    _compose(["down", "--remove-orphans"], timeout_s=STOP_TIMEOUT_S, output=2)
    (run_dir / FLEET_FILE).unlink(missing_ok=True)


def _up(options: Options, port: int, *, output: int) -> None:
    """Starts the services and waits for them; then the trader, which nothing can wait for."""
    services = [name for name in _ask(["config", "--services"]).split() if name not in UNWATCHED]
    # The proxy is started after both edges: one that is not wanted has no containers instead.
    absent = ["--scale=edge-2=0"] if options.edges == 1 else []
    ports = {"TAPEWIRE_PORT": str(port)} | _broker_ports()
    starts = [["--build", "--wait", *absent, *services]]
    if options.demo:
        starts.append(["--build", "--no-deps", "trader"])
    for arguments in starts:
        _compose(
            ["up", "--detach", *arguments],
            timeout_s=START_TIMEOUT_S,
            environment=ports | _prices(options),
            output=output,
        )


def _broker_ports() -> dict[str, str]:
    """Ports that the broker keeps: those that Docker picks are others once it was started again.

    What is recorded here, and producers outside, would then lead nowhere.
    """
    names = ("TAPEWIRE_AMQP_PORT", "TAPEWIRE_MANAGEMENT_PORT")
    free = zip(names, take(len(names)), strict=True)
    return {name: os.environ.get(name) or str(port) for name, port in free}


def _prices(options: Options) -> dict[str, str]:
    """Where docker-compose.yml finds recorded prices."""
    if options.replay is None:
        return {}
    file = options.replay.resolve()
    return {
        "TAPEWIRE_PRICES": str(file.parent),
        "TAPEWIRE_MARKET_FEEDS": "producers,replay",
        "TAPEWIRE_MARKET_REPLAY_FILE": f"/prices/{file.name}",
    }


def _fleet(options: Options, port: int) -> Fleet:
    url = f"http://{LOOPBACK}:{port}"
    secrets = json.loads(_ask(["run", "--rm", "--no-deps", "-T", "secrets", "show"]))
    address = _ask(["port", "rabbitmq", "5672"]).strip()

    def amqp(user: str) -> str:
        return f"amqp://{user}:{quote(secrets['amqp'][user], safe='')}@{address}/%2F"

    return Fleet(
        engine="compose",
        amqp=amqp("operator"),
        inspector=amqp("inspector"),
        management=f"http://{_ask(['port', 'rabbitmq', '15672']).strip()}",
        urls=Urls(edge=(url,), ingest=url, desk=url, risk=url, market=url, dashboard=url),
        pids=_pids(),
        jwt_secret=secrets["jwt_secret"],
        run_dir=options.run_dir,
        logs=options.logs,
        demo=options.demo,
        started_at=datetime.now(UTC),
    )


def _complaint() -> str:
    """The ends of the logs of the containers that are not well."""
    states = [json.loads(line) for line in _ask(["ps", "--all", "--format", "json"]).splitlines()]
    ill = [
        state["Service"]
        for state in states
        if state["Health"] == "unhealthy" or (state["State"] != "running" and state["ExitCode"])
    ]
    return _ask(["logs", "--no-color", "--tail", "15", *ill]) if ill else ""


def _running() -> bool:
    """Whether the proxy, which is started last, runs."""
    return bool(_ask(["ps", "--quiet", "--status", "running", "haproxy"]).strip())


def _pids() -> dict[str, int]:
    """The pids of the containers' first processes, by service."""
    found: dict[str, int] = {}
    for line in _ask(["ps", "--format", "json"]).splitlines():
        container: dict[str, Any] = json.loads(line)
        inspect = ["docker", "inspect", "--format", "{{.State.Pid}}", container["ID"]]
        pid = subprocess.run(
            inspect, capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=True
        )
        found[container["Service"]] = int(pid.stdout)
    return found


def _ask(arguments: list[str]) -> str:
    """What `docker compose …` answers on standard output."""
    done = subprocess.run(
        _command(arguments),
        capture_output=True,
        text=True,
        timeout=ASK_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise ComposeFailed(f"docker compose {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _compose(
    arguments: list[str],
    *,
    timeout_s: float,
    output: int,
    environment: dict[str, str] | None = None,
) -> None:
    """Runs `docker compose …` with its progress on our descriptor `output`."""
    done = subprocess.run(
        _command(arguments),
        stdin=subprocess.DEVNULL,
        stdout=output,
        env={**os.environ, **(environment or {})},
        timeout=timeout_s,
        check=False,
    )
    if done.returncode:
        raise ComposeFailed(f"docker compose {arguments[0]} ended with code {done.returncode}")


def _command(arguments: list[str]) -> list[str]:
    root = project_root()
    if root is None:
        raise ComposeFailed("docker-compose.yml is in the work tree only; run this from there")
    return ["docker", "compose", "--project-directory", str(root), *arguments]
