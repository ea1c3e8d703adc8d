"""P&L history, the account of a day, and how both are kept small."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from tapewire.desk.account import account_of, day_of
from tapewire.desk.cleaning import THIN, Cleaning, clean
from tapewire.desk.pnl import bucket_of, history_of
from tapewire.desk.tables import PNL

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def status(make):
    """A `session_status` at so many seconds after noon."""

    def at(second, pnl, session="s-1", user="alice", **data):
        when = (NOON + timedelta(seconds=second)).isoformat()
        figures = {"currentPnL": pnl} | data
        who = {"sessionId": session, "userId": user}
        return make("session_status", timestamp=when, data=figures, **who)

    return at


@pytest.fixture
def history(engine):
    async def read(session="s-1", **options):
        async with engine.connect() as connection:
            found = await history_of(connection, "alice", session, **options)
        seconds = [(point.time - NOON).total_seconds() for point in found.points]
        return found.bucket_s, list(zip(seconds, [p.pnl for p in found.points], strict=True))

    return read


@pytest.fixture
def account(engine):
    async def read(now=NOON, zone="UTC"):
        async with engine.connect() as connection:
            return await account_of(connection, "alice", now=now, zone=zone)

    return read


async def test_the_newest_of_each_second_is_kept(entered, make, status, history):
    now = NOON + timedelta(minutes=1)
    await entered(status(0, 1), status(0.4, 2), status(1, 3), now=now)
    await entered(status(1.9, 4), status(3, 5), status(2, 6), now=now)
    assert await history() == (1, [(0, 2), (1, 4), (2, 6), (3, 5)])
    assert await history("s-2") == (1, [])


async def test_history_ends_with_the_session_and_goes_on_when_it_is_started_again(
    entered, make, status, history
):
    now = NOON + timedelta(minutes=1)
    over = (NOON + timedelta(seconds=2)).isoformat()
    await entered(status(0, 1), now=now)
    await entered(make("session_completed", timestamp=over), status(3, 99), now=now)
    await entered(status(4, 98), now=now)  # it ended in an earlier batch
    assert await history() == (1, [(0, 1), (2, 184.2)])
    await entered(make("session_started"), status(5, 7), now=now)
    assert (await history())[1][-1] == (5, 7)


async def test_a_clock_far_ahead_does_not_stretch_the_history(entered, status, history):
    await entered(status(86400, 1), status(60, 2), now=NOON)
    assert await history() == (1, [(0, 1), (60, 2)])


async def test_a_part_of_it_in_few_points_is_as_wide_as_they_demand(entered, status, history):
    now = NOON + timedelta(hours=1)
    await entered(*(status(n, n) for n in range(120)), now=now)
    bucket_s, points = await history(points=13)
    assert (bucket_s, len(points)) == (10, 12)
    assert points[0] == (0, 9)  # the newest of the first ten
    assert points[-1] == (110, 119)
    part = {"begin": NOON + timedelta(seconds=30), "end": NOON + timedelta(seconds=33)}
    assert await history(**part) == (1, [(30, 30), (31, 31), (32, 32)])
    assert await history(begin=now) == (1, [])


@given(
    st.integers(0, 2**32),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=50),
    st.integers(2, 60),
)
def test_buckets_are_never_more_than_the_points_asked_for(since, offsets, points):
    seconds = [since + offset for offset in offsets]
    step = bucket_of(min(seconds), max(seconds), points)
    assert len({second // step for second in seconds}) <= points


async def test_what_is_older_is_kept_thinner(entered, status, history, engine):
    await entered(*(status(n * 5, n) for n in range(24)), now=NOON + timedelta(minutes=3))
    cleaning = Cleaning(engine, keep=timedelta(days=90))
    noon, ((_, ten), (_, minute)) = int(NOON.timestamp()), THIN
    await cleaning._thin(noon + 60, ten)
    assert (await history(points=999))[1][:8] == [
        (5, 1),
        (15, 3),
        (25, 5),
        (35, 7),
        (45, 9),
        (55, 11),
        (60, 12),
        (65, 13),
    ]
    await cleaning._thin(noon + 120, ten)
    await cleaning._thin(noon + 120, minute)
    assert (await history(points=999))[1] == [(55, 11), (115, 23)]


async def test_it_is_forgotten_when_it_was_kept_for_long_enough(entered, status, engine):
    await entered(*(status(n, n) for n in range(4)), now=NOON)
    async with engine.begin() as connection:
        await clean(connection, before=NOON + timedelta(seconds=2))
        assert await connection.scalar(select(func.count()).select_from(PNL)) == 2


async def test_day_pnl_is_what_the_sessions_won_since_midnight(entered, make, status, account):
    yesterday = -13 * 3600
    over = (NOON - timedelta(hours=1)).isoformat()
    await entered(
        status(yesterday, 100, session="long", equity=1100),
        status(yesterday, 50, session="quiet", equity=500),
        status(-7200, 130, session="long", equity=1130),
        status(-7000, -5, session="short"),
        make("session_completed", sessionId="short", timestamp=over, summary={"finalPnL": -20}),
        status(yesterday, 9, session="other", user="bob"),
        now=NOON,
    )
    found = await account()
    assert found.day_pnl == 30 - 20
    assert found.equity == 1630
    assert [(s.session_id, s.open, s.pnl, s.pnl_before) for s in found.sessions] == [
        ("long", True, 130, 100),
        ("quiet", True, 50, 50),
        ("short", False, -20, 0),
    ]
    assert (await account(now=NOON + timedelta(days=1))).day_pnl == 0


async def test_without_an_open_session_equity_is_what_the_last_one_told(
    entered, make, status, account
):
    assert (await account()).equity is None
    await entered(
        status(-60, 5, equity=1005),
        make("session_completed", timestamp=NOON.isoformat()),
        now=NOON,
    )
    assert (await account()).equity == 1005


def test_a_day_begins_at_the_users_midnight_whatever_its_length():
    assert day_of(NOON, "America/New_York") == (
        datetime(2026, 3, 2, 5, tzinfo=UTC),
        datetime(2026, 3, 3, 5, tzinfo=UTC),
    )
    begin, end = day_of(datetime(2026, 3, 8, 12, tzinfo=UTC), "America/New_York")
    assert end - begin == timedelta(hours=23)
