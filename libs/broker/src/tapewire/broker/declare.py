"""Declaring: on AMQP channels of their own, since a refusal closes the channel that asked."""

import logging
from collections.abc import Iterable

from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused

from tapewire.broker.link import Link
from tapewire.broker.topology import Exchange, ExchangeBinding, Queue, Thing

log = logging.getLogger(__name__)


async def declare(link: Link, things: Iterable[Thing], *, timeout_s: float | None = 10.0) -> None:
    """Declare and bind ``things``, or make sure that they are there.

    A user without the right to configure (the fleet's users on a broker that got its definitions
    at start) falls back to looking whether each exchange and queue exists.

    Raises:
        aiormq.exceptions.ChannelPreconditionFailed: one exists with other arguments.
        aiormq.exceptions.ChannelNotFoundEntity: one is missing and may not be declared.
    """
    remaining = list(things)
    channel = await link.channel(timeout_s=timeout_s)
    try:
        while remaining:
            try:
                await _declare(channel, remaining[0])
            except ChannelAccessRefused as error:
                log.info("%s: not allowed to declare %s: %s", link.name, remaining[0], error)
                channel = await link.channel(timeout_s=timeout_s)
                for thing in remaining:
                    await _look(channel, thing)
                return
            remaining.pop(0)
    finally:
        if not channel.is_closed:
            await channel.close()


async def _declare(channel: AbstractChannel, thing: Thing) -> None:
    match thing:
        case Exchange(name, kind, durable, arguments):
            await channel.exchange_declare(
                name, exchange_type=kind, durable=durable, arguments=dict(arguments)
            )
        case ExchangeBinding(source, destination, routing_key):
            await channel.exchange_bind(destination, source, routing_key=routing_key)
        case Queue(name, arguments, bindings, durable, exclusive):
            await channel.queue_declare(
                name, durable=durable, exclusive=exclusive, arguments=dict(arguments)
            )
            for binding in bindings:
                await channel.queue_bind(name, binding.source, routing_key=binding.routing_key)


async def _look(channel: AbstractChannel, thing: Thing) -> None:
    match thing:
        case Exchange(name):
            await channel.exchange_declare(name, passive=True)
        case Queue(name):
            await channel.queue_declare(name, passive=True)
        case ExchangeBinding():
            pass  # it came with the exchanges, in the broker's definitions
