from concurrent.futures import ThreadPoolExecutor

import aio_pika
import psutil
import pytest

from tapewire.fleet.installation import Installation
from tapewire.fleet.rabbitmq import Node
from tapewire.fleet.running_node import RunningNode


async def test_a_test_gets_an_empty_vhost_with_quorum_queues_and_consistent_hash(any_broker_url):
    connection = await aio_pika.connect(any_broker_url)
    async with connection:
        channel = await connection.channel()
        shards = await channel.declare_exchange("shards", "x-consistent-hash", durable=True)
        queue = await channel.declare_queue(
            "inbox", durable=True, arguments={"x-queue-type": "quorum"}
        )
        await queue.bind(shards, "1")
        await shards.publish(aio_pika.Message(b"kept"), routing_key="any")
        message = await queue.get(timeout=10)
        await message.ack()
    assert message.body == b"kept"


def test_callers_at_the_same_instant_are_all_answered(broker):
    if not hasattr(broker, "eval"):
        pytest.skip("RabbitMQ is not installed here")
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(broker.eval, ["1 + 1"] * 8))
    assert answers == ["{ok, 2}"] * 8


@pytest.mark.skipif(Installation.find() is None, reason="RabbitMQ is not installed here")
def test_a_private_node_never_starts_an_epmd_nor_speaks_to_the_systems(tmp_path):
    running = RunningNode(Node.create(tmp_path / "node"))
    running.start()
    try:
        home = str(tmp_path / "node" / "home")
        # What the monitor does by itself once a minute; the second call waits for it.
        running.node.eval("gen_server:cast(rabbit_epmd_monitor, check)")
        running.node.eval("sys:get_state(rabbit_epmd_monitor)")
        ours = [process for process in psutil.process_iter() if _home(process) == home]
        assert [process.name() for process in ours if process.name() == "epmd"] == []
        listening = [
            c.laddr for p in ours for c in p.net_connections("tcp") if c.status == "LISTEN"
        ]
        assert {address.ip for address in listening} == {"127.0.0.1"}
        assert {address.port for address in listening} == {
            running.node.amqp_port,
            running.node.dist_port,
            running.node.http_port,
        }
    finally:
        running.stop()
    assert [process for process in psutil.process_iter() if _home(process) == home] == []


def _home(process):
    try:
        return process.environ().get("HOME")
    except psutil.Error:
        return None
