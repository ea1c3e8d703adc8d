"""How long to wait before the next try."""

from collections.abc import Iterator
from random import Random


def full_jitter(base_s: float, cap_s: float, random: Random | None = None) -> Iterator[float]:
    """Yield waits in seconds, each uniform between 0 and a bound that doubles from base to cap.

    Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    source = random or Random()
    bound = base_s
    while True:
        yield source.uniform(0, bound)
        bound = min(cap_s, bound * 2)
