"""Which messages reach which exchange and queue: bindings, followed with the keys that events have.

Pure. Ids in keys are samples, escaped like any other.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from string import Formatter
from typing import Any, Final, NamedTuple, get_args

from tapewire.broker import topology
from tapewire.contracts import (
    EVENT_TYPES,
    EmergencyStop,
    Event,
    Quality,
    bundle_key,
    route,
    stop_command_key,
)

USER: Final = "<user>"
SESSION: Final = "<session>"
CLIENT: Final = "<client>"
SYMBOL: Final = "<symbol>"

BUNDLE: Final = "market_bundle"  # many of `market_data`: what `market` says to edges


class Said(NamedTuple):
    """A message as it is published. ``lifted``: since its producer wants it acknowledged."""

    type: str
    exchange: str
    routing_key: str
    lifted: bool = False


def said(model: type[Event]) -> Iterator[Said]:
    """Return every way in which an event of this type is published."""
    names = [name for _, name, _, _ in Formatter().parse(model.kind) if name]
    values = [get_args(model.model_fields[name].annotation) or (SYMBOL,) for name in names]
    owner: dict[str, Any] = {"user_id": USER, "session_id": SESSION, "symbol": SYMBOL}
    owner = {name: value for name, value in owner.items() if name in model.model_fields}
    for ack in (None, True) if model.quality is Quality.RECENT else (None,):
        for chosen in product(*values):
            fields: Any = owner | dict(zip(names, chosen, strict=True))
            event = model.model_construct(None, ack=ack, **fields)
            yield Said(event.type, *route(event), lifted=bool(ack))
            if isinstance(event, EmergencyStop):
                yield Said(event.type, topology.EVENTS, stop_command_key(event))


def everything() -> list[Said]:
    """Return every message that services publish, each way, what is lifted last."""
    events = [one for model in EVENT_TYPES.values() for one in said(model)]
    known = {one[:3] for one in events if not one.lifted}
    events = [one for one in events if not one.lifted or one[:3] not in known]
    return [*events, Said(BUNDLE, topology.MARKET, bundle_key(0))]


def reaching(queue: topology.Queue) -> list[str]:
    """Return the types of what the queue's own bindings bring, in the catalogue's order."""
    found = [
        one.type
        for one in everything()
        for binding in queue.bindings
        if _arrives(one, binding.source) and _passes(binding.source, binding.routing_key, one)
    ]
    return list(dict.fromkeys(sorted(found, key=_order)))


def matches(pattern: str, key: str) -> bool:
    """Return whether a topic exchange routes ``key`` by ``pattern`` (AMQP 0-9-1, 3.1.3.3)."""
    return _match(pattern.split("."), key.split("."))


def _match(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    head, *rest = pattern
    if head == "#":
        return _match(rest, words) or (bool(words) and _match(pattern, words[1:]))
    return bool(words) and head in ("*", words[0]) and _match(rest, words[1:])


def _arrives(one: Said, exchange: str) -> bool:
    """Return whether a message comes to an exchange, by its publisher or from another exchange."""
    if one.exchange == exchange:
        return True
    sources: Iterable[tuple[str, str]] = [
        *(
            (b.source, b.routing_key)
            for b in topology.EXCHANGE_BINDINGS
            if b.destination == exchange
        ),
        *((e.name, "#") for e in topology.EXCHANGES if _alternate(e) == exchange),
    ]
    return any(_arrives(one, source) and matches(key, one.routing_key) for source, key in sources)


def _passes(exchange: str, key: str, one: Said) -> bool:
    kind = next(e.kind for e in topology.EXCHANGES if e.name == exchange)
    return kind != "topic" or matches(key, one.routing_key)  # else the key is a weight


def _alternate(exchange: topology.Exchange) -> str | None:
    return exchange.arguments.get("alternate-exchange")


def _order(type_: str) -> int:
    return [*EVENT_TYPES, BUNDLE].index(type_)
