"""The programs of a fleet on one machine: one table says what runs, with which environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tapewire.broker.permissions import definitions
from tapewire.fleet.keyring import Keyring
from tapewire.fleet.options import Options
from tapewire.fleet.ports import LOOPBACK, Claims, assign
from tapewire.fleet.rabbitmq import Account, Node
from tapewire.fleet.record import Urls, project_root

Ready = Callable[[], Awaitable[bool]]

PROBE_TIMEOUT_S = 2.0
DEMO_USER = "alice"


@dataclass(frozen=True)
class Program:
    """A process that the supervisor keeps running.

    Attributes:
        env: the whole environment.
        ready: whether it serves; None when running is all that can be known.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    cwd: Path
    ready: Ready | None = None


@dataclass(frozen=True)
class Plan:
    """The stages in which a fleet starts; every program of one is ready before the next begins."""

    stages: tuple[tuple[Program, ...], ...]
    urls: Urls
    amqp: str = field(repr=False)
    inspector: str = field(repr=False)
    management: str
    jwt_secret: str = field(repr=False)


def plan(options: Options, keyring: Keyring, claims: Claims) -> Plan:
    """Decides programs, ports and environments; writes what the broker reads at its start.

    Raises:
        BrokerFailed: RabbitMQ is not installed.
        NoFreePort: the machine is full.
    """
    operator = Account("operator", keyring.broker["operator"])
    node = Node.create(
        options.run_dir / "rabbitmq", admin=operator, definitions=definitions(keyring.broker)
    )
    node.prepare()
    edges = [f"edge-{number}" for number in range(1, options.edges + 1)]
    names = ["dashboard", *edges, "ingest", "desk", "risk", "market"]
    ports = assign(names, claims)
    url = {name: f"http://{LOOPBACK}:{port}" for name, port in ports.items()}
    urls = Urls(
        edge=tuple(url[name] for name in edges),
        **{name: url[name] for name in ("ingest", "desk", "risk", "market", "dashboard")},
    )
    common = _common(options, keyring, urls)
    of_each = _of_each(options, urls)

    def service(name: str) -> Program:
        module = name.partition("-")[0]
        own = {
            "TAPEWIRE_AMQP_URL": node.url(account=Account(module, keyring.broker[module]))
            if module in keyring.broker
            else node.url(account=Account("producer", keyring.broker["producer"])),
            "TAPEWIRE_HTTP_PORT": str(ports[name]),
        }
        return Program(
            name=name,
            argv=(sys.executable, "-m", f"tapewire.{module}"),
            env=common | of_each.get(module, {}) | own,
            cwd=options.run_dir,
            ready=_http_ready(url[name] + ready_path(name)),
        )

    broker = Program(
        "rabbitmq", tuple(node.argv), node.env, node.directory, ready=_broker_ready(node)
    )
    stages: list[tuple[Program, ...]] = [(broker,), tuple(service(name) for name in names)]
    if options.demo:
        producer = Account("producer", keyring.broker["producer"])
        stages.append((_trader(common, urls, node.url(account=producer), options),))
    inspector = node.url(account=Account("inspector", keyring.broker["inspector"]))
    return Plan(tuple(stages), urls, node.url(), inspector, node.management, keyring.jwt_secret)


def _common(options: Options, keyring: Keyring, urls: Urls) -> dict[str, str]:
    """The environment of every service: this process's, with the fleet's own settings."""
    port = urls.dashboard.rpartition(":")[2]
    inherited = {
        name: value
        for name, value in os.environ.items()
        # An address of another fleet must not leak in; a setting such as the log level may.
        if name not in {"DATABASE_URL", "TAPEWIRE_JWKS_URL", "TAPEWIRE_HTTP_HOST"}
        and not name.endswith("_FILE")
    }
    return (
        {"TAPEWIRE_LOG_FORMAT": "console"}
        | inherited
        | {
            "PYTHONUNBUFFERED": "1",
            "TAPEWIRE_JWT_SECRET": keyring.jwt_secret,
            "TAPEWIRE_HTTP_HOST": LOOPBACK,
            "TAPEWIRE_DATA_DIR": str(options.run_dir / "data"),
            "TAPEWIRE_CORS_ORIGINS": f"http://{LOOPBACK}:{port},http://localhost:{port}",
            "TAPEWIRE_INBOX_QUEUE_TYPE": os.environ.get("TAPEWIRE_INBOX_QUEUE_TYPE", "quorum"),
        }
    )


def _of_each(options: Options, urls: Urls) -> dict[str, dict[str, str]]:
    """What one service is told and the others are not, by module."""
    return {
        "risk": {"TAPEWIRE_RISK_STOP_MODE": "halt"} if options.demo else {},
        "market": _prices(options),
        "dashboard": {
            "TAPEWIRE_DEMO": "1" if options.demo else "0",
            "TAPEWIRE_DASHBOARD_EDGE_URLS": ",".join(urls.edge),
            "TAPEWIRE_DASHBOARD_INGEST_URL": urls.ingest,
            "TAPEWIRE_DASHBOARD_DESK_URL": urls.desk,
            "TAPEWIRE_DASHBOARD_RISK_URL": urls.risk,
            "TAPEWIRE_DASHBOARD_MARKET_URL": urls.market,
        },
    }


def _prices(options: Options) -> dict[str, str]:
    """What the market is told to play; its speed and the like are inherited."""
    if options.replay is None:
        return {}
    return {
        "TAPEWIRE_MARKET_FEEDS": "producers,replay",
        "TAPEWIRE_MARKET_REPLAY_FILE": str(options.replay.resolve()),
    }


def _trader(common: Mapping[str, str], urls: Urls, amqp: str, options: Options) -> Program:
    """The strategy of `examples/`, as any user of the SDK would run it."""
    root = project_root()
    assert root is not None, "the demo runs from the work tree"
    env = {
        "TAPEWIRE_AMQP_URL": amqp,
        "TAPEWIRE_EDGE_URL": urls.edge[0],
        "TAPEWIRE_INGEST_URL": urls.ingest,
        "TAPEWIRE_USER": DEMO_USER,
    }
    script = root / "examples" / "paper_trader.py"
    return Program("trader", (sys.executable, str(script)), {**common, **env}, options.run_dir)


def ready_path(name: str) -> str:
    """Where a service says that it can be used; the dashboard can, also before it is built."""
    return "/healthz" if name == "dashboard" else "/readyz"


def _http_ready(url: str) -> Ready:
    async def ready() -> bool:
        async with httpx.AsyncClient(timeout=PROBE_TIMEOUT_S, trust_env=False) as client:
            try:
                return (await client.get(url)).is_success
            except httpx.HTTPError:
                return False

    return ready


def _broker_ready(node: Node) -> Ready:
    async def ready() -> bool:
        import asyncio

        return await asyncio.to_thread(node.is_ready)

    return ready
