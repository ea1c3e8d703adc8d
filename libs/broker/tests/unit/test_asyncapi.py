"""docs/asyncapi.json is what contracts and topology say, and valid by AsyncAPI's own schema."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from tapewire.broker import topology
from tapewire.broker.asyncapi import document, text
from tapewire.broker.reach import matches, reaching
from tapewire.contracts import EVENT_TYPES, TokenRevocation
from tapewire.contracts.schema import schemas

ROOT = Path(__file__).parents[4]
WRITTEN = ROOT / "docs" / "asyncapi.json"
OFFICIAL = ROOT / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"
EXAMPLES = ROOT / "libs" / "contracts" / "examples"


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    return json.loads(WRITTEN.read_text(encoding="utf-8"))


def test_the_document_is_up_to_date() -> None:
    stale = "run `.venv/bin/python -m tapewire.broker.asyncapi > docs/asyncapi.json`"
    assert text() == WRITTEN.read_text(encoding="utf-8"), stale


@pytest.mark.skipif(not OFFICIAL.exists(), reason="NOT TESTED: AsyncAPI's schema comes by npm")
def test_the_document_is_valid_by_the_specifications_own_schema(written: dict[str, Any]) -> None:
    validator = Draft7Validator(json.loads(OFFICIAL.read_text(encoding="utf-8")))
    assert [error.message[:500] for error in validator.iter_errors(written)] == []
    broken = written | {"operations": {"x": {"action": "shout", "channel": {"$ref": "#/x"}}}}
    assert not validator.is_valid(broken)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_reference_leads_somewhere(written: dict[str, Any]) -> None:
    for reference in set(references(written)):
        place: Any = written
        for step in reference.removeprefix("#/").split("/"):
            assert step in place, reference
            place = place[step]


def test_an_operation_names_only_messages_of_its_channel(written: dict[str, Any]) -> None:
    for name, operation in written["operations"].items():
        for message in operation["messages"]:
            assert message["$ref"].startswith(operation["channel"]["$ref"] + "/messages/"), name


def test_nothing_of_the_contracts_and_of_the_topology_is_missing(written: dict[str, Any]) -> None:
    names = {"client-frames.schema.json", "server-frames.schema.json"}
    frames = {ref["$ref"].rpartition("/")[2] for name in names for ref in schemas()[name]["oneOf"]}
    models = {model.__name__ for model in EVENT_TYPES.values()} | frames
    models.add(TokenRevocation.__name__)
    payloads = [message["payload"] for message in written["components"]["messages"].values()]
    assert {p["$ref"].rpartition("/")[2] for p in payloads if "$ref" in p} == models

    used = {name for channel in written["channels"].values() for name in channel["messages"]}
    assert used == set(written["components"]["messages"])

    amqp = [
        channel["bindings"]["amqp"]
        for channel in written["channels"].values()
        if "amqp" in channel.get("bindings", {})
    ]
    told = {one["exchange"]["name"] for one in amqp if one["is"] == "routingKey"}
    told |= {between["to"] for between in written["x-exchange-bindings"]}
    assert told | {topology.UNROUTED} == {exchange.name for exchange in topology.EXCHANGES}
    queues = {one["queue"]["name"] for one in amqp if one["is"] == "queue"}
    assert {queue.name for queue in topology.SERVICE_QUEUES} < queues


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_a_golden_example_fits_the_payload_of_its_message(name: str) -> None:
    made = document()
    payload = made["components"]["messages"][name]["payload"]
    validator = Draft7Validator(payload | {"components": made["components"]})
    Draft7Validator.check_schema(made["components"]["schemas"][EVENT_TYPES[name].__name__])
    example = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    assert [error.message for error in validator.iter_errors(example)] == []


@pytest.mark.parametrize(
    ("pattern", "key", "does"),
    [
        ("#", "a.b.c", True),
        ("*.*.session.*", "u.s.session.status", True),
        ("*.*.session.*", "u.s.session", False),
        ("u.#", "u", True),
        ("u.#", "u.s.x.critical", True),
        ("u.#", "v.s.x.critical", False),
        ("#.critical", "a.b.critical", True),
        ("*", "a.b", False),
        ("a.#.b.*", "a.x.y.b.c", True),
        ("a.#.b.*", "a.b", False),
    ],
)
def test_keys_are_matched_as_a_topic_exchange_does(pattern: str, key: str, does: bool) -> None:
    assert matches(pattern, key) is does


def test_bindings_are_followed_through_exchanges_and_their_alternates() -> None:
    assert "risk_alert" in reaching(topology.inbox("<user>"))
    assert "risk_alert" in reaching(topology.MAILROOM)
    assert "session_status" not in reaching(topology.inbox("<user>"))
    assert {"session_status", "alert_acknowledged"} < set(reaching(topology.risk_shard(0)))
    assert "algorithm_decision" not in reaching(topology.risk_shard(0))
    assert reaching(topology.MARKET_TICKS) == ["market_data"]
