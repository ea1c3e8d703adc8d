"""Every metric of the fleet, declared as a value; `docs/metrics.md` is generated from this.

    metrics.counter(metrics.INGEST_EVENTS).add(1, {"outcome": "accepted", "source": "http"})
    live = metrics.counter(metrics.DELIVERIES).of({"class": "live"})  # on hot paths: live.add(1)
    metrics.histogram(metrics.CONFIRM_LATENCY).record(seconds, {"exchange": "tw.events"})
    metrics.gauge(metrics.BROKER_UP).set(1, {"role": "publish"})
    stop = metrics.observe(metrics.OUTBOX_DEPTH, lambda: depth)

Attributes never carry ids of users, sessions or connections: each value is a time series.
"""

from tapewire.service.instruments import FAST, PATIENT, Kind, Metric
from tapewire.service.instruments import Callback as Callback
from tapewire.service.instruments import Counter as Counter
from tapewire.service.instruments import Gauge as Gauge
from tapewire.service.instruments import counter as counter
from tapewire.service.instruments import gauge as gauge
from tapewire.service.instruments import histogram as histogram
from tapewire.service.instruments import observe as observe


def _counter(name: str, unit: str, description: str, *attributes: str) -> Metric:
    return Metric(f"tapewire.{name}", Kind.COUNTER, unit, description, attributes)


def _gauge(name: str, unit: str, description: str, *attributes: str) -> Metric:
    return Metric(f"tapewire.{name}", Kind.GAUGE, unit, description, attributes)


def _seconds(
    name: str, description: str, *attributes: str, bounds: tuple[float, ...] = FAST
) -> Metric:
    return Metric(f"tapewire.{name}", Kind.HISTOGRAM, "s", description, attributes, bounds)


# Broker links: every service
BROKER_UP = _gauge("broker.up", "{link}", "Links to the broker that are connected", "role")
BROKER_RECONNECTS = _counter(
    "broker.reconnects", "{reconnect}", "Connections to the broker made again after a loss", "role"
)
CONFIRM_LATENCY = _seconds(
    "broker.confirm.duration", "From handing a message over to the broker's confirm", "exchange"
)
NOT_CONFIRMED = _counter(
    "broker.not_confirmed",
    "{message}",
    "Publishes that ended without a confirm; reason is deadline, unroutable or failed",
    "exchange",
    "reason",
)
REDELIVERED = _counter(
    "broker.redelivered", "{message}", "Deliveries that the broker marked redelivered", "queue"
)
HANDLE_LATENCY = _seconds(
    "broker.handle.duration",
    "From a handler's start to the settlement; outcome is ack, requeue or dead_letter",
    "queue",
    "outcome",
)

# Access: every service with clients
AUTH_FAILURES = _counter(
    "auth.failures", "{token}", "Tokens refused; reason is one of a fixed list", "reason"
)
REVOCATIONS = _gauge(
    "auth.revocations",
    "{revocation}",
    "Tokens and users of whom revocations are kept; the same on every service",
)
RATE_LIMITED = _counter(
    "rate_limited",
    "{request}",
    "Requests or messages refused by a limit; limit is messages, bytes, channels, connections "
    "or handshakes",
    "limit",
)

# Outboxes: risk, desk
OUTBOX_DEPTH = _gauge("outbox.depth", "{message}", "Messages committed and not yet confirmed")
OUTBOX_OLDEST = _gauge("outbox.oldest.age", "s", "Age of the oldest message in the outbox")

# Edge
CONNECTIONS = _gauge(
    "edge.connections",
    "{connection}",
    "Open client connections; transport is ws, sse or poll",
    "transport",
)
CONNECTIONS_CLOSED = _counter(
    "edge.connections.closed", "{connection}", "Client connections closed", "code"
)
WELCOME_LATENCY = _seconds("edge.welcome.duration", "From a client's opening to its `welcome`")
CLIENT_MESSAGES = _counter(
    "edge.client_messages",
    "{message}",
    "Messages that clients sent; unknown types are `other`",
    "type",
)
DELIVERIES = _counter(
    "edge.deliveries", "{message}", "Messages written to client connections", "class"
)
DELIVERED_BYTES = _counter("edge.delivered", "By", "Bytes written to client connections")
CONFLATED = _counter(
    "edge.conflated", "{message}", "Live messages replaced by a newer one of the same key"
)
DROPPED = _counter(
    "edge.dropped",
    "{message}",
    "Messages not delivered to a connection that was too slow",
    "class",
)
GAPS = _counter("edge.gaps", "{gap}", "Times that a client was told `gap: true`")
RESENT = _counter("edge.resent", "{message}", "Critical messages sent again for want of an ack")
RELAYED = _counter("edge.relayed", "{message}", "Deliveries relayed between edges", "direction")
MAILBOXES = _gauge("edge.mailboxes", "{mailbox}", "Mailboxes by state", "state")
UNSETTLED = _gauge(
    "edge.unsettled", "{message}", "Deliveries held by this edge and not yet settled", "class"
)
OLDEST_UNACKED = _gauge(
    "edge.oldest_unacked.age",
    "s",
    "How long the oldest critical message has been on this edge that no device acknowledged",
)
SETTLE_LATENCY = _seconds(
    "edge.settle.duration", "From a tray's delivery to its settlement", "class", bounds=PATIENT
)

# Ingest
INGEST_EVENTS = _counter(
    "ingest.events",
    "{event}",
    "Events taken in; outcome is accepted, duplicate, rejected or unavailable; source amqp or http",
    "outcome",
    "source",
)

# Risk
ALERTS = _counter("risk.alerts", "{alert}", "Alerts raised", "rule", "level")
RISK_REPEATS = _counter(
    "risk.repeats", "{alert}", "Alerts told again that nobody acknowledged", "rule", "level"
)
EPISODES = _gauge("risk.episodes", "{episode}", "Open episodes by state", "rule", "state")
STOPS = _counter(
    "risk.stops", "{stop}", "Emergency stops by mode and by the state they reached", "mode", "state"
)
RISK_APPLIED = _counter("risk.events", "{event}", "Events applied", "type")
RISK_COMMIT_LATENCY = _seconds("risk.commit.duration", "From an event's delivery to its commit")

# Market
FEED_STALENESS = _gauge("market.feed.staleness", "s", "Time since the feed's last tick", "feed")
FEED_RECONNECTS = _counter(
    "market.feed.reconnects", "{reconnect}", "Feed connections made again", "feed"
)
FEED_GAPS = _counter(
    "market.feed.gaps", "{gap}", "Times that a venue's sequence numbers left some out", "feed"
)
TICKS = _counter("market.ticks", "{tick}", "Ticks received", "feed")
BAD_TICKS = _counter(
    "market.bad_ticks",
    "{tick}",
    "Ticks set aside; reason is negative, crossed, out_of_order, jump or malformed",
    "feed",
    "reason",
)
MARKET_CONFLATED = _counter(
    "market.conflated", "{tick}", "Ticks replaced by a newer one before they were published"
)
BUNDLES = _counter("market.bundles", "{message}", "Bundles published")
BUNDLE_LINES = _counter("market.bundle_lines", "{message}", "Market messages inside bundles")

# Desk
MAILROOM_OPENED = _counter(
    "desk.mailroom.opened", "{queue}", "Inboxes opened for users seen for the first time"
)
MAILROOM_FORWARDED = _counter(
    "desk.mailroom.forwarded", "{message}", "Messages put into an inbox by the mailroom"
)
NOTIFICATIONS = _counter("desk.notifications", "{notification}", "Notifications recorded", "type")

# Snapshots: desk, market
SNAPSHOT_LATENCY = _seconds("snapshot.duration", "Time to answer a snapshot request", "source")

ALL: tuple[Metric, ...] = tuple(value for value in globals().values() if isinstance(value, Metric))
