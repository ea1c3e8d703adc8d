"""Market over HTTP: last values and bars."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query

from tapewire.auth import require
from tapewire.contracts import MarketData, Model
from tapewire.contracts.fields import Symbol, Timestamp
from tapewire.market.bars import KEPT, Bar
from tapewire.market.book import message_of
from tapewire.market.intake import Market
from tapewire.service import ApiError

SymbolPath = Annotated[Symbol, Path(description="Such as SPY or BTC-USD.")]


class BarView(Model):
    """One bar; `at` is its beginning. The newest one still grows."""

    at: Timestamp
    open: float
    high: float
    low: float
    close: float
    volume: float
    ticks: int


def routes(market: Market) -> APIRouter:
    """Return the routes of market; each wants the scope `md:read`."""
    router = APIRouter(prefix="/v1", tags=["market"], dependencies=[Depends(require("md:read"))])

    @router.get("/quotes", summary="Last values of every symbol", response_model_exclude_none=True)
    async def get_quotes() -> Sequence[MarketData]:
        now = datetime.now(UTC)
        return [message_of(quote, now, snapshot=True) for quote in market.book.quotes()]

    @router.get("/quotes/{symbol}", summary="Last value", response_model_exclude_none=True)
    async def get_quote(symbol: SymbolPath) -> MarketData:
        quote = market.book.quote(symbol)
        if quote is None:
            raise ApiError(404, "unknown_symbol", f"No tick of {symbol} was seen yet")
        return message_of(quote, datetime.now(UTC), snapshot=True)

    @router.get("/bars/{symbol}", summary="Bars, oldest first")
    async def get_bars(
        symbol: SymbolPath,
        interval: Literal["1s", "1m", "5m"] = "1m",
        limit: Annotated[int, Query(ge=1, le=KEPT + 1)] = 100,
    ) -> list[BarView]:
        if market.book.quote(symbol) is None:
            raise ApiError(404, "unknown_symbol", f"No tick of {symbol} was seen yet")
        return [_view(bar) for bar in market.bars.of(symbol, interval)[-limit:]]

    return router


def _view(bar: Bar) -> BarView:
    return BarView(
        at=bar.at,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=bar.volume,
        ticks=bar.ticks,
    )
