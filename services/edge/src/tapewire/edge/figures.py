"""What the edge's metrics are read from."""

from collections.abc import Callable, Iterable, Mapping

from tapewire.edge.connection.effects import Kind
from tapewire.edge.mailbox.lines import Lines
from tapewire.edge.mailbox.mailboxes import Mailboxes
from tapewire.edge.mailbox.relay import Relays
from tapewire.edge.runtime.clock import Clock
from tapewire.edge.transport.wire import Tally
from tapewire.edge.websocket.gate import Gate
from tapewire.service import metrics
from tapewire.service.metrics import Metric

Readings = Iterable[tuple[float, Mapping[str, str]]]


class Figures:
    """Component: observed while the edge runs."""

    name = "figures"

    def __init__(
        self,
        tally: Tally,
        *,
        gate: Gate,
        lines: Lines,
        mailboxes: Mailboxes,
        relays: Relays,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._lines = lines
        self._observed: dict[Metric, Callable[[], float | Readings]] = {
            metrics.CONNECTIONS: lambda: [
                (count, {"transport": transport}) for transport, count in gate.connections.items()
            ],
            metrics.CONNECTIONS_CLOSED: lambda: [
                (count, {"code": str(int(code))}) for code, count in tally.closed.items()
            ],
            metrics.DELIVERIES: lambda: [
                (tally.live, {"class": "live"}),
                (tally.recent, {"class": "recent"}),
                (tally.critical, {"class": "critical"}),
            ],
            metrics.DELIVERED_BYTES: lambda: tally.bytes,
            metrics.CONFLATED: lambda: tally.conflated,
            metrics.DROPPED: lambda: [(tally.dropped, {"class": "recent"})],
            metrics.RESENT: lambda: lines.resent,
            metrics.RELAYED: lambda: [
                (relays.sent, {"direction": "out"}),
                (lines.letters.copies_in, {"direction": "in"}),
            ],
            metrics.MAILBOXES: lambda: [
                (count, {"state": state.value}) for state, count in mailboxes.states().items()
            ],
            metrics.UNSETTLED: self._unsettled,
            metrics.OLDEST_UNACKED: self._oldest,
        }
        self._stop: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Begin to be read."""
        self._stop = [metrics.observe(metric, read) for metric, read in self._observed.items()]

    async def drain(self) -> None:
        """Nothing to finish."""

    async def stop(self) -> None:
        """Be read no more."""
        for stop in self._stop:
            stop()

    def health(self) -> str | None:
        """Return None: figures are always there."""
        return None

    def _unsettled(self) -> Readings:
        found = dict.fromkeys(Kind, 0)
        for line in self._lines:
            found[line.kind] += line.tray.unsettled
        return [(count, {"class": kind.value}) for kind, count in found.items()]

    def _oldest(self) -> float:
        ages = [
            self._clock.now() - at
            for line in self._lines
            if line.kind is Kind.INBOX and (at := line.tray.oldest_at) is not None
        ]
        return max(ages, default=0.0)
