"""The campaign reports loss where the promise is broken: else its silence would prove nothing."""

import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import aio_pika
import pytest
from engines.fleet import EDGES

from faults import campaign
from faults.devices import ProcessDevice, RawDevice, SdkDevice
from faults.faults_table import named
from faults.target import python
from faults.world import Role, World
from tapewire.broker import topology

pytestmark = [pytest.mark.timeout(420), pytest.mark.long]
PERSON = Role(SdkDevice, "person", "sdk")
GONE_AFTER_S = 10.0  # how long a round waits for what will never come


@asynccontextmanager
async def peopled(fleet, directory, *cast: Role):
    name = f"m{secrets.token_hex(2)}"
    world = World(fleet, directory, name=name, seed=1, crowd=1, cast=cast)
    await world.open()
    try:
        yield world
    finally:
        await world.close()


@pytest.fixture(autouse=True)
def only_processes(fleet):
    if fleet.engine != "process":
        pytest.skip("mutants take the place of processes")


async def test_edge_that_acks_before_the_client_loses_alerts(fleet, tmp_path):
    @asynccontextmanager
    async def mutant_edges(world):
        async with AsyncExitStack() as stack:
            for edge in EDGES:
                command = python("-m", "faults.mutants", "edge")
                await stack.enter_async_context(world.target.substitute(edge, command=command))
            yield

    fault = replace(named("client sockets cut"), times=3, setting=mutant_edges)
    shy = Role(RawDevice, "shy", "raw", more={"manner": "shy"})
    async with peopled(fleet, tmp_path, shy) as world:
        outcome = await campaign.run(world, [fault], seed=1, settle_s=GONE_AFTER_S)
    assert outcome.whole.lost
    assert not outcome.holds


async def test_client_that_acks_before_its_handler_loses_alerts(fleet, tmp_path):
    mutant = {"command": ("faults.mutants", "device")}
    hasty = Role(ProcessDevice, "hasty", "program", more=mutant)
    fault = replace(named("client process kill -9"), times=3)
    async with peopled(fleet, tmp_path, hasty) as world:
        outcome = await campaign.run(world, [fault], seed=1, settle_s=GONE_AFTER_S)
    assert outcome.whole.lost
    assert not outcome.holds


async def test_delivery_limit_of_20_loses_what_is_redelivered_200_times(fleet, tmp_path):
    async with peopled(fleet, tmp_path, PERSON) as world:
        inbox = topology.inbox(world.loner.device.user)
        connection = await aio_pika.connect(fleet.amqp_url("operator"))
        async with connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(
                inbox.name, durable=True, arguments={**inbox.arguments, "x-delivery-limit": 20}
            )
            for binding in inbox.bindings:
                await queue.bind(binding.source, binding.routing_key)
        fault = replace(named("200 redeliveries"), times=1)
        outcome = await campaign.run(world, [fault], seed=1, settle_s=GONE_AFTER_S)
    assert len(outcome.whole.lost) == 1
    assert not outcome.holds
