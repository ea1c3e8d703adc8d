"""What market is told from outside."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from tapewire.service import CommaList, ServiceSettings

FeedName = Literal["producers", "simulated", "replay"]


class MarketSettings(ServiceSettings):
    """Market's settings; each field is `TAPEWIRE_<FIELD>` in the environment."""

    http_port: int = Field(default=8085, ge=0, le=65535)
    market_feeds: CommaList = ("producers", "simulated")
    """By rank: a better one's symbols are not told by a lesser one. In production: `producers`."""
    market_rate_hz: float = Field(default=20.0, gt=0, le=1000)
    """How often a symbol is published at most."""
    market_silence_s: float = Field(default=10.0, gt=0)
    """Without a tick from any producer for so long, producers' quotes are stale."""
    market_symbols: CommaList = ("SPY", "QQQ", "AAPL", "MSFT", "NVDA", "BTC-USD")
    """What the simulated feed trades."""
    market_seed: int = 7
    """Of the simulated feed: the same seed, the same prices."""
    market_tick_hz: float = Field(default=5.0, gt=0, le=1000)
    """Ticks a second and symbol of the simulated feed."""
    market_replay_file: Path | None = None
    """CSV or Parquet for the feed `replay`."""
    market_replay_speed: float = Field(default=1.0, gt=0)
    """60 plays an hour in a minute."""
    market_replay_symbol: str | None = None
    """For files without a column of symbols."""
    market_replay_loop: bool = True

    @model_validator(mode="after")
    def _feeds_exist(self) -> "MarketSettings":
        unknown = set(self.market_feeds) - {"producers", "simulated", "replay"}
        if unknown:
            raise ValueError(f"TAPEWIRE_MARKET_FEEDS: unknown {', '.join(sorted(unknown))}")
        if "replay" in self.market_feeds and self.market_replay_file is None:
            raise ValueError("the feed replay needs TAPEWIRE_MARKET_REPLAY_FILE")
        return self
