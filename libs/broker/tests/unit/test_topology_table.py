"""The documented topology is the declared one."""

from pathlib import Path
from random import Random

from tapewire.broker import full_jitter
from tapewire.broker.topology import EXCHANGE_BINDINGS, EXCHANGES, SERVICE_QUEUES, document, inbox

DOCUMENT = Path(__file__).parents[4] / "docs" / "topology.md"


def test_the_document_shows_the_declared_topology() -> None:
    assert document() == DOCUMENT.read_text()


def test_every_binding_has_its_ends() -> None:
    names = {exchange.name for exchange in EXCHANGES}
    assert {b.source for b in EXCHANGE_BINDINGS} | {
        b.destination for b in EXCHANGE_BINDINGS
    } <= names
    assert {b.source for queue in SERVICE_QUEUES for b in queue.bindings} <= names


def test_an_inbox_never_deletes_on_redelivery_or_age() -> None:
    arguments = inbox("alice").arguments
    assert arguments["x-delivery-limit"] == 1_000_000
    assert not {"x-expires", "x-message-ttl", "x-max-length"} & set(arguments)


def test_an_inbox_is_bound_to_its_user_last() -> None:
    assert [b.routing_key for b in inbox("a.b").bindings] == ["all.#", "a:2Eb.#"]


def test_full_jitter_stays_within_a_bound_that_doubles_to_its_cap() -> None:
    waits = full_jitter(0.5, 20, Random(1))
    bounds = [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert all(0 <= next(waits) <= bound for bound in bounds)
