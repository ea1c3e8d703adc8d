"""What is in a tray that another edge lets go: counted when the broker has all of it back."""

import asyncio

import pytest

from tapewire.broker import topology
from tapewire.edge.connection.effects import Kind
from tapewire.edge.mailbox.line import Line
from tapewire.edge.mailbox.succession import SUCCEED_WITHIN_S, Succession
from tapewire.edge.runtime.admin import Found

HELD = Found(messages=0, consumers=1)
LET_GO = Found(messages=0, consumers=0)
BACK = Found(messages=10, consumers=0)


class Looks:
    """What looks at the queue find, one after another, and then always the last."""

    def __init__(self, *found: Found | None) -> None:
        self._found = list(found)
        self.made = 0

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def look(self, queue: topology.Queue) -> Found | None:
        self.made += 1
        return self._found.pop(0) if len(self._found) > 1 else self._found[0]


async def outwaited(*found: Found | None, queue_type: topology.QueueType = "classic"):
    queue = topology.own_inbox("alice", "bot", queue_type=queue_type)
    line = Line("alice", "alice", queue, Kind.INBOX, None, shared=False)
    looks = Looks(*found)
    succession = Succession({Kind.INBOX: looks}, None, {}, looks)
    async with asyncio.timeout(60):
        return await succession.outwait(line), line


async def test_classic_tray_is_counted_when_what_its_holder_held_is_back():
    found, _ = await outwaited(HELD, LET_GO, LET_GO._replace(messages=2), BACK)
    assert found == BACK


async def test_quorum_queue_whose_holder_is_counted_no_more_has_all_back():
    found, _ = await outwaited(HELD, BACK, LET_GO, queue_type="quorum")
    assert found == BACK


async def test_tray_that_is_taken_by_another_edge_is_waited_for_again():
    found, _ = await outwaited(HELD, LET_GO, HELD, LET_GO, BACK)
    assert found == BACK


async def test_holder_that_does_not_let_go_in_time_is_supposed_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("tapewire.edge.mailbox.succession.HOLDER_LEAVES_WITHIN_S", 0.05)
    found, line = await outwaited(HELD)
    assert (found, line.tray.predecessor.others) == (HELD, 1)


async def test_queue_that_is_gone_holds_nothing():
    assert (await outwaited(HELD, None))[0] is None


async def test_tray_to_which_new_messages_come_all_the_time_is_not_waited_for_long():
    found, _ = await outwaited(HELD, *(LET_GO._replace(messages=n) for n in range(100)))
    assert found == LET_GO._replace(messages=4)


class SlowLooks(Looks):
    """Each takes a second."""

    def now(self) -> float:
        return self.made


async def ended(*found: Found | None, claims: int = 1):
    """Wait for the end of somebody who was supposed to hold a quorum queue; count the looks."""
    queue = topology.own_inbox("alice", "bot")
    line = Line("alice", "alice", queue, Kind.INBOX, None, shared=False)
    line.claims |= set(range(claims))
    line.tray.predecessor.suppose(1)
    assert line.tray.predecessor.begin()
    looks = SlowLooks(*found)
    succession = Succession({Kind.INBOX: looks}, None, {}, looks)
    async with asyncio.timeout(60):
        return await succession.ended(line), looks.made


UNKNOWN = Found(messages=0, consumers=0)
TWO = Found(messages=0, consumers=2)
ALONE = Found(messages=0, consumers=1)


async def test_who_consumes_a_quorum_queue_takes_nobody_for_no_answer():
    """RabbitMQ says 0 and 0 when the queue's leader does not answer it within 250 ms."""
    assert await ended(TWO, UNKNOWN, UNKNOWN, ALONE) == (True, 4)


async def test_a_broker_that_does_not_tell_is_asked_for_longer_than_one_that_does():
    assert await ended(*[UNKNOWN] * 10, ALONE) == (True, 11)
    assert await ended(*[TWO] * 10, ALONE) == (True, SUCCEED_WITHIN_S)


async def test_who_leaves_waits_for_a_broker_that_does_not_tell_no_longer_than_for_one_that_does():
    assert await ended(*[UNKNOWN] * 10, ALONE, claims=0) == (True, SUCCEED_WITHIN_S)


async def test_a_broker_that_never_tells_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tapewire.edge.mailbox.succession.SILENCE_S", 10.0)
    assert await ended(UNKNOWN) == (True, 10)


async def test_quorum_queue_of_which_nobody_may_know_is_looked_at_again_when_something_comes():
    _, line = await outwaited(HELD, UNKNOWN, queue_type="quorum")
    assert line.tray.predecessor.begin()
