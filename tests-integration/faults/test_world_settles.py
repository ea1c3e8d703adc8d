"""What was handled is read before it is judged, however long publishers took to finish."""

import asyncio
from types import SimpleNamespace

from faults.audit import Device, Sent
from faults.world import World


async def test_a_programs_record_is_read_after_a_publisher_that_took_all_the_time(tmp_path):
    world = World(SimpleNamespace(), tmp_path, name="w", seed=1)
    program = Device("program", "ada")
    world.book.devices.append(program)
    world.book.sending(Sent("p-0", "ada", "p", 0, 1.0))

    async def finish(deadline_s):
        await asyncio.sleep(deadline_s)

    async def live():
        await asyncio.Event().wait()

    world.publishers = [SimpleNamespace(finish=finish)]
    world.processes = [SimpleNamespace(collect=lambda: world.book.handled("p-0", program))]
    world.loner, world._loner_task = SimpleNamespace(live=live), None
    await world.settle(0, deadline_s=0.05)
    assert world.book.verdict().holds
