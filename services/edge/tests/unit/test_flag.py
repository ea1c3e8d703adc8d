"""A flag wakes who waits, once it is set, and lets go of who gave up."""

import asyncio

import pytest

from tapewire.edge.runtime.flag import Flag


async def test_all_who_wait_are_woken_also_when_it_is_taken_back_at_once():
    flag = Flag()
    waiting = [asyncio.create_task(flag.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    flag.set()
    flag.clear()
    async with asyncio.timeout(30):
        await asyncio.gather(*waiting)
    assert not flag.is_set()


async def test_who_comes_later_does_not_wait():
    flag = Flag()
    flag.set()
    await flag.wait()
    assert flag.is_set()


async def test_who_gave_up_is_forgotten_and_the_others_are_not():
    flag = Flag()
    waiting = [asyncio.create_task(flag.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[1]
    assert len(flag._waiting or ()) == 2
    flag.set()
    async with asyncio.timeout(30):
        await asyncio.gather(waiting[0], waiting[2])


async def test_who_gives_up_in_the_moment_of_being_woken_does_no_harm():
    flag = Flag()
    waiting = [asyncio.create_task(flag.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    flag.set()
    waiting[0].cancel()
    async with asyncio.timeout(30):
        await waiting[1]
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
