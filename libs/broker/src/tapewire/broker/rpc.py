"""Asking another service over AMQP: a request queue and the broker's direct reply-to."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiormq import Channel, spec
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import DeliveryError

from tapewire.broker.consumer import Consumer
from tapewire.broker.delivery import Delivery, Settlement
from tapewire.broker.errors import CallTimedOut, NotConfirmed
from tapewire.broker.link import CONNECTION_ERRORS, Link
from tapewire.broker.publisher import Publisher
from tapewire.broker.topology import Queue
from tapewire.contracts import new_id

log = logging.getLogger(__name__)

DIRECT_REPLY_TO = "amq.rabbitmq.reply-to"

Answer: TypeAlias = Callable[[bytes], Awaitable[bytes]]


def responder(
    link: Link, publisher: Publisher, queue: Queue, answer: Answer, *, concurrency: int = 16
) -> Consumer:
    """Return a consumer that answers each request on ``queue`` with ``answer(body)``.

    A request that nobody waits for any more, or that ``answer`` fails on, is dropped: the asker has
    a deadline.
    """

    async def handle(delivery: Delivery) -> Settlement:
        try:
            reply = await answer(delivery.body)
            if delivery.reply_to:
                await publisher.publish(
                    "",
                    delivery.reply_to,
                    reply,
                    type="reply",
                    message_id=new_id(),
                    correlation_id=delivery.correlation_id,
                    persistent=False,
                )
        except NotConfirmed as error:
            log.info("%s: reply not delivered: %s", queue.name, error)
        except Exception:
            log.exception("%s: no answer", queue.name)
        return Settlement.ACK

    return Consumer(link, queue, handle, prefetch=concurrency * 2, concurrency=concurrency)


class Caller:
    """Asks and waits. Requests are transient: an answer after the deadline is of no use.

    Args:
        link: a connection of role ``publish``; requests and replies share one AMQP channel on it,
            as direct reply-to demands.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()
        self._waiting: dict[str, asyncio.Future[bytes]] = {}

    async def call(self, queue: str, body: bytes, *, timeout_s: float, exchange: str = "") -> bytes:
        """Return the answer to ``body`` from whoever consumes ``queue``.

        With ``exchange``, ``queue`` is a routing key there.

        Raises:
            CallTimedOut: no answer within ``timeout_s``, whatever the reason; at once where the
                broker has no queue for it.
        """
        correlation_id = new_id()
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[correlation_id] = future
        try:
            async with asyncio.timeout(timeout_s):
                channel = await self._open()
                await channel.basic_publish(
                    body,
                    exchange=exchange,
                    routing_key=queue,
                    mandatory=True,
                    properties=spec.Basic.Properties(
                        content_type="application/json",
                        delivery_mode=1,
                        reply_to=DIRECT_REPLY_TO,
                        correlation_id=correlation_id,
                        message_id=correlation_id,
                        expiration=str(int(timeout_s * 1000)),
                    ),
                    wait=False,
                )
                return await future
        except DeliveryError as error:
            raise CallTimedOut(f"{queue}: nobody is there") from error
        except (TimeoutError, *CONNECTION_ERRORS) as error:
            raise CallTimedOut(f"{queue}: no answer within {timeout_s} s") from error
        finally:
            del self._waiting[correlation_id]

    async def _open(self) -> Channel:
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                # With confirms: only then does aiormq tell of a message that was returned.
                channel = await self._link.channel(confirms=True)
                await channel.basic_consume(DIRECT_REPLY_TO, self._reply, no_ack=True)
                self._channel = channel
            return self._channel

    async def _reply(self, message: DeliveredMessage) -> None:
        future = self._waiting.get(message.header.properties.correlation_id or "")
        if future is not None and not future.done():
            future.set_result(message.body)
