"""Batches of several shards that are at hand at once are one transaction."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import event, text

from tapewire.broker import Delivery, Settlement
from tapewire.contracts import Event, SessionCompleted, encode
from tapewire.risk.app import MIGRATIONS
from tapewire.risk.engine import Engine
from tapewire.risk.handlers import Handler, commands
from tapewire.risk.outlook import Outlook
from tapewire.risk.stopping import Stopping, StopPolicy
from tapewire.risk.store import Store
from tapewire.risk.watch import Watch
from tapewire.service import ServiceSettings
from tapewire.service.database import engine_from, migrate

from .conftest import T0

ACK, DEAD = Settlement.ACK, Settlement.DEAD_LETTER


def delivery(body: bytes, tag: int = 1) -> Delivery:
    return Delivery(body, "t", "", "k", "x", {}, False, None, None, None, tag)


def ended(session: str) -> Delivery:
    told: Event = SessionCompleted(
        id=session, timestamp=T0, user_id="ada", session_id=session, status="completed"
    )
    return delivery(encode(told))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    engine = engine_from(ServiceSettings(data_dir=tmp_path), "risk")
    await migrate(engine, MIGRATIONS)
    yield Store(engine)
    await engine.dispose()


class Counted:
    """A handler, and how many transactions it committed."""

    def __init__(self, store: Store) -> None:
        self.commits = 0
        event.listen(store.engine.sync_engine, "commit", self._count)
        stopping = Stopping(store, StopPolicy("shadow", ("loss_limit",), 5.0))
        watch = Watch()
        self.handle = Handler(Engine(store, watch, stopping), commands(stopping), Outlook(watch))

    def _count(self, _: object) -> None:
        self.commits += 1

    async def take(self, *batches: Sequence[Delivery]) -> list[list[Settlement]]:
        return await asyncio.gather(*(self.handle(batch) for batch in batches))


async def applied(store: Store) -> int:
    async with store.engine.connect() as connection:
        return await connection.scalar(text("SELECT count(*) FROM applied_events")) or 0


async def test_batches_at_hand_at_once_are_one_commit(store: Store):
    counted = Counted(store)
    told = await counted.take([ended("s-1"), ended("s-2")], [ended("s-3")], [ended("s-4")])
    assert (told, counted.commits) == ([[ACK, ACK], [ACK], [ACK]], 1)
    assert await applied(store) == 4


async def test_what_cannot_be_read_is_set_aside_and_keeps_no_other_shard_from_its_events(
    store: Store,
):
    counted = Counted(store)
    told = await counted.take([ended("s-1"), delivery(b"{}")], [ended("s-2"), ended("s-3")])
    assert told == [[ACK, DEAD], [ACK, ACK]]
    assert await applied(store) == 3


async def test_a_batch_whose_leader_is_ended_comes_again(store: Store):
    counted = Counted(store)
    led = asyncio.create_task(counted.handle([ended("s-1")]))
    with_it = asyncio.create_task(counted.handle([ended("s-2")]))
    behind = asyncio.create_task(counted.handle([ended("s-3")]))
    await asyncio.sleep(0)  # all have handed theirs over
    await asyncio.sleep(0)  # the leader has taken them
    led.cancel()
    assert await with_it == await behind == [Settlement.REQUEUE]
    assert await counted.take([ended("s-2"), ended("s-3")]) == [[ACK, ACK]]
