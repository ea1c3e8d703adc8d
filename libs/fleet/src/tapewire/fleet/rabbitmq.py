"""A private RabbitMQ node: never the system's own, nothing listening past 127.0.0.1.

The node runs without epmd: Erlang takes its distribution port from `-erl_epmd_port` (OTP 23 and
later) for listening as well as for connecting, so no daemon is left behind and two fleets never
meet. RabbitMQ's monitor would start an epmd within a minute all the same (it runs an `erl` with a
name); `ERL_AFLAGS` forbids that, and `ERL_EPMD_PORT`, a port where nobody listens, keeps it from a
system's. (The distribution port in its place would do, but makes every boot wait for 10 s.)

Administration goes over that port with `erl_call`, which ships with every Erlang and answers in
milliseconds where `rabbitmqctl` takes over a second.

Works with RabbitMQ 3.10 (Debian 12) to 4.x, as root and as a normal user.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tapewire.fleet.installation import Installation
from tapewire.fleet.ports import LOOPBACK, take

NODE_NAME = f"tapewire@{LOOPBACK}"  # a long name of an address: needs no resolver
PLUGINS = (
    "rabbitmq_consistent_hash_exchange",  # the risk shards' exchange
    "rabbitmq_management",  # AMQP cannot list queues: `tapewire inbox ls`
)

CALL_TIMEOUT_S = 15.0


class BrokerFailed(RuntimeError):
    """The node did not start, or refused what it was asked; the message ends with its log."""


@dataclass(frozen=True)
class Account:
    """A broker user that may do everything; its password stays out of logs."""

    name: str
    password: str = field(repr=False)


def administration(admin: Account, vhost: str = "/") -> dict[str, Any]:
    """RabbitMQ's definitions of one administrator and one empty vhost."""
    from tapewire.broker.permissions import password_hash  # half a second, for tests only

    return {
        "vhosts": [{"name": vhost}],
        "users": [
            {
                "name": admin.name,
                "password_hash": password_hash(admin.password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "administrator",
            }
        ],
        "permissions": [everything(admin, vhost)],
    }


def everything(account: Account, vhost: str) -> dict[str, str]:
    """A definitions' permission to do everything in `vhost`."""
    return {"user": account.name, "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"}


CONFIG = """\
# Written at every start.
listeners.tcp.1 = {host}:{amqp_port}
management.tcp.ip = {host}
management.tcp.port = {http_port}
load_definitions = {directory}/definitions.json
log.file = false
log.console = true
log.console.level = info
log.console.use_colors = off
log.connection.level = error
# Its default of 512 MB is for a server's disk, not for a directory of a work tree.
raft.wal_max_size_bytes = 67108864
"""


@dataclass(frozen=True)
class Node:
    """One private node: its directory, its ports, its administrator. Starting keeps old data.

    Attributes:
        epmd_port: nobody listens there; 0 for a node that is spoken to and not started.
        http_port: of the management API.
        definitions: imported at every start, before a client is let in: vhosts, users, topology.
    """

    directory: Path
    amqp_port: int
    dist_port: int
    admin: Account
    definitions: Mapping[str, Any]
    installation: Installation
    epmd_port: int = 0
    http_port: int = 0

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        admin: Account | None = None,
        definitions: Mapping[str, Any] | None = None,
        installation: Installation | None = None,
    ) -> Node:
        """A node on free ports; without `admin` and `definitions` one with a made-up password.

        Raises:
            BrokerFailed: RabbitMQ is not installed here.
        """
        installation = installation or Installation.find()
        if installation is None:
            raise BrokerFailed("rabbitmq-server and erl_call were not found on this machine")
        amqp_port, dist_port, http_port, epmd_port = take(4)
        admin = admin or Account("operator", secrets.token_urlsafe(24))
        if definitions is None:
            definitions = administration(admin)
        return cls(
            directory.resolve(),
            amqp_port,
            dist_port,
            admin,
            definitions,
            installation,
            epmd_port,
            http_port,
        )

    def url(self, vhost: str = "/", account: Account | None = None) -> str:
        """The AMQP URL of `account` (the administrator when not given) in `vhost`."""
        account = account or self.admin
        name, password = quote(account.name, safe=""), quote(account.password, safe="")
        return f"amqp://{name}:{password}@{LOOPBACK}:{self.amqp_port}/{quote(vhost, safe='')}"

    @property
    def management(self) -> str:
        """The base URL of the management API."""
        return f"http://{LOOPBACK}:{self.http_port}"

    def prepare(self) -> None:
        """Writes what the node reads at its start; everything readable by the owner only."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.directory.chmod(0o700)
        (self.directory / "home").mkdir(exist_ok=True)
        cookie = self.directory / "home" / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(secrets.token_hex(20))
            cookie.chmod(0o400)
        settings = {
            "host": LOOPBACK,
            "amqp_port": self.amqp_port,
            "http_port": self.http_port,
            "directory": self.directory,
        }
        (self.directory / "rabbitmq.conf").write_text(CONFIG.format(**settings))
        (self.directory / "enabled_plugins").write_text(f"[{','.join(PLUGINS)}].\n")
        (self.directory / "definitions.json").write_text(json.dumps(self.definitions, indent=1))

    @property
    def argv(self) -> list[str]:
        """The command that runs the node in the foreground; SIGTERM stops it cleanly."""
        return [str(self.installation.server)]

    @property
    def env(self) -> dict[str, str]:
        """The command's whole environment: nothing of a system node's settings gets in."""
        base = self.directory
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RABBITMQ_", "ERL_", "ERLANG_", "NOTIFY_SOCKET"))
        }
        distribution = (
            f"-name {NODE_NAME} -start_epmd false -erl_epmd_port {self.dist_port}"
            " -kernel inet_dist_use_interface {127,0,0,1}"
        )
        return clean | {
            "HOME": str(base / "home"),
            "ERL_AFLAGS": "-start_epmd false",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_CRASH_DUMP": str(base / "erl_crash.dump"),
            "RABBITMQ_CONF_ENV_FILE": str(base / "no-env.conf"),
            "RABBITMQ_NODENAME": NODE_NAME,
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": distribution,
            "RABBITMQ_CONFIG_FILE": str(base / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(base / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(base / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(base / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(base / "data"),
            "RABBITMQ_LOG_BASE": str(base / "log"),
            "RABBITMQ_SCHEMA_DIR": str(base / "schema"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(base / "config"),
            "RABBITMQ_PID_FILE": str(base / "pid"),
        }

    def is_ready(self) -> bool:
        """Whether the node takes AMQP connections and has finished its boot."""
        try:
            socket.create_connection((LOOPBACK, self.amqp_port), timeout=1).close()
            return self.eval("rabbit:is_running()") == "{ok, true}"
        except (OSError, BrokerFailed):
            return False

    def eval(self, expression: str) -> str:
        """Evaluates an Erlang expression on the node; returns erl_call's `{ok, …}` text.

        Raises:
            BrokerFailed: the node cannot be reached, or the expression raised.
        """
        address, timeout = f"{LOOPBACK}:{self.dist_port}", str(int(CALL_TIMEOUT_S))
        # Not `-r`: its random name is seeded with the second, and of two callers who have the same
        # name the node turns one away.
        caller = f"tapewire-{secrets.token_hex(6)}"
        try:
            call = subprocess.run(
                [
                    *(self.installation.erl_call, "-h", caller, "-address", address),
                    *("-timeout", timeout, "-e"),
                ],
                input=f"{expression}.\n".encode(),
                env={**os.environ, "HOME": str(self.directory / "home")},
                capture_output=True,
                timeout=CALL_TIMEOUT_S + 5,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BrokerFailed(f"the broker did not answer {expression[:80]!r}") from None
        answer = call.stdout.decode(errors="replace").strip()
        if call.returncode or not answer.startswith("{ok,"):
            error = call.stderr.decode(errors="replace").strip()
            raise BrokerFailed(f"the broker refused {expression[:80]!r}: {answer or error}")
        return answer

    def import_definitions(self, document: Mapping[str, Any]) -> None:
        """Imports vhosts, users, permissions, queues…; what is there already stays.

        Raises:
            BrokerFailed: the node refused the document.
        """
        encoded = base64.b64encode(json.dumps(document).encode()).decode()
        answer = self.eval(f'rabbit_definitions:import_raw(base64:decode(<<"{encoded}">>))')
        if answer != "{ok, ok}":
            raise BrokerFailed(f"the broker refused definitions: {answer}")

    def add_vhost(self, name: str) -> str:
        """Adds a vhost in which the administrator may do everything; returns its URL."""
        grant = everything(self.admin, name)
        self.import_definitions({"vhosts": [{"name": name}], "permissions": [grant]})
        return self.url(name)

    def delete_vhost(self, name: str) -> None:
        """Deletes a vhost with everything in it and closes its connections."""
        encoded = base64.b64encode(name.encode()).decode()
        self.eval(f'rabbit_vhost:delete(base64:decode(<<"{encoded}">>), <<"tapewire">>)')
