"""What market is told from outside."""

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, model_validator

from tapewire.market.feeds.symbols import Symbols, tether
from tapewire.service import CommaList, ServiceSettings

FEEDS: Final = ("producers", "simulated", "replay", "alpaca", "binance", "coinbase")
Venue = Literal["alpaca", "binance", "coinbase"]
BINANCE_MOST: Final = 512  # symbols: two streams each, and it allows 1024 a connection


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
    market_alpaca_url: str = "wss://stream.data.alpaca.markets/v2/iex"
    """Ends in the source: `iex`, or `sip` with a plan that has it."""
    market_alpaca_symbols: CommaList = ("SPY", "QQQ", "AAPL", "MSFT", "NVDA")
    """`SPY`, or `OURS=THEIRS`; so at each venue."""
    market_alpaca_key_id: str | None = Field(default=None, repr=False)
    market_alpaca_secret: str | None = Field(default=None, repr=False)
    market_alpaca_silence_s: float = Field(default=60.0, gt=0)
    """Without a tick for so long its quotes are stale and it is connected anew."""
    market_binance_url: str = "wss://stream.binance.com:9443/stream"
    market_binance_symbols: CommaList = ("BTC-USD", "ETH-USD")
    """`BTC-USD` is BTCUSDT there, unless `BTC-USD=BTCUSDC` says otherwise."""
    market_binance_silence_s: float = Field(default=15.0, gt=0)
    market_coinbase_url: str = "wss://advanced-trade-ws.coinbase.com"
    market_coinbase_symbols: CommaList = ("BTC-USD", "ETH-USD")
    market_coinbase_channel: Literal["ticker", "ticker_batch"] = "ticker"
    """A tick for each match, or one each five seconds without bid and ask."""
    market_coinbase_silence_s: float = Field(default=30.0, gt=0)

    @model_validator(mode="after")
    def _feeds_exist(self) -> "MarketSettings":
        unknown = set(self.market_feeds) - set(FEEDS)
        if unknown:
            raise ValueError(f"TAPEWIRE_MARKET_FEEDS: unknown {', '.join(sorted(unknown))}")
        if "replay" in self.market_feeds and self.market_replay_file is None:
            raise ValueError("the feed replay needs TAPEWIRE_MARKET_REPLAY_FILE")
        if "alpaca" in self.market_feeds and not (
            self.market_alpaca_key_id and self.market_alpaca_secret
        ):
            raise ValueError(
                "the feed alpaca needs TAPEWIRE_MARKET_ALPACA_KEY_ID and _SECRET (or …_FILE)"
            )
        return self

    @model_validator(mode="after")
    def _symbols_have_names(self) -> "MarketSettings":
        for venue in ("alpaca", "binance", "coinbase"):
            variable = f"TAPEWIRE_MARKET_{venue.upper()}_SYMBOLS"
            try:
                symbols = self.symbols_of(venue)
            except ValueError as error:
                raise ValueError(f"{variable}: {error}") from None
            if not symbols.ours:
                raise ValueError(f"{variable}: no symbol")
        if len(self.market_binance_symbols) > BINANCE_MOST:
            raise ValueError(f"TAPEWIRE_MARKET_BINANCE_SYMBOLS: more than {BINANCE_MOST}")
        return self

    def symbols_of(self, venue: Venue) -> Symbols:
        """Return the symbols that are wanted from a venue.

        Raises:
            ValueError: there is no such name, or two for one.
        """
        match venue:
            case "alpaca":
                return Symbols(self.market_alpaca_symbols)
            case "binance":
                return Symbols(self.market_binance_symbols, tether)
            case "coinbase":
                return Symbols(self.market_coinbase_symbols)
