"""Declaring: on AMQP channels of their own, since a refusal closes the channel that asked."""

import logging
from collections.abc import Iterable

from aiormq import Channel
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity

from tapewire.broker.link import Link, close_channel
from tapewire.broker.topology import Exchange, ExchangeBinding, Queue, Thing

log = logging.getLogger(__name__)


async def declare(link: Link, things: Iterable[Thing], *, timeout_s: float | None = 10.0) -> None:
    """Declare and bind ``things``, or make sure that they are there.

    A user without the right to configure (the fleet's users on a broker that got its definitions
    at start) falls back, at the first refusal, to looking whether each thing that is left exists;
    what does not, it tries to declare.

    Raises:
        aiormq.exceptions.ChannelPreconditionFailed: one exists with other arguments.
        aiormq.exceptions.ChannelAccessRefused: one is missing and may not be declared.
    """
    remaining = list(things)
    look_first = False
    channel = await link.channel(timeout_s=timeout_s)
    try:
        while remaining:
            thing = remaining[0]
            try:
                if not look_first or not await _exists(channel, thing):
                    if channel.is_closed:  # by the look that found nothing
                        channel = await link.channel(timeout_s=timeout_s)
                    await _declare(channel, thing)
            except ChannelAccessRefused as error:
                if look_first:
                    raise
                log.info("%s: not allowed to declare %s: %s", link.name, thing, error)
                look_first = True
                channel = await link.channel(timeout_s=timeout_s)
                continue
            remaining.pop(0)
    finally:
        await close_channel(channel)


async def _declare(channel: Channel, thing: Thing) -> None:
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


async def _exists(channel: Channel, thing: Thing) -> bool:
    """Whether it is there. A no closes the channel."""
    try:
        match thing:
            case Exchange(name):
                await channel.exchange_declare(name, passive=True)
            case Queue(name):
                await channel.queue_declare(name, passive=True)
            case ExchangeBinding():
                pass  # it came with the exchanges, in the broker's definitions
    except ChannelNotFoundEntity:
        return False
    return True
