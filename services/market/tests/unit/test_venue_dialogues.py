import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tapewire.market.book import Book, message_of
from tapewire.market.feeds import FeedRefused
from tapewire.market.feeds.alpaca import AlpacaDialogue
from tapewire.market.feeds.binance import BinanceDialogue
from tapewire.market.feeds.coinbase import CoinbaseDialogue
from tapewire.market.feeds.symbols import Symbols, tether
from tapewire.market.feeds.venue import VenueLost
from tapewire.market.settings import MarketSettings
from tapewire.market.tick import Exact, Fault, Sieve

from ..component.venues import BAR, BINANCE, BOOK, COINBASE, HEARTBEAT, QUOTE, TRADE

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def read(value):
    """Return what comes off the wire: fractions as Decimal."""
    return json.loads(json.dumps(value), parse_float=Decimal)


def test_coinbase_tells_price_quote_volume_and_the_venues_time():
    (tick,) = CoinbaseDialogue(Symbols(["BTC-USD"]), "ticker").hear(read(COINBASE)).ticks
    assert tick.exact == Exact(Decimal("21932.98"), Decimal("21931.98"), Decimal("21933.98"))
    assert (tick.symbol, tick.volume) == ("BTC-USD", 16038.28770938)
    assert tick.at == datetime(2023, 2, 9, 20, 30, 37, 167359, tzinfo=UTC)


def test_coinbase_counts_what_its_numbers_leave_out_and_passes_over_the_late():
    dialogue = CoinbaseDialogue(Symbols(["BTC-USD"]), "ticker")
    missed = [
        dialogue.hear(read(HEARTBEAT | {"sequence_num": number})).missed
        for number in (0, 1, 4, 3, 5)
    ]
    assert missed == [0, 0, 2, 0, 0]
    assert not dialogue.hear(read(COINBASE | {"sequence_num": 2})).ticks


def test_coinbase_goes_on_without_a_product_that_an_error_names():
    dialogue = CoinbaseDialogue(Symbols(["BTC-USD", "NO-SUCH"]), "ticker")
    heard = dialogue.hear({"type": "error", "message": "NO-SUCH is not a valid product"})
    assert list(heard.refused) == ["NO-SUCH"]
    assert [message["product_ids"] for message in heard.say] == [["BTC-USD"]]
    with pytest.raises(FeedRefused):
        dialogue.hear({"type": "error", "message": "BTC-USD is not a valid product"})
    with pytest.raises(VenueLost, match="rate limit"):
        dialogue.hear({"type": "error", "message": "rate limit exceeded"})


def test_coinbase_names_what_it_did_not_subscribe():
    dialogue = CoinbaseDialogue(Symbols(["BTC-USD", "ETH-USD"]), "ticker")
    told = HEARTBEAT | {"channel": "subscriptions"}
    first = dialogue.hear(told | {"events": [{"subscriptions": {"heartbeats": ["heartbeats"]}}]})
    assert not first.refused
    second = told | {"sequence_num": 1, "events": [{"subscriptions": {"ticker": ["BTC-USD"]}}]}
    assert list(dialogue.hear(second).refused) == ["ETH-USD"]


def test_binance_joins_its_ticker_with_its_book():
    dialogue = BinanceDialogue(Symbols(["BNB-BTC"], tether))
    book = {"stream": "bnbbtc@bookTicker", "data": BOOK | {"s": "BNBBTC", "b": "0.0021"}}
    assert not dialogue.hear(book).ticks  # no last price yet
    (tick,) = dialogue.hear({"stream": "bnbbtc@ticker", "data": BINANCE}).ticks
    assert tick.exact == Exact(Decimal("0.0025"), Decimal("0.0024"), Decimal("0.0026"))
    assert (tick.symbol, tick.volume) == ("BNB-BTC", 10_000)
    assert tick.at == datetime(2022, 12, 31, 19, 43, 2, 136000, tzinfo=UTC)
    (quote,) = dialogue.hear(book).ticks
    assert (quote.exact.bid, quote.exact.last, quote.at) == (
        Decimal("0.0021"),
        Decimal("0.0025"),
        tick.at,
    )
    assert not dialogue.hear(book).ticks  # the same update again


def test_binance_subscribes_many_in_few_messages():
    symbols = Symbols([f"A{n}-USD" for n in range(120)], tether)
    messages = BinanceDialogue(symbols).opening()
    assert [len(m["params"]) for m in messages] == [100, 100, 40]
    assert [m["id"] for m in messages] == [1, 2, 3]


def test_binance_farewell_ends_a_connection_and_an_error_is_a_refusal():
    dialogue = BinanceDialogue(Symbols(["BTC-USD"], tether))
    assert not dialogue.hear({"result": None, "id": 1}).ticks
    with pytest.raises(VenueLost, match="shuts down"):
        dialogue.hear({"e": "serverShutdown", "E": 1770123456789})
    with pytest.raises(VenueLost, match="shuts down"):
        dialogue.hear({"stream": "", "data": {"e": "serverShutdown", "E": 1770123456789}})
    with pytest.raises(FeedRefused, match="too many parameters"):
        dialogue.hear({"code": 2, "msg": "Invalid request: too many parameters", "id": 1})


def alpaca(*symbols: str) -> AlpacaDialogue:
    return AlpacaDialogue(Symbols(symbols), "key", "secret")


def test_alpaca_joins_trades_quotes_and_the_days_volume():
    dialogue = alpaca("AAPL")
    quote = QUOTE | {"S": "AAPL", "bp": 126.54, "ap": 126.56}
    assert not dialogue.hear(read([quote])).ticks  # no last price yet
    day = BAR | {"T": "d", "S": "AAPL", "v": 5000}
    *_, tick = dialogue.hear(read([day, TRADE])).ticks
    assert tick.exact == Exact(Decimal("126.55"), Decimal("126.54"), Decimal("126.56"))
    assert (tick.volume, tick.at.isoformat()) == (5000, "2021-02-22T15:51:45.335689+00:00")
    one_sided = quote | {"ap": 0, "t": "2021-02-22T15:51:46Z"}
    (tick,) = dialogue.hear(read([one_sided])).ticks
    assert (tick.exact.ask, tick.traded) == (None, False)


def test_alpacas_minute_bar_is_the_last_price_of_who_did_not_trade():
    dialogue = alpaca("SPY")
    (tick,) = dialogue.hear(read([BAR])).ticks
    assert (tick.exact.last, tick.at) == (
        Decimal("389.12"),
        datetime(2021, 2, 22, 19, 16, tzinfo=UTC),
    )
    assert not dialogue.hear(read([BAR | {"c": 1}])).ticks


def test_alpacas_older_trade_is_set_aside():
    dialogue, sieve = alpaca("AAPL"), Sieve(max_jump=0.2, live=True)
    older = TRADE | {"t": "2021-02-22T15:51:43Z", "p": 126.0}
    ticks = dialogue.hear(read([TRADE, older])).ticks
    assert [sieve.judge(tick, NOW) for tick in ticks] == [None, Fault.OUT_OF_ORDER]


def test_quotes_that_repeat_an_absurd_trade_do_not_confirm_it():
    dialogue, sieve = alpaca("AAPL"), Sieve(max_jump=0.2, live=True)
    absurd = TRADE | {"p": 1265.5, "t": "2021-02-22T15:51:45Z"}
    quotes = [QUOTE | {"S": "AAPL", "t": f"2021-02-22T15:51:5{n}Z"} for n in range(6)]
    ticks = dialogue.hear(read([TRADE, absurd, *quotes])).ticks
    assert [sieve.judge(tick, NOW) for tick in ticks] == [None] + [Fault.JUMP] * 7


@pytest.mark.parametrize(
    ("code", "said", "kind"),
    [
        (400, "invalid syntax", VenueLost),
        (401, "not authenticated", FeedRefused),
        (402, "auth failed", FeedRefused),
        (403, "already authenticated", VenueLost),
        (404, "auth timeout", VenueLost),
        (405, "symbol limit exceeded", FeedRefused),
        (406, "connection limit exceeded", FeedRefused),
        (407, "slow client", VenueLost),
        (409, "insufficient subscription", FeedRefused),
        (410, "invalid subscribe action for this feed", FeedRefused),
        (500, "internal error", VenueLost),
    ],
)
def test_alpacas_errors_are_a_loss_or_a_refusal(code, said, kind):
    with pytest.raises(kind, match=f"{code} {said}"):
        alpaca("AAPL").hear([{"T": "error", "code": code, "msg": said}])


def test_alpaca_names_what_it_did_not_subscribe():
    heard = alpaca("AAPL", "NONE").hear([{"T": "subscription", "trades": ["AAPL"], "quotes": []}])
    assert list(heard.refused) == ["NONE"]


def test_the_venues_digits_are_published():
    dialogue = CoinbaseDialogue(Symbols(["BTC-USD"]), "ticker")
    message = json.dumps(COINBASE).replace("21932.98", "0.1234567890123456")
    (tick,) = dialogue.hear(json.loads(message)).ticks
    told = message_of(Book().take(tick, 0, NOW), NOW)
    assert told.last == Decimal("0.1234567890123456")


@pytest.mark.parametrize(
    ("ours", "theirs"), [("BTC-USD", "BTCUSDT"), ("ETH-BTC", "ETHBTC"), ("SOL-USDC", "SOLUSDC")]
)
def test_binances_usual_names(ours, theirs):
    assert tether(ours) == theirs


def test_names_can_be_set_and_wrong_ones_are_named():
    symbols = Symbols(["BTC-USD=BTCUSDC", "ETH-USD"], tether)
    assert symbols.theirs == ("BTCUSDC", "ETHUSDT")
    assert (symbols.our("BTCUSDC"), symbols.our("BTCUSDT")) == ("BTC-USD", None)
    with pytest.raises(ValueError, match=r"TAPEWIRE_MARKET_BINANCE_SYMBOLS.*a b"):
        MarketSettings(market_binance_symbols=("a b",))
    with pytest.raises(ValueError, match="two symbols"):
        MarketSettings(market_coinbase_symbols=("A=X", "B=X"))


def test_alpaca_needs_credentials_and_does_not_show_them(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="TAPEWIRE_MARKET_ALPACA_KEY_ID"):
        MarketSettings(market_feeds=("alpaca",))
    (tmp_path / "secret").write_text("hush-hush\n")
    monkeypatch.setenv("TAPEWIRE_MARKET_ALPACA_SECRET_FILE", str(tmp_path / "secret"))
    settings = MarketSettings(market_feeds=("alpaca",), market_alpaca_key_id="PK1")
    assert settings.market_alpaca_secret == "hush-hush"
    assert "hush-hush" not in repr(settings)
    assert "PK1" not in repr(settings)
