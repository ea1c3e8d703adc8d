"""Each broker user against a real broker: what it needs works, all else is refused."""

import secrets
from contextlib import contextmanager
from urllib.parse import urlsplit

import pika
import pytest
from aiormq.exceptions import ChannelAccessRefused
from pika.exceptions import ChannelClosedByBroker

from tapewire.broker import Link, Role, declare, topology
from tapewire.broker.permissions import USERS, definitions

REPLY_TO = "amq.rabbitmq.reply-to"
PERSISTENT = pika.BasicProperties(delivery_mode=2)


class Users:
    """The fleet's users on a vhost of this test, each under a name of its own."""

    def __init__(self, broker):
        self.vhost = f"test-{secrets.token_hex(6)}"
        self._passwords = {user: secrets.token_urlsafe(12) for user in USERS}
        document = definitions(self._passwords, vhost=self.vhost)
        for part in document["users"]:
            part["name"] += f"-{self.vhost}"
        for part in (*document["permissions"], *document["topic_permissions"]):
            part["user"] += f"-{self.vhost}"
        self._broker = urlsplit(broker.add_vhost(self.vhost))
        broker.import_definitions(document)

    def url(self, user):
        broker = self._broker
        name, password = f"{user}-{self.vhost}", self._passwords[user]
        return f"amqp://{name}:{password}@{broker.hostname}:{broker.port}/{self.vhost}"

    @contextmanager
    def channel(self, user):
        parameters = pika.ConnectionParameters(
            self._broker.hostname,
            self._broker.port,
            self.vhost,
            pika.PlainCredentials(f"{user}-{self.vhost}", self._passwords[user]),
        )
        connection = pika.BlockingConnection(parameters)
        try:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel
        finally:
            connection.close()


@pytest.fixture(
    params=["private", pytest.param("container", marks=pytest.mark.containers)],
)
def users(request):
    broker = request.getfixturevalue(f"_{request.param}_broker")
    made = Users(broker)
    yield made
    broker.delete_vhost(made.vhost)


@contextmanager
def refused():
    with pytest.raises(ChannelClosedByBroker) as caught:
        yield
    assert caught.value.reply_code == 403, caught.value


def set_up(channel, queue):
    channel.queue_declare(
        queue.name,
        durable=queue.durable,
        exclusive=queue.exclusive,
        arguments=dict(queue.arguments),
    )
    for binding in queue.bindings:
        channel.queue_bind(queue.name, binding.source, binding.routing_key)


def consume_one(channel, queue):
    for method, properties, body in channel.consume(queue.name, inactivity_timeout=10):
        assert method is not None, f"nothing came from {queue.name}"
        channel.basic_ack(method.delivery_tag)
        return properties, body


@pytest.mark.parametrize(
    ("user", "queues", "exchanges"),
    [
        (
            "edge",
            [
                topology.inbox("alice"),
                topology.own_inbox("alice", "exec-1"),
                topology.recent("alice", "phone"),
                topology.edge("edge-1"),
            ],
            [topology.INGEST, topology.RELAY],
        ),
        (
            "ingest",
            [topology.INGEST_INBOX],
            [topology.EVENTS, topology.ALERTS, topology.MARKET, topology.REJECTED],
        ),
        ("risk", [topology.risk_shard(0)], [topology.EVENTS, topology.ALERTS]),
        ("market", [topology.MARKET_TICKS, topology.MARKET_SNAPSHOT], [topology.MARKET]),
        (
            "desk",
            [topology.DESK_EVENTS, topology.MAILROOM, topology.inbox("bob")],
            [topology.EVENTS],
        ),
        ("producer", [], [topology.INGEST]),
    ],
)
def test_a_user_declares_consumes_and_publishes_what_it_needs(users, user, queues, exchanges):
    with users.channel(user) as channel:
        for queue in queues:
            set_up(channel, queue)
            channel.basic_consume(queue.name, lambda *_: None)
        for exchange in exchanges:
            channel.basic_publish(exchange, "a.b.c.d", b"{}", PERSISTENT)


def test_an_edge_binds_trays_and_its_own_queue_to_every_exchange_that_feeds_them(users):
    own = topology.edge("edge-1")
    with users.channel("edge") as channel:
        set_up(channel, own)
        for exchange in (topology.EVENTS, topology.ALERTS, topology.MARKET, topology.RELAY):
            channel.queue_bind(own.name, exchange, "alice.#")


def test_a_producer_cannot_write_past_the_front_door(users):
    for exchange in topology.EXCHANGES:
        if exchange.name != topology.INGEST:
            with users.channel("producer") as channel, refused():
                channel.basic_publish(exchange.name, "alice.-.x.critical", b"{}")


def test_a_producer_cannot_write_to_a_queue_by_its_name(users):
    with users.channel("producer") as channel, refused():
        channel.basic_publish("", topology.DESK_EVENTS.name, b"{}")


def test_a_producer_cannot_read_queues(users):
    for queue in topology.SERVICE_QUEUES:
        with users.channel("producer") as channel, refused():
            channel.basic_get(queue.name)


def test_a_producer_cannot_declare_or_listen(users):
    with users.channel("producer") as channel, refused():
        channel.queue_declare("", exclusive=True)
    with users.channel("producer") as channel, refused():
        channel.exchange_declare("mine", "topic")


def test_a_producer_gets_its_results_by_direct_reply(users):
    with users.channel("producer") as producer, users.channel("ingest") as ingest:
        answers = []
        producer.basic_consume(REPLY_TO, lambda *delivery: answers.append(delivery[3]), True)
        properties = pika.BasicProperties(reply_to=REPLY_TO, correlation_id="1")
        producer.basic_publish(topology.INGEST, "any", b"{}", properties)
        request, _ = consume_one(ingest, topology.INGEST_INBOX)
        ingest.basic_publish("", request.reply_to, b"accepted")
        producer.connection.process_data_events(time_limit=10)
    assert answers == [b"accepted"]


def test_an_executor_hears_stop_orders_and_is_refused_other_events(users):
    key = "alice.s-17.command.emergency_stop"
    with users.channel("executor") as channel, users.channel("risk") as risk:
        name = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(name, topology.EVENTS, "*.*.command.emergency_stop")
        risk.basic_publish(topology.EVENTS, key, b"stop")
        assert channel.basic_get(name, auto_ack=True)[2] == b"stop"
        with refused():
            channel.queue_bind(name, topology.EVENTS, "#")


def test_an_inspector_looks_and_asks_and_cannot_speak_for_an_edge(users):
    inbox = topology.inbox("alice")
    with users.channel("desk") as desk:
        set_up(desk, inbox)
    with users.channel("inspector") as channel:
        own = channel.queue_declare("inspector.1", exclusive=True).method.queue
        channel.queue_bind(own, topology.RELAY, "*.copy")
        channel.basic_publish(topology.RELAY, "alice.asked", b"")
        channel.basic_consume(inbox.name, lambda *_: None)
        channel.basic_publish(topology.INGEST, "any", b"{}", PERSISTENT)
    for word in ("acked", "copy", "opened", "closed"):
        with users.channel("inspector") as channel, refused():
            channel.basic_publish(topology.RELAY, f"alice.{word}", b"[]")
    with users.channel("inspector") as channel, refused():
        channel.queue_declare("inspector.1", exclusive=True)
        channel.queue_bind("inspector.1", topology.RELAY, "#")
    with users.channel("inspector") as channel, refused():
        channel.basic_publish(topology.ALERTS, "alice.-.loss_limit.critical", b"{}")
    with users.channel("inspector") as channel, refused():
        channel.queue_delete(inbox.name)


def test_a_service_cannot_delete_what_all_share(users):
    for user in ("edge", "ingest", "risk", "market", "desk"):
        with users.channel(user) as channel, refused():
            channel.exchange_delete(topology.EVENTS)
        with users.channel(user) as channel, refused():
            channel.queue_delete(topology.DEAD_QUEUE.name)


def test_an_alert_for_an_unknown_user_reaches_the_mailroom_of_an_imported_topology(users):
    with users.channel("risk") as risk, users.channel("desk") as desk:
        risk.basic_publish(topology.ALERTS, "zoe.-.loss_limit.critical", b"x", PERSISTENT)
        _, body = consume_one(desk, topology.MAILROOM)
    assert body == b"x"


@pytest.mark.parametrize(
    ("user", "own"),
    [("ingest", topology.INGEST_INBOX), ("risk", topology.risk_shard(3)), ("edge", None)],
)
async def test_a_service_starts_on_an_imported_topology_and_adds_only_what_is_its_own(
    users, user, own
):
    link = Link(users.url(user), Role.CONSUME, name="test")
    await link.start()
    await declare(link, topology.FLEET)
    if own:
        await declare(link, (*topology.FLEET, own))
        await declare(link, (own,))
    else:  # the exchange that a restart of the broker takes away
        with users.channel("operator") as channel:
            channel.exchange_delete(topology.RELAY)
        await declare(link, topology.FLEET)
    await link.close()


async def test_a_service_is_refused_a_missing_thing_that_is_not_its_own(users):
    with users.channel("operator") as channel:
        channel.queue_delete(topology.DEAD_QUEUE.name)
    link = Link(users.url("risk"), Role.CONSUME, name="test")
    await link.start()
    with pytest.raises(ChannelAccessRefused):
        await declare(link, topology.FLEET)
    await link.close()
