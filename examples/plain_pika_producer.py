"""A producer that knows nothing of Tapewire: JSON to the exchange ``tw.ingest``, with pika.

    pip install pika
    python examples/plain_pika_producer.py [user] [amqp://…]

A confirm says that the broker has the event. What the ingest then makes of it (accepted, duplicate,
or rejected with the fields that are wrong) comes over RabbitMQ's direct reply-to, for who asks.
"""

import json
import sys
from typing import Any

import pika
from addresses import Addresses
from pika.adapters.blocking_connection import BlockingChannel

REPLY_TO = "amq.rabbitmq.reply-to"


def publish(channel: BlockingChannel, event: dict[str, Any]) -> None:
    """Publish one event; returns once the broker has it, raises ``pika.exceptions`` otherwise."""
    channel.basic_publish(
        exchange="tw.ingest",
        routing_key=event["type"],
        body=json.dumps(event).encode(),
        properties=pika.BasicProperties(
            content_type="application/json",
            delivery_mode=pika.DeliveryMode.Persistent,
            reply_to=REPLY_TO,
        ),
        mandatory=True,
    )


def main(user: str, url: str) -> None:
    answers: list[dict[str, Any]] = []
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_consume(
            REPLY_TO, lambda _c, _m, _p, body: answers.append(json.loads(body)), auto_ack=True
        )
        notice = {"type": "system_notification", "userId": user, "title": "From pika"}
        publish(channel, {**notice, "message": "Nothing but JSON and AMQP."})
        publish(channel, {**notice, "message": "No such level.", "level": "urgent"})
        while len(answers) < 2:
            connection.process_data_events(time_limit=1)
    for answer in answers:
        print(json.dumps(answer))


if __name__ == "__main__":
    given = sys.argv[1:]
    main(given[0] if given else "alice", given[1] if given[1:] else Addresses.find().need("amqp"))
