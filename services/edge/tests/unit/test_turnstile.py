"""Arrivals are let in a few at a time, in turn, and who is stuck holds nobody up for long."""

import asyncio

import pytest

from tapewire.edge.runtime.clock import Clock
from tapewire.edge.websocket import turnstile
from tapewire.edge.websocket.turnstile import Turnstile


@pytest.fixture
async def clock():
    clock = Clock(0.01)
    await clock.start()
    yield clock
    await clock.stop()


async def test_places_are_handed_on_in_the_order_of_arrival(clock):
    doors = Turnstile(clock, at_once=2)
    first, second = [await doors.enter(1) for _ in range(2)]
    entered: list[int] = []

    async def arrive(number: int) -> None:
        place = await doors.enter(60)
        entered.append(number)
        place.leave()

    waiting = [asyncio.create_task(arrive(number)) for number in range(5)]
    await asyncio.sleep(0)
    assert entered == []
    first.leave()
    await asyncio.gather(*waiting)
    assert entered == [0, 1, 2, 3, 4]
    second.leave()


async def test_who_finds_no_place_in_time_is_told_so(clock):
    doors = Turnstile(clock, at_once=1)
    place = await doors.enter(1)
    with pytest.raises(TimeoutError):
        await doors.enter(0.01)
    place.leave()
    (await doors.enter(1)).leave()


async def test_a_place_is_given_up_only_once(clock):
    doors = Turnstile(clock, at_once=1)
    place = await doors.enter(1)
    place.leave()
    place.leave()
    await doors.enter(1)
    with pytest.raises(TimeoutError):
        await doors.enter(0.01)


async def test_who_is_stuck_holds_nobody_up_for_long(clock, monkeypatch):
    monkeypatch.setattr(turnstile, "HELD_AT_MOST_S", 0.05)
    doors = Turnstile(clock, at_once=1)
    await doors.enter(1)
    (await doors.enter(60)).leave()
