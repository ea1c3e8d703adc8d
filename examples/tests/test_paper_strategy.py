"""The demo's strategy: books that add up, decisions with reasons, and a plan that ends as told."""

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = str(Path(__file__).resolve().parents[1])


@pytest.fixture(autouse=True, scope="module")
def _examples_on_the_path() -> Iterator[None]:
    sys.path.insert(0, EXAMPLES)
    yield
    sys.path.remove(EXAMPLES)


def test_account_adds_up_over_any_sequence_of_fills() -> None:
    from paper_strategy import Account, Quote

    chance = random.Random(1)
    account, cash, price, profit = Account(), 0.0, 100.0, 0.0
    for _ in range(500):
        price += chance.gauss(0, 0.5)
        held = account.positions.get("SPY")
        quantity = -held.quantity if held and chance.random() < 0.5 else chance.choice([-10, 10])
        if held and held.quantity * quantity < 0:
            quantity = -held.quantity  # a position is closed as a whole
        account.fill("SPY", quantity, price, 0.25)
        cash -= quantity * price + 0.25
        position = account.positions.get("SPY")
        worth = cash + (position.quantity * price if position else 0.0)
        profit = account.profit({"SPY": Quote("SPY", price, price, price)})
        assert profit == pytest.approx(worth)
    assert account.trades == 500
    assert account.worst_drawdown >= account.best - profit > 0


def test_strategy_says_why_and_leaves_what_it_entered() -> None:
    from paper_strategy import Position, Quote, Strategy

    strategy = Strategy()
    assert strategy.decide("SPY", None, 3).action == "hold"
    for step in range(60):
        strategy.see(Quote("SPY", 100, 100.02, 100 + step * 0.01))
    entry = strategy.decide("SPY", None, 3)
    assert entry.action in {"buy", "sell"}
    assert entry.reasoning
    assert 0 <= entry.confidence <= 1
    assert strategy.decide("SPY", Position(10, 100, age=3), 3).action == "close_position"


@pytest.mark.parametrize("seed", range(20))
def test_demo_shows_an_alert_within_a_minute_and_then_one_in_five_to_ten(seed: int) -> None:
    from paper_trader import SYMBOLS, plans_of

    plans = plans_of("demo", "alice", SYMBOLS)
    warned, stopped = seconds_to(0.75, next(plans), seed), 0.0
    assert 15 < warned < 50  # the first quotes take some seconds, too
    for number in range(2):
        stopped = seconds_to(1.0, next(plans), 100 * number + seed)
        assert 300 < stopped < 600


def seconds_to(share: float, plan: Any, seed: int) -> float:
    """Return after how many seconds a session has lost that share of its limit."""
    from paper_strategy import Account, Quote, Strategy

    chance = random.Random(seed)
    strategy, account = Strategy(), Account()
    quotes: dict[str, Quote] = {}
    prices = dict.fromkeys(plan.symbols, 400.0)
    seconds, turn = 0.0, 0
    while account.profit(quotes) > -share * plan.loss_limit:
        for symbol in plan.symbols:  # five quotes a second, as the simulated feed gives them
            for _ in range(round(5 * plan.decide_every_s)):
                prices[symbol] *= 1 + chance.gauss(0, 0.00006)
                spread = prices[symbol] * 0.0001
                last = prices[symbol]
                quotes[symbol] = Quote(symbol, last - spread, last + spread, last)
                strategy.see(quotes[symbol])
        symbol = plan.symbols[turn % len(plan.symbols)]
        turn, seconds = turn + 1, seconds + plan.decide_every_s
        quote, position = quotes[symbol], account.positions.get(symbol)
        decision = strategy.decide(symbol, position, plan.patience)
        if position:
            position.age += 1
        size = round(plan.notional / 400)
        quantity = {"buy": size, "sell": -size}.get(decision.action, 0.0)
        if decision.action == "close_position" and position:
            quantity = -position.quantity
        if quantity:
            account.fill(symbol, quantity, quote.ask if quantity > 0 else quote.bid, plan.fee)
        assert seconds < 1200
    return seconds
