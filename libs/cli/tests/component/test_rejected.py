"""`tapewire rejected` and the list of inboxes, on real brokers of both versions."""

import asyncio
import json
import secrets
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from tapewire.broker import Link, Publisher, Role, declare, topology
from tapewire.broker.permissions import USERS, definitions
from tapewire.cli.app import app
from tapewire.cli.inbox import listed
from tapewire.contracts import new_id

ERRORS = json.dumps([{"field": "level", "message": "must be one of info, warning, critical"}])


class Place:
    """A vhost with the fleet's topology and users, and what is put into it."""

    def __init__(self, broker):
        self.vhost = f"test-{secrets.token_hex(6)}"
        passwords = {user: secrets.token_urlsafe(12) for user in USERS}
        document = definitions(passwords, vhost=self.vhost)
        for part in document["users"]:
            part["name"] += f"-{self.vhost}"
        for part in (*document["permissions"], *document["topic_permissions"]):
            part["user"] += f"-{self.vhost}"
        self.admin = broker.add_vhost(self.vhost)
        broker.import_definitions(document)
        at = urlsplit(self.admin)
        name, password = f"inspector-{self.vhost}", passwords["inspector"]
        self.inspector = f"amqp://{name}:{password}@{at.hostname}:{at.port}/{self.vhost}"
        self.management = broker.management

    async def open(self):
        self.link = Link(self.admin, Role.PUBLISH, name="test")
        await self.link.start()
        self.publisher = Publisher(self.link)

    async def reject(self, event, **headers):
        told = {"x-reason": "invalid_event", "x-errors": ERRORS, "x-producer": "strategy-7"}
        identifier = new_id()
        await self.publisher.publish(
            topology.REJECTED,
            "any.key",
            json.dumps(event).encode(),
            type="rejected",
            message_id=identifier,
            headers=told | headers,
        )
        return identifier

    async def depth(self, queue):
        channel = await self.link.channel()
        found = await channel.queue_declare(queue, passive=True)
        await channel.close()
        return found.message_count

    async def has_back(self, queue, count):
        """So many wait, once the broker has taken back what a command had when it ended."""
        async with asyncio.timeout(15):
            while await self.depth(queue) != count:
                await asyncio.sleep(0.02)


@pytest.fixture(params=["private", pytest.param("container", marks=pytest.mark.containers)])
async def place(request):
    broker = request.getfixturevalue(f"_{request.param}_broker")
    made = Place(broker)
    await made.open()
    yield made
    await made.publisher.close()
    await made.link.close()
    broker.delete_vhost(made.vhost)


@pytest.fixture
async def run(place):
    """Runs `tapewire …` as the broker's user `inspector`, off this event loop."""
    import asyncio

    def invoke(*arguments):
        environment = {
            "TAPEWIRE_INSPECTOR_URL": place.inspector,
            "TAPEWIRE_MANAGEMENT_URL": place.management,
        }
        return CliRunner().invoke(app, [*arguments], env=environment)

    async def run(*arguments):
        return await asyncio.to_thread(invoke, *arguments)

    return run


async def test_a_refused_event_is_shown_with_reason_field_and_producer_and_stays(place, run):
    identifier = await place.reject({"type": "risk_alert", "level": "loud"})
    for _ in range(2):
        told = json.loads((await run("rejected", "ls", "--json")).stdout)
        assert told == [
            {
                "id": identifier,
                "reason": "invalid_event",
                "errors": json.loads(ERRORS),
                "producer": "strategy-7",
                "routingKey": "any.key",
                "receivedAt": told[0]["receivedAt"],
                "event": {"type": "risk_alert", "level": "loud"},
            }
        ]
    shown = (await run("rejected", "ls")).stdout
    for word in (identifier, "invalid_event", "level: must be one of", "strategy-7", "1 rejected"):
        assert word in shown
    await place.has_back("rejected", 1)


async def test_the_chosen_ones_are_at_the_front_door_again_and_the_others_stay(place, run):
    ids = [await place.reject({"n": n}) for n in range(3)]
    result = await run("rejected", "replay", ids[1], "--json")
    assert result.exception is None, repr(result.exception)
    assert json.loads(result.stdout) == {"id": ids[1], "status": "confirmed", "errors": []}
    left = json.loads((await run("rejected", "ls", "--json")).stdout)
    assert [rejection["event"]["n"] for rejection in left] == [0, 2]
    assert await place.depth("ingest.inbox") == 1
    await run("rejected", "replay", "--all")
    assert await place.depth("rejected") == 0
    assert await place.depth("ingest.inbox") == 3


async def test_without_a_front_door_nothing_is_replayed_and_nothing_lost(place, run):
    identifier = await place.reject({"n": 1})
    channel = await place.link.channel()
    await channel.queue_delete("ingest.inbox")
    await channel.close()
    result = await run("rejected", "replay", identifier)
    assert result.exit_code == 1
    assert "the broker" in str(result.exception)
    await place.has_back("rejected", 1)


async def test_an_id_that_is_not_there_stops_the_others_too(place, run):
    identifier = await place.reject({"n": 1})
    result = await run("rejected", "replay", identifier, "nonsense")
    assert "not in the queue: nonsense" in str(result.exception)
    await place.has_back("rejected", 1)


async def test_an_event_of_which_only_the_beginning_was_kept_is_not_replayed(place, run):
    identifier = await place.reject({"n": 1}, **{"x-reason": "too_large", "x-size": 99999})
    result = await run("rejected", "replay", "--all", "--json")
    assert json.loads(result.stdout)["id"] == identifier
    assert json.loads(result.stdout)["status"] == "too_large"
    assert result.exit_code == 1
    await place.has_back("rejected", 1)


async def test_everybodys_inboxes_are_found_by_the_inspector(place, run):
    admin = place.link
    await declare(admin, [topology.inbox("alice"), topology.own_inbox("alice", "bot.1")])
    await declare(admin, [topology.inbox("o'hara@desk.example")])
    await place.publisher.publish(
        topology.ALERTS,
        "alice.s-1.loss_limit.critical",
        json.dumps({"type": "risk_alert", "timestamp": "2020-01-01T00:00:00Z"}).encode(),
        type="risk_alert",
        message_id="a-1",
    )
    found = await listed(place.inspector, place.management, [])
    assert {(box.user, box.client, box.ready) for box in found} == {
        ("alice", None, 1),
        ("alice", "bot.1", 1),
        ("o'hara@desk.example", None, 0),
    }
    told = json.loads((await run("inbox", "ls", "--json")).stdout)
    assert [(box["user"], box["client"], box["ready"]) for box in told] == [
        ("alice", None, 1),
        ("alice", "bot.1", 1),
    ]
    assert all(box["oldest_age_s"] > 5 * 365 * 86400 for box in told)
    peeked = json.loads((await run("inbox", "peek", "alice", "--json")).stdout)
    assert [message["id"] for message in peeked["messages"]] == ["a-1"]
    assert "alice" in (await run("inbox", "ls", "alice")).stdout
    assert await place.depth("inbox.alice") == 1


async def test_a_broker_that_is_not_there_is_told_in_words(run):
    result = await run("inbox", "peek", "alice", "--amqp", "amqp://a:b@127.0.0.1:1/")
    assert "the broker does not answer" in str(result.exception)
    result = await run("inbox", "ls", "--management", "http://127.0.0.1:1")
    assert "management API" in str(result.exception)
    assert "USER" in result.exception.remedy
