"""Events entered together leave what the same events leave that are entered one by one."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from tapewire.desk.entry import entry_of
from tapewire.desk.ledger import enter
from tapewire.desk.tables import EVENTS, PNL, POSITIONS, SESSIONS

KINDS = [
    ("session_started", {}),
    ("session_status", {"status": "active"}),
    ("session_status", {"status": "paused", "data": {"currentPnL": 5}}),
    ("session_completed", {"status": "expired"}),
    ("algorithm_decision", {}),
    ("trade_executed", {}),
    ("risk_alert", {}),
    ("position_update", {"symbol": "SPY", "quantity": 3}),
    ("position_update", {"symbol": "SPY", "quantity": 0}),
    ("position_update", {"symbol": "QQQ", "quantity": 1}),
]
STEP = st.tuples(
    st.sampled_from(KINDS), st.sampled_from(["s-1", "s-2"]), st.booleans(), st.integers(1, 5)
)


@pytest.fixture
def state(engine):
    """Enter batches into empty tables; return what is in them then."""

    async def run(batches, now):
        async with engine.connect() as connection, connection.begin() as transaction:
            for table in (EVENTS, PNL, POSITIONS, SESSIONS):
                await connection.execute(delete(table))
            for batch in batches:
                await enter(connection, batch, now=now)
            rows = [
                (await connection.execute(select(table).order_by(*keys))).all()
                for table, keys in (
                    (SESSIONS, (SESSIONS.c.session_id,)),
                    (POSITIONS, (POSITIONS.c.session_id, POSITIONS.c.symbol)),
                    (PNL, (PNL.c.session_id, PNL.c.at)),
                    (EVENTS.select().subquery(), ()),
                )
            ]
            await transaction.rollback()
        return *rows[:3], {row.event_id for row in rows[3]}

    return run


async def test_in_any_order_and_however_they_are_cut(make, state):
    import asyncio

    loop = asyncio.get_running_loop()

    @settings(
        max_examples=40,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(st.lists(STEP, min_size=1, max_size=14))
    def check(steps):
        entries, batches, previous = [], [[]], None
        for (kind, changes), session, again, size in steps:
            event = make(kind, sessionId=session, **changes)
            entry = previous if again and previous is not None else entry_of(event)
            previous = entry
            entries.append(entry)
            if len(batches[-1]) >= size:
                batches.append([])
            batches[-1].append(entry)
        now = entries[0].at

        async def both():
            return await state(batches, now), await state([[one] for one in entries], now)

        together, alone = asyncio.run_coroutine_threadsafe(both(), loop).result(30)
        assert together == alone

    await asyncio.to_thread(check)
