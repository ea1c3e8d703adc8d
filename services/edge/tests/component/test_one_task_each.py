"""An idle connection costs one task: the reader that ASGI needs."""

import asyncio
from collections import Counter

USERS, EACH = 4, 15


def tasks() -> Counter[str]:
    """How many tasks run each coroutine."""
    coroutines = (task.get_coro() for task in asyncio.all_tasks())
    return Counter(getattr(coroutine, "__qualname__", "?") for coroutine in coroutines)


async def test_an_idle_connection_has_a_reader_and_no_other_task(world):
    edge = await world.edge()
    before = tasks()
    for number in range(USERS * EACH):  # clients that run no task themselves
        client = await world.client(edge, f"user-{number % USERS}", ping_interval=None)
        await client.round_trip()

    def of_connections() -> dict[str, int]:
        """What there is more of, by user at least: a few AMQP channels are there for all."""
        return {name: more for name, more in (tasks() - before).items() if more >= EACH}

    await world.until(lambda: list(of_connections().values()) == [USERS * EACH])
