import aio_pika


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
