"""The grants against the topology: whoever needs a thing may have it, and nobody more."""

import base64
import hashlib
import io
import json
import re
from pathlib import Path

import pytest

from tapewire.broker import topology
from tapewire.broker.permissions import GRANTS, USERS, definitions, main, password_hash, table

DEFINITIONS = Path(__file__).parents[4] / "infra" / "rabbitmq" / "definitions.json"
OPERATIONS = Path(__file__).parents[4] / "docs" / "operations.md"

GRANT = {grant.user: grant for grant in GRANTS}
DECLARED_BY = {
    "edge": [
        topology.inbox("alice"),
        topology.own_inbox("alice", "exec-1"),
        topology.recent("alice"),
        topology.recent("alice", "phone"),
        topology.edge("edge-1"),
    ],
    "ingest": [topology.INGEST_INBOX],
    "risk": [topology.risk_shard(0), topology.risk_shard(15)],
    "market": [topology.MARKET_TICKS, topology.MARKET_SNAPSHOT],
    "desk": [
        topology.DESK_EVENTS,
        topology.DESK_SNAPSHOT,
        topology.MAILROOM,
        topology.inbox("alice"),
    ],
}
REVOCATIONS = topology.REVOCATIONS
EXCHANGES = [exchange.name for exchange in topology.EXCHANGES]
SERVICES = tuple(DECLARED_BY)


def allowed(pattern, name):
    return re.search(pattern, name) is not None


@pytest.mark.parametrize(
    ("user", "queue"),
    [(user, queue) for user, queues in DECLARED_BY.items() for queue in queues],
    ids=lambda value: getattr(value, "name", value),
)
def test_each_service_may_declare_bind_and_consume_its_queues(user, queue):
    grant = GRANT[user]
    assert allowed(grant.configure, queue.name)
    assert allowed(grant.read, queue.name)
    for binding in queue.bindings:
        assert allowed(grant.write, queue.name)
        assert allowed(grant.read, binding.source)
    if dead_letters := queue.arguments.get("x-dead-letter-exchange"):
        assert allowed(grant.write, dead_letters)


def test_every_queue_of_the_topology_has_a_service_or_is_left_to_the_operator():
    owned = {queue.name for queues in DECLARED_BY.values() for queue in queues}
    left = {queue.name for queue in topology.SERVICE_QUEUES} - owned
    assert left == {q.name for q in (topology.REJECTED_QUEUE, topology.DEAD_QUEUE, REVOCATIONS)}


@pytest.mark.parametrize("user", [user for user in USERS if user != "operator"])
def test_nobody_but_the_operator_may_declare_a_durable_exchange(user):
    durable = [exchange.name for exchange in topology.EXCHANGES if exchange.durable]
    assert not [name for name in durable if allowed(GRANT[user].configure, name)]


def test_a_producer_may_write_to_the_front_door_and_nothing_else():
    grant = GRANT["producer"]
    assert [name for name in EXCHANGES if allowed(grant.write, name)] == [topology.INGEST]
    queues = [queue.name for queues in DECLARED_BY.values() for queue in queues]
    for name in [*EXCHANGES, *queues, "amq.default", "amq.gen-x", "tw.ingest.x", "x.tw.ingest"]:
        assert not allowed(grant.configure, name)
        assert not allowed(grant.read, name)
        assert name == topology.INGEST or not allowed(grant.write, name)


def test_an_executor_hears_stop_orders_of_any_user_and_no_other_event():
    pattern = GRANT["executor"].topics[topology.EVENTS]
    assert allowed(pattern, "*.*.command.emergency_stop")
    assert allowed(pattern, "alice.s-17.command.emergency_stop")
    for key in ("#", "*.*.*.*", "alice.s-17.trade.executed", "alice.#.command.emergency_stop.x"):
        assert not allowed(pattern, key)


def test_only_ingest_risk_and_desk_write_to_the_events_exchange():
    writers = {user for user in USERS if allowed(GRANT[user].write, topology.EVENTS)}
    assert writers == {"ingest", "risk", "desk", "operator"}


def test_every_service_reads_what_was_revoked_and_none_may_delete_it():
    for user in SERVICES:
        assert allowed(GRANT[user].read, REVOCATIONS.name)
        assert not allowed(GRANT[user].configure, REVOCATIONS.name)


def test_no_producer_executor_or_inspector_reads_or_writes_revocations():
    for user in ("producer", "executor", "inspector"):
        assert not allowed(GRANT[user].read, REVOCATIONS.name)
        assert not allowed(GRANT[user].write, "amq.default")


def test_no_service_reads_another_services_queues():
    for user, queues in DECLARED_BY.items():
        for other in SERVICES:
            if other == user or {user, other} == {"edge", "desk"}:  # both open inboxes
                continue
            for queue in queues:
                assert not allowed(GRANT[other].read, queue.name), (other, queue.name)


def test_definitions_hold_hashes_and_the_whole_static_topology():
    document = definitions({user: f"secret-of-{user}" for user in USERS}, vhost="desk")
    assert "secret-of" not in str(document)
    assert {user["name"] for user in document["users"]} == set(USERS)
    assert [exchange["name"] for exchange in document["exchanges"]] == EXCHANGES
    assert [queue["name"] for queue in document["queues"]] == [
        queue.name for queue in topology.SERVICE_QUEUES
    ]
    assert len(document["bindings"]) == len(topology.EXCHANGE_BINDINGS) + sum(
        len(queue.bindings) for queue in topology.SERVICE_QUEUES
    )
    assert {part["vhost"] for key in ("queues", "bindings") for part in document[key]} == {"desk"}


def test_definitions_give_only_the_users_that_have_a_password():
    document = definitions({"edge": "x"})
    assert [part["user"] for part in document["permissions"]] == ["edge"]
    assert document["topic_permissions"] == []


def test_a_password_for_an_unknown_user_is_refused():
    with pytest.raises(ValueError, match="guest"):
        definitions({"guest": "guest"})


def test_the_definitions_for_compose_are_the_declared_ones_and_hold_no_password():
    again = "python -m tapewire.broker.permissions > infra/rabbitmq/definitions.json"
    assert DEFINITIONS.read_text() == main([]), f"make it anew: {again}"
    assert "password" not in DEFINITIONS.read_text().replace("rabbit_password_hashing_sha256", "")


def test_the_document_for_operators_shows_the_declared_users():
    again = "python -m tapewire.broker.permissions --table"
    assert table() in OPERATIONS.read_text(), f"its table is old: {again}"


def test_the_hash_is_rabbitmqs_salted_sha256():
    salt, digest = b"salt", hashlib.sha256(b"saltpw").digest()
    assert base64.b64decode(password_hash("pw", salt)) == salt + digest
    assert password_hash("pw") != password_hash("pw")


def test_users_without_a_password_are_left_out_and_named(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO('{"edge": "secret"}'))
    document = json.loads(main(["--passwords"]))
    assert [user["name"] for user in document["users"]] == ["edge"]
    assert "ingest" in capsys.readouterr().err
