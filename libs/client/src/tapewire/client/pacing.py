"""When to try again, and how fast to speak. Pure: time and randomness come in as arguments."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: a random share of a ceiling that doubles.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    first_s: float = 0.5
    cap_s: float = 20.0

    def delay_s(self, losses: int, random: Callable[[], float]) -> float:
        """Return the wait before the next try, after ``losses`` earlier ones without stability."""
        return random() * min(self.cap_s, self.first_s * 2.0 ** min(losses, 32))


class Pace:
    """A token bucket: ``per_second`` on average, as many at once after a pause."""

    def __init__(self, per_second: float, *, now: float) -> None:
        self._rate = max(per_second, 1.0)
        self._tokens = self._rate
        self._at = now

    def take(self, now: float) -> float:
        """Take one token and return how many seconds to wait before using it."""
        self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate) - 1.0
        self._at = now
        return max(0.0, -self._tokens / self._rate)


def refresh_after_s(expires_in_s: float) -> float:
    """Return when to renew a token that has ``expires_in_s`` to live.

    A minute before its end leaves time for several tries; a short-lived one is renewed half-way.
    """
    return max(expires_in_s / 2, expires_in_s - 60.0)
