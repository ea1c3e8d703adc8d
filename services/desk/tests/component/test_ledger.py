from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, select

from tapewire.contracts import encode
from tapewire.desk.cleaning import clean
from tapewire.desk.sessions import session_of, sessions_of, statuses
from tapewire.desk.tables import EVENTS, METADATA, POSITIONS, SESSIONS

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.fixture
def session(engine):
    async def read(user="alice", name="s-1", **options):
        async with engine.connect() as connection:
            return await session_of(connection, [user], name, **options)

    return read


@pytest.fixture
def rows(engine):
    async def count(table):
        async with engine.connect() as connection:
            return await connection.scalar(select(func.count()).select_from(table))

    return count


async def test_the_migrations_make_the_tables_that_the_code_declares(engine):
    def compare(connection):
        return compare_metadata(MigrationContext.configure(connection), METADATA)

    async with engine.connect() as connection:
        assert await connection.run_sync(compare) == []


async def test_an_event_counts_once_however_often_it_comes(entered, make, session, rows):
    events = [make("session_started"), make("algorithm_decision"), make("trade_executed")]
    assert await entered(*events) == 3
    assert await entered(*events) == 0  # a crash between commit and ack: all of it comes again
    assert await entered(events[1], events[1], make("algorithm_decision")) == 1
    found = await session()
    assert (found.counts.decisions, found.counts.trades) == (2, 1)
    assert await rows(EVENTS) == 4


async def test_the_same_id_of_another_user_is_another_event(entered, make, rows):
    event = make("trade_executed", id="same")
    assert await entered(event, make("trade_executed", id="same", userId="bob")) == 2
    assert await rows(EVENTS) == 2


async def test_a_session_shows_where_it_stands(entered, make, session):
    events = [
        make("session_started", lossLimit=500, symbols=["SPY"]),
        make("session_status", data={"currentPnL": -1}),
        make("algorithm_decision", reasoning="first"),
        make("algorithm_decision", reasoning="second"),
        make("trade_executed"),
        make("position_update", symbol="SPY"),
        make("position_update", symbol="QQQ"),
        make("position_update", symbol="SPY", quantity=5),
        make("position_update", symbol="QQQ", quantity=0),
        make("risk_alert"),
        make("session_status", status="paused", data={"currentPnL": -412.5, "totalTrades": 1}),
    ]
    await entered(*events)
    found = await session()
    assert (found.status, found.ended, found.loss_limit) == ("paused", False, 500)
    assert found.started_at == events[0].timestamp
    assert (float(found.data.current_pnl), found.data.total_trades) == (-412.5, 1)
    assert found.data_at == events[-1].timestamp
    assert found.counts.model_dump() == {
        "decisions": 2,
        "trades": 1,
        "milestones": 0,
        "alerts": 1,
    }
    assert [one["reasoning"] for one in found.last_decisions] == ["second", "first"]
    assert [(one["symbol"], one["quantity"]) for one in found.positions] == [("SPY", 5)]
    assert len((await session(last=1)).last_decisions) == 1


async def test_a_status_after_the_end_does_not_open_a_session_again(entered, make, session):
    await entered(
        make("session_started"),
        make("session_status"),
        make("session_completed", status="expired", reason="Time is over"),
        make("session_status", status="active", data={"currentPnL": 99}),
    )
    found = await session()
    assert (found.status, found.ended, found.reason) == ("expired", True, "Time is over")
    assert float(found.summary.final_pnl) == 184.2
    assert float(found.data.current_pnl) == -12.5
    await entered(make("session_started"), make("session_status", status="paused"))
    found = await session()
    assert (found.status, found.ended, found.summary) == ("paused", False, None)


async def test_a_session_first_heard_of_by_any_event_is_active(entered, make, session):
    await entered(make("risk_alert"))
    found = await session()
    assert (found.status, found.counts.alerts, found.data) == ("active", 1, None)


async def test_sessions_are_those_of_the_users_asked_for_open_ones_first(entered, make, engine):
    await entered(make("session_started", sessionId="s-1"), now=NOW)
    await entered(make("session_started", sessionId="s-2"), now=NOW + timedelta(seconds=1))
    await entered(make("session_completed", sessionId="s-3"), now=NOW + timedelta(seconds=2))
    await entered(make("session_started", sessionId="s-4", userId="bob"), now=NOW)
    await entered(make("session_started", sessionId="s-5", userId="eve"), now=NOW)
    async with engine.connect() as connection:
        mine = await sessions_of(connection, ["alice", "bob"])
        opened = await sessions_of(connection, ["alice"], open_only=True, limit=1)
    assert [one.session_id for one in mine] == ["s-2", "s-1", "s-4", "s-3"]
    assert [one.session_id for one in opened] == ["s-2"]


async def test_a_snapshot_is_the_newest_status_of_each_session(entered, make, engine):
    newest = make("session_status", data={"currentPnL": 7})
    await entered(make("session_status"), newest, make("session_started", sessionId="silent"))
    await entered(
        make("session_status", sessionId="s-2"), make("session_completed", sessionId="s-2")
    )
    async with engine.connect() as connection:
        one = await statuses(connection, "alice", "s-1", now=NOW)
        every = await statuses(connection, "alice", None, now=NOW)
        later = await statuses(connection, "alice", None, now=NOW + timedelta(days=2))
        nobody = await statuses(connection, "bob", "s-1", now=NOW)
    assert one == [newest.model_copy(update={"snapshot": True})]
    assert b'"snapshot":true' in encode(one[0])
    assert [(s.session_id, s.status) for s in every] == [("s-1", "active"), ("s-2", "completed")]
    assert [s.session_id for s in later] == ["s-1"]
    assert nobody == []


async def test_what_is_old_is_forgotten_and_open_sessions_are_not(entered, make, engine, rows):
    await entered(make("session_started"), make("position_update"), now=NOW)
    await entered(
        make("position_update", sessionId="over"),
        make("session_completed", sessionId="over"),
        now=NOW,
    )
    await entered(make("trade_executed"), now=NOW + timedelta(days=1))
    async with engine.begin() as connection:
        assert not await clean(connection, before=NOW + timedelta(hours=1))
    assert await rows(EVENTS) == 1
    assert await rows(SESSIONS) == 1
    assert await rows(POSITIONS) == 1


async def test_a_number_is_never_given_twice(entered, make, engine):
    async def newest():
        async with engine.connect() as connection:
            return await connection.scalar(select(func.max(EVENTS.c.seq)))

    await entered(make("risk_alert"), make("risk_alert"))
    before = await newest()
    async with engine.begin() as connection:
        await clean(connection, before=NOW + timedelta(hours=1))
    await entered(make("risk_alert"))
    assert await newest() > before
