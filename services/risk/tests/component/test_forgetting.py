"""What is old is deleted, some of it at a time: a statement may not take for ever."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from tapewire.contracts import SessionMetrics, SessionStatus, new_id
from tapewire.risk import work
from tapewire.risk.app import MIGRATIONS
from tapewire.risk.engine import Engine
from tapewire.risk.settings import RiskSettings
from tapewire.risk.stopping import Stopping, StopPolicy, utc_now
from tapewire.risk.store import Store
from tapewire.risk.tables import APPLIED
from tapewire.risk.ticker import Ticker
from tapewire.risk.watch import Watch
from tapewire.service.database import Database, engine_from


async def test_all_that_is_old_goes_and_nothing_else(
    database_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(work, "FORGOTTEN", 2)
    settings = RiskSettings(amqp_url="amqp://nowhere", database_url=database_url)
    database = Database(engine_from(settings, "risk"), MIGRATIONS)
    await database.start()
    store, began = Store(database.engine), utc_now()
    now = began
    stopping = Stopping(store, StopPolicy("off"), clock=lambda: now)
    engine = Engine(store, Watch(stale_after_s=1e9), stopping, clock=lambda: now)
    ticker = Ticker(
        store,
        engine,
        stopping,
        hears=[],
        every_s=1,
        patience_s=1e9,
        listen_s=0,
        retention=timedelta(days=7),
        clock=lambda: now,
    )

    def marks(session: str) -> list[SessionStatus]:
        data = SessionMetrics(current_pnl=-1)
        owner = {"user_id": "alice", "session_id": session}
        return [SessionStatus(id=new_id(), timestamp=now, data=data, **owner) for _ in range(5)]

    await engine.hear(marks("s-old"))
    now = began + timedelta(days=8)
    await engine.hear(marks("s-new"))
    await ticker.forget()
    async with database.engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(APPLIED)) == 5
    assert [one.session for one in await store.sessions()] == ["s-new"]
    await database.stop()
