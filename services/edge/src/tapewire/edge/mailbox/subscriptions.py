"""The channels of a named device, remembered on the broker for whichever edge comes next.

AMQP cannot list a queue's bindings, so beside the device's tray stands a queue of one message, the
list of its channels (``topology.subscriptions``; ADR 0006). A change is bound first and recorded
then, and dropped from the record before it is unbound: what the record says is always bound.
"""

import asyncio
import json

from aiormq import spec
from aiormq.exceptions import ChannelNotFoundEntity

from tapewire.broker import Publisher, topology
from tapewire.contracts import new_id
from tapewire.edge.runtime.admin import Admin, raise_out_of_reach

BUSY_TRIES = 20  # another edge may be reading it, as on a take-over
BUSY_WAIT_S = 0.05


class Subscriptions:
    """Reads and writes the records."""

    def __init__(self, admin: Admin, publisher: Publisher) -> None:
        self._admin = admin
        self._publisher = publisher

    async def read(self, user: str, client: str) -> list[str] | None:
        """Return the channels of a device, or None when none are recorded.

        Raises:
            OutOfReach: the record is on a node that is down.
        """
        queue = topology.subscriptions(user, client)
        for _ in range(BUSY_TRIES):
            async with self._admin.tap() as tap:
                try:
                    message = await tap.channel.basic_get(queue.name)
                except ChannelNotFoundEntity as error:
                    raise_out_of_reach(error)
                    return None
                if message.delivery_tag is not None:
                    tap.send((spec.Basic.Nack(message.delivery_tag, requeue=True),))
                    return [str(name) for name in json.loads(message.body)]
            await asyncio.sleep(BUSY_WAIT_S)
        return None  # declared, and the writer died before it wrote

    async def write(self, user: str, client: str, channels: list[str]) -> None:
        """Record the channels of a device; return when the broker has them on disk.

        Raises:
            BrokerError: it has not.
        """
        queue = topology.subscriptions(user, client)
        async with self._admin.tap() as tap:
            arguments = dict(queue.arguments)
            await tap.ask(spec.Queue.Declare(queue=queue.name, durable=True, arguments=arguments))
        await self._publisher.publish(
            "",
            queue.name,
            json.dumps(channels).encode(),
            type="subscriptions",
            message_id=new_id(),
            mandatory=True,
        )
