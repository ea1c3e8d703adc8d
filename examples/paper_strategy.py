"""The trader's head: a momentum and mean-reversion rule, and the books of an account. Pure."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

FAST, SLOW = 12, 60  # quotes; at 5 a second about 2 s and 12 s
STRETCH = 1.8  # standard deviations from the slow mean at which a price is taken to come back
TREND = 0.4  # basis points between the means at which a move is taken to go on

Action = Literal["buy", "sell", "hold", "close_position"]


@dataclass(frozen=True)
class Quote:
    """What the market shows of one symbol."""

    symbol: str
    bid: float
    ask: float
    last: float
    volume: float | None = None


@dataclass(frozen=True)
class Decision:
    """What to do with one symbol, and why."""

    action: Action
    reasoning: str
    confidence: float  # 0 to 1


@dataclass
class Position:
    """Shares held; negative when short. The entry is the average price paid or received."""

    quantity: float = 0.0
    entry: float = 0.0
    age: int = 0  # decisions since it was opened


@dataclass
class Account:
    """Cash-free bookkeeping: what was won and lost, and what is open."""

    fees: float = 0.0
    realized: float = 0.0
    trades: int = 0
    wins: int = 0
    closed: int = 0
    best: float = 0.0  # highest P&L so far
    worst_drawdown: float = 0.0
    positions: dict[str, Position] = field(default_factory=dict[str, Position])

    def fill(self, symbol: str, quantity: float, price: float, fee: float) -> float:
        """Book a fill (``quantity`` negative for a sale); return what it realised, before the fee.

        A fill opens, adds to, or closes a position as a whole; the rule never turns one round.
        """
        position = self.positions.setdefault(symbol, Position())
        self.trades += 1
        self.fees += fee
        if position.quantity * quantity >= 0:
            total = position.quantity + quantity
            position.entry = (position.entry * position.quantity + price * quantity) / total
            position.quantity = total
            return 0.0
        won = (price - position.entry) * -quantity
        self.realized += won
        self.closed += 1
        self.wins += won > fee
        del self.positions[symbol]
        return won

    def unrealized(self, quotes: Mapping[str, Quote]) -> float:
        """Return what closing everything at these quotes would realise."""
        return sum(
            ((quotes[s].bid if p.quantity > 0 else quotes[s].ask) - p.entry) * p.quantity
            for s, p in self.positions.items()
            if s in quotes
        )

    def profit(self, quotes: Mapping[str, Quote]) -> float:
        """Return P&L after fees, and keep its high-water mark and the deepest fall from it."""
        profit = self.realized + self.unrealized(quotes) - self.fees
        self.best = max(self.best, profit)
        self.worst_drawdown = max(self.worst_drawdown, self.best - profit)
        return profit

    @property
    def win_rate(self) -> float | None:
        """Share of closed positions that won more than their fee."""
        return self.wins / self.closed if self.closed else None


class Strategy:
    """Looks at each symbol's last quotes."""

    def __init__(self) -> None:
        self._prices: dict[str, deque[float]] = {}

    def see(self, quote: Quote) -> None:
        """Take in a quote."""
        self._prices.setdefault(quote.symbol, deque(maxlen=SLOW)).append(quote.last)

    def decide(self, symbol: str, position: Position | None, patience: int) -> Decision:
        """Return what to do with ``symbol``, given what is held of it.

        ``patience``: decisions after which a position is closed whatever it does.
        """
        prices = self._prices.get(symbol, ())
        if len(prices) < FAST + 3:
            return Decision("hold", f"{symbol}: {len(prices)} quotes are too few to judge", 0.1)
        trend, stretch = _signals(list(prices))
        if position is not None and position.quantity:
            if position.age >= patience:
                return Decision("close_position", f"{symbol}: held long enough", 0.6)
            return self._leave(symbol, position, trend, stretch)
        if abs(stretch) >= STRETCH:
            action: Action = "sell" if stretch > 0 else "buy"
            side = "above" if stretch > 0 else "below"
            why = f"{symbol} is {abs(stretch):.1f} deviations {side} its mean: it should come back"
            return Decision(action, why, min(0.95, 0.4 + abs(stretch) / 8))
        if abs(trend) >= TREND:
            action = "buy" if trend > 0 else "sell"
            way = "up" if trend > 0 else "down"
            why = f"{symbol} trends {way}: means {abs(trend):.1f} bp apart and widening"
            return Decision(action, why, min(0.9, 0.35 + abs(trend) / 10))
        why = f"{symbol} shows neither trend ({trend:+.1f} bp) nor stretch ({stretch:+.1f} sd)"
        return Decision("hold", why, 0.3)

    def _leave(self, symbol: str, position: Position, trend: float, stretch: float) -> Decision:
        long = position.quantity > 0
        if (stretch > STRETCH) if long else (stretch < -STRETCH):
            return Decision("close_position", f"{symbol}: the move went our way", 0.8)
        if (trend < -TREND) if long else (trend > TREND):
            return Decision("close_position", f"{symbol}: the trend turned ({trend:+.1f} bp)", 0.7)
        return Decision("hold", f"{symbol}: the reason to hold still stands", 0.5)


def _signals(prices: list[float]) -> tuple[float, float]:
    """Return trend (fast over slow mean, basis points) and stretch (standard deviations)."""
    slow = sum(prices) / len(prices)
    fast = sum(prices[-FAST:]) / FAST
    sigma = math.sqrt(sum((price - slow) ** 2 for price in prices) / len(prices))
    return (fast / slow - 1) * 1e4, (prices[-1] - slow) / sigma if sigma else 0.0
