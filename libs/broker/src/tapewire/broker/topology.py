"""What Tapewire has on the broker, as values. Nothing else names an exchange or a queue.

``python -m tapewire.broker`` prints it as a table (``docs/topology.md``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from tapewire.contracts import BUNDLE_SHARDS, bundle_key, escape

INGEST: Final = "tw.ingest"
EVENTS: Final = "tw.events"
ALERTS: Final = "tw.alerts"
MARKET: Final = "tw.market"
INBOX: Final = "tw.inbox"
UNROUTED: Final = "tw.unrouted"
RELAY: Final = "tw.relay"
RISK: Final = "tw.risk"
REJECTED: Final = "tw.rejected"
DEAD: Final = "tw.dead"

DAY_MS: Final = 24 * 3600 * 1000
RECENT_KEPT: Final = 100  # the original story's figure
RECENT_EXPIRES_MS: Final = 7 * DAY_MS
OWN_INBOX_EXPIRES_MS: Final = 14 * DAY_MS
SUBSCRIPTIONS_EXPIRE_MS: Final = 30 * DAY_MS
REVOCATIONS_KEPT: Final = "400D"  # a revocation lasts a year at most, and is not lost before
REVOCATIONS_SEGMENT_BYTES: Final = 1_000_000  # what is too old goes by whole segments

# Never reached. The default of 4.x, 20, deletes an alert at its 21st redelivery; -1 deletes at the
# first requeue on 3.x.
DELIVERY_LIMIT: Final = 1_000_000

# Open alerts that one consumer of an inbox holds. Everyone who consumes one takes so many: a quorum
# queue puts what is given back behind what was given back before, so whoever takes fewer than wait
# there already changes the order (docs/adr/0010).
INBOX_WINDOW: Final = 256

QueueType: TypeAlias = Literal["quorum", "classic"]


@dataclass(frozen=True)
class Exchange:
    """An exchange; a topic exchange unless it says otherwise."""

    name: str
    kind: str = "topic"
    durable: bool = True
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Binding:
    """What a queue is bound to. They are made in order; the last one makes the queue complete."""

    source: str
    routing_key: str


@dataclass(frozen=True)
class ExchangeBinding:
    """From exchange to exchange."""

    source: str
    destination: str
    routing_key: str


@dataclass(frozen=True)
class Queue:
    """A queue, its arguments, and what is bound to it from the start."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    bindings: tuple[Binding, ...] = ()
    durable: bool = True
    exclusive: bool = False


Thing: TypeAlias = Exchange | ExchangeBinding | Queue


def _quorum(*, single_active: bool = True, dead_letter: bool = True, **more: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT}
    if single_active:
        arguments["x-single-active-consumer"] = True
    if dead_letter:  # at least once: the broker's own hand-over is confirmed too (3.10 and later)
        arguments |= {
            "x-dead-letter-exchange": DEAD,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
    return arguments | {key.replace("_", "-"): value for key, value in more.items()}


EXCHANGES: Final = (
    Exchange(INGEST),
    Exchange(EVENTS),
    Exchange(ALERTS),
    Exchange(MARKET),
    Exchange(UNROUTED),
    # Nothing but inboxes may be bound here: a `#` would hide that a user has none.
    Exchange(INBOX, arguments={"alternate-exchange": UNROUTED}),
    Exchange(RELAY, durable=False),
    # Hashes the header `session`, since a session's routing keys differ in their last words.
    Exchange(RISK, kind="x-consistent-hash", arguments={"hash-header": "session"}),
    Exchange(REJECTED),
    Exchange(DEAD),
)

EXCHANGE_BINDINGS: Final = (
    ExchangeBinding(ALERTS, INBOX, "*.*.*.critical"),
    ExchangeBinding(ALERTS, INBOX, "*.*.*.emergency"),
    ExchangeBinding(EVENTS, RISK, "*.*.session.*"),
    ExchangeBinding(EVENTS, RISK, "*.*.trade.*"),
    ExchangeBinding(EVENTS, RISK, "*.*.position.*"),
    ExchangeBinding(EVENTS, RISK, "*.*.command.*"),
)

MAILROOM: Final = Queue("mailroom", _quorum(), (Binding(UNROUTED, "#"),))
INGEST_INBOX: Final = Queue("ingest.inbox", _quorum(), (Binding(INGEST, "#"),))
DESK_EVENTS: Final = Queue(
    "desk.events",
    _quorum(),
    (
        Binding(EVENTS, "*.*.session.*"),
        Binding(EVENTS, "*.*.decision.*"),
        Binding(EVENTS, "*.*.trade.*"),
        Binding(EVENTS, "*.*.position.*"),
        Binding(EVENTS, "*.*.milestone.*"),
        Binding(ALERTS, "#"),
    ),
)
MARKET_TICKS: Final = Queue(
    "market.ticks",
    {"x-queue-type": "classic", "x-max-length": 100_000, "x-message-ttl": 10_000},
    (Binding(MARKET, "tick.#"),),
)
MARKET_SNAPSHOT: Final = Queue(
    "market.snapshot", {"x-queue-type": "classic", "x-message-ttl": 5_000}
)
DESK_SNAPSHOT: Final = Queue("desk.snapshot", {"x-queue-type": "classic", "x-message-ttl": 5_000})
REJECTED_QUEUE: Final = Queue(
    "rejected",
    _quorum(single_active=False, dead_letter=False, x_max_length=10_000),
    (Binding(REJECTED, "#"),),
)
DEAD_QUEUE: Final = Queue(
    "dead", _quorum(single_active=False, dead_letter=False), (Binding(DEAD, "#"),)
)
REVOCATIONS: Final = Queue(
    "revocations",
    {
        "x-queue-type": "stream",
        "x-max-age": REVOCATIONS_KEPT,
        "x-stream-max-segment-size-bytes": REVOCATIONS_SEGMENT_BYTES,
    },
)
"""Revoked tokens: a log that whoever accepts tokens reads from the start (docs/adr/0024)."""

SERVICE_QUEUES: Final = (
    MAILROOM,
    INGEST_INBOX,
    DESK_EVENTS,
    MARKET_TICKS,
    MARKET_SNAPSHOT,
    DESK_SNAPSHOT,
    REJECTED_QUEUE,
    DEAD_QUEUE,
    REVOCATIONS,
)

FLEET: Final[tuple[Thing, ...]] = (*EXCHANGES, *EXCHANGE_BINDINGS, *SERVICE_QUEUES)
"""Everything that is there before the first user comes, but the risk shards."""


def risk_shard(shard: int) -> Queue:
    """Return the queue of a shard of the sessions. Its binding's key is its weight."""
    return Queue(f"risk.shard.{shard}", _quorum(), (Binding(RISK, "1"),))


def inbox(user: str, *, queue_type: QueueType = "quorum") -> Queue:
    """Return a user's inbox: a message leaves it only when some device of the user acked it.

    The user's own binding is made last: until it stands, the mailroom catches what comes.
    """
    return Queue(
        f"inbox.{escape(user)}",
        _inbox_arguments(queue_type),
        (Binding(INBOX, "all.#"), Binding(INBOX, f"{escape(user)}.#")),
    )


def own_inbox(user: str, client: str, *, queue_type: QueueType = "quorum") -> Queue:
    """Return the inbox of one client of a user (``inbox=own``): only that client's ack counts.

    Whoever opens it opens ``inbox(user)`` first: once any inbox of a user is bound, the mailroom
    does not hear of the user's alerts any more.
    """
    return Queue(
        f"inbox.{escape(user)}.{escape(client)}",
        _inbox_arguments(queue_type) | {"x-expires": OWN_INBOX_EXPIRES_MS},
        (Binding(INBOX, "all.#"), Binding(INBOX, f"{escape(user)}.#")),
    )


def recent(user: str, client: str | None = None) -> Queue:
    """Return a device's recent tray, or the one shared by a user's nameless connections.

    It keeps one message more than it promises: 101 waiting say that something was dropped. Its
    bindings follow the device's subscriptions and outlive its connections.
    """
    name = f"recent.{escape(user)}" + ("" if client is None else f".{escape(client)}")
    return Queue(
        name,
        {
            "x-queue-type": "classic",
            "x-single-active-consumer": True,
            "x-max-length": RECENT_KEPT + 1,
            "x-overflow": "drop-head",
            "x-expires": RECENT_EXPIRES_MS,
        },
    )


def subscriptions(user: str, client: str) -> Queue:
    """Return where the list of a named device's channels is kept: one message, the newest.

    It outlives the device's recent tray (30 days to its 7), so that a tray is never there without
    the list of what is bound to it.
    """
    return Queue(
        f"subs.{escape(user)}.{escape(client)}",
        {
            "x-queue-type": "classic",
            "x-max-length": 1,
            "x-overflow": "drop-head",
            "x-expires": SUBSCRIPTIONS_EXPIRE_MS,
        },
    )


def edge(node: str) -> Queue:
    """Return an edge process's queue for live copies, relays and control; it dies with it."""
    return Queue(f"edge.{node}", {"x-queue-type": "classic"}, durable=False, exclusive=True)


def _inbox_arguments(queue_type: QueueType) -> dict[str, Any]:
    if queue_type == "classic":
        return {"x-queue-type": "classic", "x-single-active-consumer": True}
    return _quorum(dead_letter=False)


def document() -> str:
    """Return the topology as Markdown: ``docs/topology.md``."""
    rows = [
        "# Topology",
        "",
        "What Tapewire has on the broker, printed by `python -m tapewire.broker`.",
        "`<user>` and `<client>` stand for escaped ids (`tapewire.contracts.ids`).",
        "",
    ]
    rows += ["| exchange | type | durable | arguments |", "|---|---|---|---|"]
    rows += [
        f"| `{e.name}` | {e.kind} | {'yes' if e.durable else 'no'} | {_arguments(e.arguments)} |"
        for e in EXCHANGES
    ]
    rows += ["", "| from | to | routing key |", "|---|---|---|"]
    rows += [f"| `{b.source}` | `{b.destination}` | `{b.routing_key}` |" for b in EXCHANGE_BINDINGS]
    rows += ["", "| queue | arguments | bound to |", "|---|---|---|"]
    queues = (
        *SERVICE_QUEUES,
        _named(risk_shard(0), "risk.shard.<n>"),
        inbox("<user>"),
        own_inbox("<user>", "<client>"),
        recent("<user>"),
        recent("<user>", "<client>"),
        subscriptions("<user>", "<client>"),
        edge("<node>"),
    )
    rows += [f"| `{q.name}` | {_arguments(q.arguments)} | {_bound(q)} |" for q in queues]
    rows += ["", f"Market bundles: `{bundle_key(0)}` … `{bundle_key(BUNDLE_SHARDS - 1)}`."]
    return "\n".join(rows) + "\n"


def _named(queue: Queue, name: str) -> Queue:
    return Queue(name, queue.arguments, queue.bindings, queue.durable, queue.exclusive)


def _arguments(arguments: Mapping[str, Any]) -> str:
    return "<br>".join(f"`{key}: {value}`" for key, value in arguments.items())


def _bound(queue: Queue) -> str:
    if queue.exclusive:
        return "by connections and subscriptions, and to `*.*.account.*`; exclusive, no acks"
    if not queue.bindings:
        return "by subscriptions" if queue.name.startswith("recent.") else "default exchange only"
    return "<br>".join(f"`{b.source}` `{b.routing_key}`" for b in queue.bindings)
