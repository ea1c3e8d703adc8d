"""Who may do what on the broker: one user per service, least privilege, as values.

`definitions` makes of them the document that a RabbitMQ node imports (`load_definitions`,
`rabbitmqctl import_definitions`, the management API): users, permissions and the whole static
topology, so that no service needs the right to declare an exchange.

    python -m tapewire.broker.permissions > infra/rabbitmq/definitions.json     without passwords
    python -m tapewire.broker.permissions --table
    echo '{"edge": "…", "operator": "…"}' | python -m tapewire.broker.permissions --passwords

RabbitMQ's rules (https://www.rabbitmq.com/docs/access-control): declaring needs *configure* on the
thing, and for a dead-letter exchange also *write* on that and *read* on the queue; binding needs
*write* on the destination and *read* on the source; publishing *write* on the exchange; consuming
*read* on the queue. The default exchange is called `amq.default` there.
"""

import base64
import hashlib
import json
import re
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tapewire.broker import topology
from tapewire.broker.topology import ALERTS, DEAD, EVENTS, INBOX, INGEST, MARKET, RELAY, RISK

DEFAULT_EXCHANGE: Final = "amq.default"
REVOCATIONS: Final = topology.REVOCATIONS.name
ADMINISTRATOR: Final = "administrator"


@dataclass(frozen=True)
class Grant:
    """What one broker user may do. Names are exact, or prefixes when they end with `.` or `-`.

    Attributes:
        declares: queues (and one exchange) that it may declare, bind, consume and delete.
        writes: exchanges that it may publish to.
        reads: exchanges that it may bind its queues to, and further queues that it may consume.
        topics: for an exchange, the pattern that the keys of its bindings must match.
        says: for an exchange, the pattern that the keys of what it publishes must match.
        tags: RabbitMQ's tags; `administrator` sees and does everything, `management` may ask the
            management API for what there is.
    """

    user: str
    purpose: str
    declares: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    topics: Mapping[str, str] = field(default_factory=dict[str, str])
    says: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: tuple[str, ...] = ()

    @property
    def configure(self) -> str:
        """RabbitMQ's configure pattern."""
        return ".*" if ADMINISTRATOR in self.tags else _pattern(self.declares)

    @property
    def write(self) -> str:
        """RabbitMQ's write pattern; a queue is written to when it is bound."""
        return ".*" if ADMINISTRATOR in self.tags else _pattern((*self.writes, *self.declares))

    @property
    def read(self) -> str:
        """RabbitMQ's read pattern; an exchange is read from when a queue is bound to it."""
        return ".*" if ADMINISTRATOR in self.tags else _pattern((*self.reads, *self.declares))


GRANTS: Final = (
    Grant(
        "edge",
        "holds clients: their trays, live copies, relays, commands",
        # The exchange between edges is not durable: the first edge to come back makes it again.
        declares=(RELAY, "edge.", "recent.", "inbox.", "subs."),
        # The latter for requests for snapshots, and for revocations.
        writes=(INGEST, DEFAULT_EXCHANGE),
        reads=(EVENTS, ALERTS, MARKET, INBOX, REVOCATIONS),
    ),
    Grant(
        "ingest",
        "validates what producers send",
        declares=(topology.INGEST_INBOX.name,),
        # The default exchange: results, to producers that set reply-to.
        writes=(EVENTS, ALERTS, MARKET, topology.REJECTED, DEAD, DEFAULT_EXCHANGE),
        reads=(INGEST, REVOCATIONS),
    ),
    Grant(
        "risk",
        "alerts and stop orders",
        declares=("risk.",),
        writes=(EVENTS, ALERTS, DEAD),
        reads=(RISK, EVENTS, MARKET, REVOCATIONS),
    ),
    Grant(
        "market",
        "conflates ticks into bundles, answers for last values",
        declares=("market.",),
        writes=(MARKET, ALERTS, DEFAULT_EXCHANGE),
        reads=(MARKET, REVOCATIONS),
    ),
    Grant(
        "desk",
        "keeps sessions and history; opens inboxes and refills them from the mailroom",
        declares=("desk.", topology.MAILROOM.name, "inbox."),
        writes=(EVENTS, DEAD, DEFAULT_EXCHANGE),
        reads=(EVENTS, ALERTS, INBOX, topology.UNROUTED, REVOCATIONS),
    ),
    Grant("producer", "any program that emits events", writes=(INGEST,)),
    Grant(
        "executor",
        "a trading platform: a producer that also hears the stop orders",
        declares=("executor.", "amq.gen-"),  # amq.gen-…: named by the broker, exclusive
        writes=(INGEST,),
        reads=(EVENTS,),
        topics={EVENTS: r"^[^.]+\.[^.]+\.command\.emergency_stop$"},
    ),
    Grant(
        "inspector",
        "the operator's view: `tapewire inbox`, `tapewire rejected`",
        declares=("inspector.",),
        writes=(RELAY, INGEST),
        # Whoever may consume may also settle: AMQP knows no right to look only.
        reads=(RELAY, "inbox.", topology.REJECTED_QUEUE.name),
        topics={RELAY: r"^\*\.copy$"},
        says={RELAY: r"^[^.]+\.asked$"},  # not `acked`: that would take an alert from its inbox
        tags=("management",),
    ),
    Grant("operator", "the person in charge", tags=(ADMINISTRATOR,)),
)

USERS: Final = tuple(grant.user for grant in GRANTS)


def definitions(passwords: Mapping[str, str], *, vhost: str = "/") -> dict[str, Any]:
    """Return RabbitMQ's definitions: the users that have a password, and the static topology.

    Args:
        passwords: by user; the document holds salted hashes of them only.
        vhost: created with everything in it.

    Raises:
        ValueError: a user that is not in `GRANTS`.
    """
    if unknown := passwords.keys() - set(USERS):
        raise ValueError(f"no such broker user: {', '.join(sorted(unknown))}")
    document = _document([grant for grant in GRANTS if grant.user in passwords], vhost)
    for user in document["users"]:
        user["password_hash"] = password_hash(passwords[user["name"]])
    return document


def template() -> dict[str, Any]:
    """Return the definitions of every user, without `password_hash`, which the importer adds."""
    return _document(GRANTS, "/")


def _document(granted: Sequence[Grant], vhost: str) -> dict[str, Any]:
    return {
        "vhosts": [{"name": vhost}],
        "users": [
            {
                "name": grant.user,
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": ",".join(grant.tags),
            }
            for grant in granted
        ],
        "permissions": [
            {
                "user": grant.user,
                "vhost": vhost,
                "configure": grant.configure,
                "write": grant.write,
                "read": grant.read,
            }
            for grant in granted
        ],
        "topic_permissions": [
            {
                "user": grant.user,
                "vhost": vhost,
                "exchange": exchange,
                "write": grant.says.get(exchange, ".*"),
                "read": grant.topics.get(exchange, ".*"),
            }
            for grant in granted
            for exchange in sorted({*grant.topics, *grant.says})
        ],
        **_static_topology(vhost),
    }


def password_hash(password: str, salt: bytes | None = None) -> str:
    """Return RabbitMQ's salted SHA-256: base64 of the 4 bytes of salt and the digest."""
    salt = secrets.token_bytes(4) if salt is None else salt
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def table() -> str:
    """Return the grants as a Markdown table."""
    rows = ["| user | for | configure | write | read |", "|---|---|---|---|---|"]
    for grant in GRANTS:
        patterns = (grant.configure, grant.write, grant.read)
        cells = " | ".join(f"`{pattern}`".replace("|", "\\|") for pattern in patterns)
        rows.append(f"| `{grant.user}` | {grant.purpose} | {cells} |")
    return "\n".join(rows) + "\n"


def _pattern(names: Iterable[str]) -> str:
    """Return the anchored pattern of exact names and of prefixes."""
    words = [re.escape(name) + (".*" if name.endswith((".", "-")) else "") for name in names]
    return f"^({'|'.join(words)})$" if words else "^$"


def _static_topology(vhost: str) -> dict[str, Any]:
    queues = topology.SERVICE_QUEUES
    bindings = [
        _binding(vhost, binding.source, queue.name, "queue", binding.routing_key)
        for queue in queues
        for binding in queue.bindings
    ]
    bindings += [
        _binding(vhost, between.source, between.destination, "exchange", between.routing_key)
        for between in topology.EXCHANGE_BINDINGS
    ]
    return {
        "exchanges": [
            {
                "name": exchange.name,
                "vhost": vhost,
                "type": exchange.kind,
                "durable": exchange.durable,
                "auto_delete": False,
                "internal": False,
                "arguments": dict(exchange.arguments),
            }
            for exchange in topology.EXCHANGES
        ],
        "queues": [
            {
                "name": queue.name,
                "vhost": vhost,
                "durable": queue.durable,
                "auto_delete": False,
                "arguments": dict(queue.arguments),
            }
            for queue in queues
        ],
        "bindings": bindings,
    }


def _binding(vhost: str, source: str, destination: str, kind: str, key: str) -> dict[str, Any]:
    return {
        "source": source,
        "vhost": vhost,
        "destination": destination,
        "destination_type": kind,
        "routing_key": key,
        "arguments": {},
    }


def main(arguments: Sequence[str]) -> str:
    """Return what the command line asks for."""
    if list(arguments) == ["--table"]:
        return table()
    if list(arguments) == ["--passwords"]:
        passwords = json.load(sys.stdin)
        document = definitions(passwords)
        if left_out := [user for user in USERS if user not in passwords]:
            print(f"left out, having no password: {', '.join(left_out)}", file=sys.stderr)
    else:
        document = template()
    return json.dumps(document, indent=1) + "\n"


if __name__ == "__main__":
    print(main(sys.argv[1:]), end="")
