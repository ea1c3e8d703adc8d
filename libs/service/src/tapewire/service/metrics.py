"""Every metric of the fleet, declared as a value; `docs/metrics.md` is generated from this.

    metrics.counter(metrics.INGEST_EVENTS).add(1, {"outcome": "accepted", "source": "http"})
    stop = metrics.observe(metrics.OUTBOX_DEPTH, lambda: depth)

Attributes never carry ids of users, sessions or connections: each value is a time series.
Where a counter is counted a hundred thousand times a second, keep an int and `observe` it.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from opentelemetry import metrics as otel
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Observation

log = logging.getLogger(__name__)


class Kind(StrEnum):
    """What a metric is; `gauge` is a value of now, set or observed."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


# Bucket bounds in seconds: 0.5 ms, a local confirm, to 30 s, the ack deadline.
FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# Bucket bounds in seconds for what waits for a person: an ack comes in a second or a week.
PATIENT = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0, 86400.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's declaration. `unit` is UCUM: `s`, `By`, or `{thing}` for a count."""

    name: str
    kind: Kind
    unit: str
    description: str
    attributes: tuple[str, ...] = ()
    bounds: tuple[float, ...] = FAST


def _counter(name: str, unit: str, description: str, *attributes: str) -> Metric:
    return Metric(f"tapewire.{name}", Kind.COUNTER, unit, description, attributes)


def _gauge(name: str, unit: str, description: str, *attributes: str) -> Metric:
    return Metric(f"tapewire.{name}", Kind.GAUGE, unit, description, attributes)


def _seconds(
    name: str, description: str, *attributes: str, bounds: tuple[float, ...] = FAST
) -> Metric:
    return Metric(f"tapewire.{name}", Kind.HISTOGRAM, "s", description, attributes, bounds)


# Broker links: every service
BROKER_UP = _gauge("broker.up", "{link}", "1 while a link is connected, else 0", "role")
BROKER_RECONNECTS = _counter(
    "broker.reconnects", "{reconnect}", "Connections to the broker made again after a loss", "role"
)
CONFIRM_LATENCY = _seconds(
    "broker.confirm.duration", "From handing a message over to the broker's confirm", "exchange"
)
NOT_CONFIRMED = _counter(
    "broker.not_confirmed",
    "{message}",
    "Publishes that ended without a confirm; reason is deadline, nack, unroutable or closed",
    "exchange",
    "reason",
)
CONSUMED = _counter(
    "broker.consumed",
    "{message}",
    "Deliveries settled by a service's consumer; outcome is ack, requeue or dead_letter",
    "queue",
    "outcome",
)
REDELIVERED = _counter(
    "broker.redelivered", "{message}", "Deliveries that the broker marked redelivered", "queue"
)
HANDLE_LATENCY = _seconds("broker.handle.duration", "From a delivery to its settlement", "queue")

# Access: every service with clients
AUTH_FAILURES = _counter(
    "auth.failures", "{token}", "Tokens refused; reason is one of a fixed list", "reason"
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
    "Age of the oldest critical message that no device has acknowledged, on this edge",
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
TICKS = _counter("market.ticks", "{tick}", "Ticks received", "feed")
BAD_TICKS = _counter(
    "market.bad_ticks",
    "{tick}",
    "Ticks set aside; reason is negative, crossed, out_of_order or jump",
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

Reading = float | Iterable[tuple[float, Mapping[str, str]]]
Callback = Callable[[], Reading]


class Gauge:
    """A value of now, set by hand; the last one set for each attributes is reported."""

    def __init__(self) -> None:
        self._values: dict[tuple[tuple[str, str], ...], float] = {}

    def set(self, value: float, attributes: Mapping[str, str] | None = None) -> None:
        """Report this value from now on."""
        self._values[tuple(sorted((attributes or {}).items()))] = value

    def clear(self, attributes: Mapping[str, str] | None = None) -> None:
        """Report nothing for these attributes any more."""
        self._values.pop(tuple(sorted((attributes or {}).items())), None)

    def readings(self) -> list[tuple[float, Mapping[str, str]]]:
        """Return what is reported."""
        return [(value, dict(key)) for key, value in list(self._values.items())]


_callbacks: dict[str, list[Callback]] = {}
_added: set[str] = set()  # counters in use by `counter`; a name is added to or observed


@cache
def counter(metric: Metric) -> Counter:
    """Return the counter: `.add(n, {attribute: value})`."""
    _check(metric, Kind.COUNTER)
    if metric.name in _callbacks:
        raise ValueError(f"{metric.name} is observed in this process")
    _added.add(metric.name)
    return _meter().create_counter(metric.name, metric.unit, metric.description)


@cache
def histogram(metric: Metric) -> Histogram:
    """Return the histogram: `.record(seconds, {attribute: value})`."""
    _check(metric, Kind.HISTOGRAM)
    return _meter().create_histogram(
        metric.name,
        metric.unit,
        metric.description,
        explicit_bucket_boundaries_advisory=metric.bounds,
    )


@cache
def gauge(metric: Metric) -> Gauge:
    """Return the gauge: `.set(value, {attribute: value})`."""
    made = Gauge()
    observe(metric, made.readings)
    return made


def observe(metric: Metric, callback: Callback) -> Callable[[], None]:
    """Read a gauge's value, or a counter's total, whenever `/metrics` is asked for.

    Args:
        metric: a gauge or a counter.
        callback: returns a number, or (number, attributes) pairs. Must be quick and not block.

    Returns:
        A function that ends the observation.
    """
    if metric.kind is Kind.HISTOGRAM or metric.name in _added:
        raise ValueError(f"{metric.name} cannot be observed")
    if metric.name not in _callbacks:
        _callbacks[metric.name] = []
        create = (
            _meter().create_observable_counter
            if metric.kind is Kind.COUNTER
            else _meter().create_observable_gauge
        )
        create(metric.name, [_reader(metric.name)], metric.unit, metric.description)
    callbacks = _callbacks[metric.name]
    callbacks.append(callback)

    def stop() -> None:
        if callback in callbacks:
            callbacks.remove(callback)

    return stop


def _reader(name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def read(_: CallbackOptions) -> Iterable[Observation]:
        for callback in list(_callbacks[name]):
            try:
                reading = callback()
                if isinstance(reading, int | float):
                    reading = [(reading, {})]
                found = [Observation(value, dict(attributes)) for value, attributes in reading]
            except Exception:  # one part's fault must not hide the others' figures
                log.exception("metric could not be read", extra={"metric": name})
            else:
                yield from found

    return read


def _check(metric: Metric, kind: Kind) -> None:
    if metric.kind is not kind:
        raise ValueError(f"{metric.name} is a {metric.kind}, not a {kind}")


def _meter() -> otel.Meter:
    return otel.get_meter("tapewire")
