"""Many market messages in one AMQP message: a line each, the symbols in a header. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tapewire.contracts import bundle_key, bundle_shard

MAX_LINES: Final = 500  # ~100 KB; the header must fit one AMQP frame of 128 KB


@dataclass(frozen=True, slots=True)
class Bundle:
    """One AMQP message: ``symbols`` and the lines of ``body`` go together, in order."""

    routing_key: str
    symbols: tuple[str, ...]
    body: bytes


def bundles_of(lines: Iterable[tuple[str, bytes]]) -> list[Bundle]:
    """Return the bundles that carry (symbol, message) ``lines``; order holds within a symbol."""
    shards: dict[int, list[tuple[str, bytes]]] = {}
    for symbol, line in lines:
        shards.setdefault(bundle_shard(symbol), []).append((symbol, line))
    return [
        Bundle(
            bundle_key(shard),
            tuple(symbol for symbol, _ in part),
            b"\n".join(line for _, line in part),
        )
        for shard, all_ in shards.items()
        for part in (all_[i : i + MAX_LINES] for i in range(0, len(all_), MAX_LINES))
    ]
