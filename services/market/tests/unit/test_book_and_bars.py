import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.contracts import bundle_key, bundle_shard, encode, parse_event
from tapewire.market.bars import Bar, Bars, Series
from tapewire.market.book import OWNED_FOR_S, Book, message_of
from tapewire.market.bundle import MAX_LINES, bundles_of
from tapewire.market.snapshot import answer
from tapewire.market.tick import Fault, Sieve, Tick

T0 = datetime(2025, 3, 3, 14, 30, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def tick(seconds: float, last: float, symbol: str = "SPY", **more) -> Tick:
    return Tick(symbol, at(seconds), last, **more)


@pytest.fixture
def sieve() -> Sieve:
    sieve = Sieve(max_jump=0.2, live=True)
    assert sieve.judge(tick(0, 100), T0) is None
    return sieve


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (tick(1, 0), Fault.NEGATIVE),
        (tick(1, -1), Fault.NEGATIVE),
        (tick(1, float("nan")), Fault.NEGATIVE),
        (tick(1, float("inf")), Fault.NEGATIVE),
        (tick(1, 100, bid=-1), Fault.NEGATIVE),
        (tick(1, 100, volume=-1), Fault.NEGATIVE),
        (tick(1, 100, bid=101, ask=100), Fault.CROSSED),
        (tick(-1, 100), Fault.OUT_OF_ORDER),
        (tick(100, 100), Fault.OUT_OF_ORDER),  # from the future
        (tick(1, 130), Fault.JUMP),
        (tick(1, 70), Fault.JUMP),
    ],
)
def test_bad_ticks_are_set_aside_and_change_nothing(sieve, bad, fault):
    assert sieve.judge(bad, T0) is fault
    assert sieve.judge(tick(1, 101, bid=101, ask=101), T0) is None


def test_a_jump_that_stays_is_a_new_level(sieve):
    faults = [sieve.judge(tick(n, 150 + n), T0) for n in range(4)]
    assert faults == [Fault.JUMP, Fault.JUMP, None, None]


def test_scattered_jumps_are_never_believed(sieve):
    faults = {sieve.judge(tick(n, 100 * 3**n), T0) for n in range(1, 9)}
    assert faults == {Fault.JUMP}


def test_recorded_prices_may_lie_anywhere_in_time():
    sieve = Sieve(max_jump=0.2, live=False)
    assert sieve.judge(tick(0, 100), datetime(2001, 1, 1, tzinfo=UTC)) is None


def test_book_conflates_to_the_newest_value_per_symbol():
    book = Book()
    for n in range(5):
        book.take(tick(n, 100 + n), 0, T0)
    book.take(tick(9, 50, "QQQ"), 0, T0)
    assert [q.tick.last for q in book.take_changed()] == [104, 50]
    assert book.take_changed() == []
    assert book.conflated == 4


def test_what_nobody_got_is_published_again_unless_something_newer_came():
    book = Book()
    book.take(tick(0, 100), 0, T0)
    book.take(tick(0, 50, "QQQ"), 0, T0)
    taken = [q.tick.symbol for q in book.take_changed()]
    book.take(tick(1, 101), 0, T0)
    book.put_back(taken)
    assert [(q.tick.symbol, q.tick.last) for q in book.take_changed()] == [
        ("SPY", 101),
        ("QQQ", 50),
    ]


def test_change_counts_from_the_first_price_of_the_day():
    book = Book()
    book.take(tick(0, 100), 0, T0)
    assert book.take(tick(1, 102), 0, T0).change == pytest.approx(2)
    assert book.take(tick(86_400, 110), 0, T0).change == 0


def test_a_symbol_is_told_by_the_better_feed_until_it_falls_silent():
    book = Book()
    book.take(tick(0, 100), 1, T0)
    assert book.owns("SPY", 0, T0)
    book.take(tick(0, 42), 0, T0)
    assert not book.owns("SPY", 1, at(OWNED_FOR_S))
    assert book.owns("SPY", 1, at(OWNED_FOR_S + 1))
    assert book.owns("QQQ", 1, T0)


def test_stale_quotes_are_told_once_and_say_so():
    book = Book()
    book.take(tick(0, 100), 0, T0)
    book.take_changed()
    assert (book.mark_stale(0), book.mark_stale(0), book.mark_stale(1)) == (1, 0, 0)
    (quote,) = book.take_changed()
    assert message_of(quote, T0).stale is True
    assert message_of(book.take(tick(1, 101), 0, T0), T0).stale is None


@given(st.floats(1e-6, 1e9), st.text("ABCXYZ.-_/", min_size=1, max_size=12))
def test_every_quote_is_a_message_of_the_contract(price, symbol):
    book = Book()
    quote = book.take(Tick(symbol, T0, price, price, price, 1.0), 0, T0)
    parsed = parse_event(encode(message_of(quote, T0, snapshot=True)))
    assert float(parsed.last) == pytest.approx(price, rel=1e-11)


prices = st.lists(
    st.tuples(st.floats(0, 30), st.floats(1, 1000), st.floats(0, 50)), min_size=1, max_size=80
)


@given(prices)
def test_bars_agree_with_grouping_the_ticks(steps):
    series, now, groups, closed = Series(60), 0.0, {}, []
    for gap, price, volume in steps:
        now += gap
        groups.setdefault(int(at(now).timestamp()) // 60, []).append((price, volume))
        bar = series.add(tick(now, price), volume)
        if bar is not None:
            closed.append(bar)
    expected = [
        Bar(
            datetime.fromtimestamp(minute * 60, UTC),
            ticks[0][0],
            max(p for p, _ in ticks),
            min(p for p, _ in ticks),
            ticks[-1][0],
            pytest.approx(sum(v for _, v in ticks)),
            len(ticks),
        )
        for minute, ticks in sorted(groups.items())
    ]
    assert list(series) == expected
    assert closed == expected[:-1]


def test_bars_count_what_was_traded_since_the_tick_before():
    bars = Bars()
    for n, volume in enumerate([1000, 1010, 1030, 5]):  # then a new day
        bars.add(tick(n * 0.1, 100, volume=volume))
    assert [bar.volume for bar in bars.of("SPY", "1m")] == [30]
    assert bars.of("QQQ", "1m") == []


@given(st.lists(st.text("ABCDEFGH.-", min_size=1, max_size=6), max_size=60))
def test_bundles_keep_lines_with_their_symbols_and_shards(symbols):
    lines = [(symbol, f'{{"n":{n}}}'.encode()) for n, symbol in enumerate(symbols)]
    bundles = bundles_of(lines)
    back = [
        (symbol, line)
        for bundle in bundles
        for symbol, line in zip(bundle.symbols, bundle.body.split(b"\n"), strict=True)
    ]
    assert sorted(back) == sorted(lines)
    for bundle in bundles:
        assert {bundle_key(bundle_shard(s)) for s in bundle.symbols} == {bundle.routing_key}
    for symbol in symbols:
        assert [x for x in back if x[0] == symbol] == [x for x in lines if x[0] == symbol]


def test_bundles_stay_within_a_frame():
    bundles = bundles_of([("SPY", b"{}")] * (MAX_LINES + 1))
    assert [len(bundle.symbols) for bundle in bundles] == [MAX_LINES, 1]


def test_snapshot_tells_known_symbols_and_passes_over_the_rest():
    book = Book()
    book.take(tick(0, 100), 0, T0)
    request = {"channels": ["market:SPY", "market:QQQ", "user:alice", 7]}
    reply = answer(json.dumps(request).encode(), book, clock=lambda: T0)
    (line,) = reply.splitlines()
    assert json.loads(line)["snapshot"] is True
    assert answer(b'{"channels":[]}', book) == b""


@pytest.mark.parametrize("request_", [b"", b"[]", b"{}", b'{"channels":"market:SPY"}'])
def test_malformed_requests_for_snapshots_are_refused(request_):
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's own error is one, too
        answer(request_, Book())
