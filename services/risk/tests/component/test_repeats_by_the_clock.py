"""Repeats by a clock that the test sets, on a real database."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from tapewire.contracts import (
    AlertAcknowledged,
    SessionCompleted,
    SessionMetrics,
    SessionStatus,
    new_id,
)
from tapewire.risk.app import MIGRATIONS
from tapewire.risk.engine import Engine
from tapewire.risk.repeats import BEFORE_HEARD_S, Repeats
from tapewire.risk.settings import RiskSettings
from tapewire.risk.stopping import Stopping, StopPolicy
from tapewire.risk.store import Store
from tapewire.risk.ticker import Ticker
from tapewire.risk.watch import Watch
from tapewire.service.database import Database, engine_from

T0 = datetime(2025, 3, 3, 14, 30, tzinfo=UTC)
REPEATS = Repeats(critical_s=300, emergency_s=60, most=5)
OWNER = {"user_id": "alice", "session_id": "s-17"}


@dataclass
class Desk:
    """Engine and ticker without a broker: what they say stays in the outbox."""

    store: Store
    now: datetime = T0
    fault: str | None = None  # of what hears the broker
    ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        watch = Watch(stale_after_s=1e9, repeats=REPEATS)
        stopping = Stopping(self.store, StopPolicy("off"), clock=lambda: self.now)
        self.engine = Engine(self.store, watch, stopping, clock=lambda: self.now)
        self.ticker = Ticker(
            self.store,
            self.engine,
            stopping,
            hears=[lambda: self.fault],
            every_s=1,
            patience_s=1e9,
            listen_s=REPEATS.listen_s,
            retention=timedelta(days=1),
            clock=lambda: self.now,
        )

    async def loses(self) -> None:
        data = SessionMetrics(current_pnl=-1, loss_limit_utilization=120)
        for _ in range(2):
            stamp = {"id": new_id(), "timestamp": self.now - timedelta(days=365)}  # its own time
            await self.engine.hear([SessionStatus(**stamp, **OWNER, data=data)])

    async def after(self, seconds: float) -> list[int | None]:
        """Look at the clock so much later; return the tellings in the outbox: n-th repeat."""
        self.now += timedelta(seconds=seconds)
        await self.ticker.look()
        said = [message for _, message in await self.store.unsent(but=[], limit=100)]
        self.ids = [message.message_id for message in said]
        return [_repeat(message.body) for message in said]


def _repeat(body: bytes) -> int | None:
    return json.loads(body).get("repeat")


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    settings = RiskSettings(amqp_url="amqp://nowhere", database_url=database_url)
    database = Database(engine_from(settings, "risk"), MIGRATIONS)
    await database.start()
    desk = Desk(Store(database.engine))
    await desk.after(1000)  # long enough after the start
    yield desk
    await database.stop()


async def test_an_alarm_is_told_again_when_its_time_has_come_and_once(desk: Desk):
    await desk.loses()
    assert await desk.after(59) == [None]
    assert await desk.after(1) == [None, 1]
    assert await desk.after(0) == [None, 1]  # another process looks, too
    assert await desk.after(119) == [None, 1]
    assert await desk.after(1) == [None, 1, 2]
    assert await desk.after(86_400 * 3) == [None, 1, 2, 3]


async def test_events_that_waited_repeat_nothing_however_much_time_they_tell_of(desk: Desk):
    await desk.loses()
    data = SessionMetrics(current_pnl=-1, loss_limit_utilization=120)
    for hour in range(5):
        stamp = {"id": new_id(), "timestamp": desk.now + timedelta(hours=hour)}
        await desk.engine.hear([SessionStatus(**stamp, **OWNER, data=data)])
    assert await desk.after(1) == [None]


async def test_while_the_broker_is_not_heard_nothing_counts_as_unacknowledged(desk: Desk):
    await desk.loses()
    await desk.after(0)
    desk.fault = "away"
    assert await desk.after(3600) == [None]
    desk.fault = None
    assert await desk.after(BEFORE_HEARD_S - 1) == [None]
    word = AlertAcknowledged(id=new_id(), timestamp=desk.now, **OWNER, alert_ids=desk.ids)
    await desk.engine.hear([word])  # it waited at the broker
    assert await desk.after(3600) == [None]


async def test_who_did_not_acknowledge_while_the_broker_was_away_hears_it_after(desk: Desk):
    await desk.loses()
    desk.fault = "away"
    assert await desk.after(3600) == [None]
    desk.fault = None
    assert await desk.after(BEFORE_HEARD_S) == [None, 1]


async def test_limits_set_on_a_session_that_ended_do_not_end_its_alarm(desk: Desk):
    await desk.loses()
    await desk.engine.hear([SessionCompleted(id=new_id(), timestamp=desk.now, **OWNER)])
    await desk.engine.set_limits("alice", "s-17", lambda known: known.imposed, by="test")
    assert await desk.after(60) == [None, 1]
