"""A user's critical events go one after the other, and none behind one that failed."""

import asyncio

import pytest

from tapewire.broker import NotConfirmed
from tapewire.ingest.turns import Turns


class Published:
    """What was published, and gates at which publishing waits."""

    def __init__(self):
        self.turns = Turns()
        self.begun: list[str] = []
        self.gates: dict[str, asyncio.Future[None]] = {}

    async def publish(self, user, name):
        async with self.turns.of(user):
            self.begun.append(name)
            self.gates[name] = asyncio.get_running_loop().create_future()
            await self.gates[name]

    def start(self, user, name):
        return asyncio.create_task(self.publish(user, name))


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_second_waits_for_the_first_and_another_user_does_not():
    world = Published()
    tasks = [world.start("ada", "a-1"), world.start("ada", "a-2"), world.start("bob", "b-1")]
    await settle()
    assert world.begun == ["a-1", "b-1"]
    world.gates["a-1"].set_result(None)
    await settle()
    assert world.begun == ["a-1", "b-1", "a-2"]
    for name in ("b-1", "a-2"):
        world.gates[name].set_result(None)
    await asyncio.gather(*tasks)


async def test_all_that_wait_behind_a_failure_fail_and_who_comes_later_does_not():
    world = Published()
    tasks = [world.start("ada", f"a-{n}") for n in range(3)]
    await settle()
    world.gates["a-0"].set_exception(NotConfirmed("away"))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [NotConfirmed] * 3
    assert world.begun == ["a-0"]
    again = world.start("ada", "a-0 again")
    await settle()
    world.gates["a-0 again"].set_result(None)
    await again


async def test_who_gives_up_waiting_leaves_nobody_stuck():
    world = Published()
    first, second, third = (world.start("ada", f"a-{n}") for n in range(3))
    await settle()
    second.cancel()
    await settle()
    world.gates["a-0"].set_result(None)
    await first
    with pytest.raises(NotConfirmed):  # the one before it has not gone out
        await third
