"""How much a client may ask for."""

from typing import Final, NamedTuple

# Messages that cost the edge or the broker less than a subscription does.
COSTS: Final = {"ack": 0.02, "heartbeat": 0.25}

# A client may be this many seconds of its rate in debt; it was told to slow down all the while.
DEBT_S: Final = 5.0


class Bucket:
    """A token bucket. Refused requests count too, so that one who never listens is found out.

    Args:
        rate_per_s: what flows in.
        burst: what it holds when full.
        now: the time, seconds of a monotonic clock.
    """

    __slots__ = ("_at", "_level", "burst", "rate_per_s")

    def __init__(self, rate_per_s: float, burst: float, now: float) -> None:
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._level = burst
        self._at = now

    def take(self, now: float, cost: float = 1.0) -> float:
        """Take ``cost``. Return 0.0, or for how many seconds there would have been too little."""
        self._level = min(self.burst, self._level + (now - self._at) * self.rate_per_s)
        self._at = now
        if self._level >= cost:
            self._level -= cost
            return 0.0
        wait_s = (cost - self._level) / self.rate_per_s
        self._level = max(self._level - cost, -DEBT_S * self.rate_per_s)
        return wait_s

    @property
    def exhausted(self) -> bool:
        """Whether the debt is as deep as it gets: the client takes no notice."""
        return self._level <= -DEBT_S * self.rate_per_s + 1e-9

    def full(self, now: float) -> bool:
        """Whether it would be full by now: nothing is lost by forgetting it."""
        return self._level + (now - self._at) * self.rate_per_s >= self.burst


class Limits(NamedTuple):
    """What one connection, user and address may do."""

    messages_per_s: int = 20
    channels: int = 256
    message_bytes: int = 65_536
    connections: int = 20_000  # of this process
    connections_per_user: int = 20
    handshakes_per_s: float = 200.0  # of one address that is not this machine
    bad_messages: int = 5  # in a minute; the next one ends the connection


class Handshakes:
    """Buckets by address, forgotten when full."""

    SWEEP_AT: Final = 10_000  # addresses; beyond it an attack would only find memory to fill

    def __init__(self, rate_per_s: float) -> None:
        self._rate = rate_per_s
        self._buckets: dict[str, Bucket] = {}

    def allow(self, address: str, now: float) -> bool:
        """Return whether one more handshake from ``address`` is allowed."""
        bucket = self._buckets.get(address)
        if bucket is None:
            if len(self._buckets) >= self.SWEEP_AT:
                self._buckets = {a: b for a, b in self._buckets.items() if not b.full(now)}
            bucket = self._buckets[address] = Bucket(self._rate, self._rate * 5, now)
        return bucket.take(now) == 0.0
