"""Quotes, and how many of them travel together."""

from typing import Annotated, ClassVar, Literal
from zlib import crc32

from pydantic import Field

from tapewire.contracts.fields import Price, Symbol, Timestamp
from tapewire.contracts.ids import escape
from tapewire.contracts.message import Event
from tapewire.contracts.quality import Quality

BUNDLE_SHARDS = (
    16  # an edge binds the shards of its symbols: at most 16 bindings, whatever it watches
)
SYMBOLS_HEADER = "symbols"  # AMQP header: comma-joined escaped symbols, one a line


class MarketData(Event):
    """One instrument's newest quote."""

    quality: ClassVar = Quality.LIVE
    kind: ClassVar = "tick.{symbol}"

    type: Literal["market_data"] = "market_data"
    symbol: Symbol
    last: Price
    bid: Price | None = None
    ask: Price | None = None
    volume: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    change: Annotated[
        float | None, Field(allow_inf_nan=False, description="Since the open, %.")
    ] = None
    as_of: Timestamp | None = None
    stale: bool | None = None
    snapshot: Literal[True] | None = None


def bundle_shard(symbol: str) -> int:
    """Return the shard, 0 to 15, whose bundles carry ``symbol``."""
    return crc32(symbol.encode()) % BUNDLE_SHARDS


def tick_key(symbol: str) -> str:
    """Return the routing key of a producer's tick on ``tw.market``."""
    return f"tick.{escape(symbol)}"


def bundle_key(shard: int) -> str:
    """Return the routing key of a bundle on ``tw.market``."""
    return f"bundle.{shard}"
