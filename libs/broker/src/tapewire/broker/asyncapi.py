"""All that is said over AMQP and WebSocket, as an AsyncAPI 3 document.

``python -m tapewire.broker.asyncapi > docs/asyncapi.json`` writes it; a test says when it is old.
Messages are the contracts' models, channels the topology's exchanges and queues and the socket.
Actions are the fleet's: it *receives* what producers and clients say, and *sends* what they hear.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from tapewire.broker import topology
from tapewire.broker.reach import BUNDLE, CLIENT, SESSION, SYMBOL, USER, Said, everything, reaching
from tapewire.contracts import (
    BUNDLE_SHARDS,
    EVENT_TYPES,
    SYMBOLS_HEADER,
    Event,
    Quality,
    TokenRevocation,
    escape,
)
from tapewire.contracts.schema import schemas

Node: TypeAlias = dict[str, Any]

SPECIFICATION: Final = "3.0.0"
AMQP_BINDING: Final = "0.3.0"
SOCKET: Final = "socket"
SNAPSHOT_REQUEST: Final = "snapshot_request"
SNAPSHOT: Final = "snapshot"
CHANNELS: Final = "subscriptions"
REVOCATION: Final = "token_revocation"
ANYTHING: Final = "anything"

REPLIES: Final = {
    "subscribe": "subscribed",
    "unsubscribe": "unsubscribed",
    "refresh": "refreshed",
    "command": "accepted",
    "heartbeat": "heartbeat",
}
"""What a client says → what answers it, if not `error`."""

PARAMETERS: Final = {
    "user": "Whose it is, escaped; `all`: everyone's.",
    "session": "The trading session, escaped; `-`: none.",
    "client": "A device or program of the user, escaped.",
    "symbol": "An instrument, escaped.",
    "kind": "What it is about.",
    "level": "How grave it is; what it decided.",
    "type": "The type of a message whose producer wants it acknowledged.",
    "shard": "Of the sessions, or of the symbols.",
    "node": "An edge's name.",
}

_SERVERS: Final[Node] = {
    "edge": {
        "host": "{host}",
        "protocol": "ws",
        "description": "An edge, or the proxy in front of everything (then wss).",
        "variables": {"host": {"default": "localhost:8081"}},
        "security": [{"$ref": "#/components/securitySchemes/token"}],
    },
    "broker": {
        "host": "{host}",
        "protocol": "amqp",
        "protocolVersion": "0.9.1",
        "description": "RabbitMQ. Its users and their rights: docs/operations.md.",
        "variables": {"host": {"default": "localhost:5672"}},
        "security": [{"$ref": "#/components/securitySchemes/brokerUser"}],
    },
}
_SECURITY: Final[Node] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Header, subprotocol `bearer.<jwt>`, or the message `authenticate`.",
    },
    "brokerUser": {"type": "userPassword"},
}
_OPTIONS: Final[Node] = {
    "type": "object",
    "properties": {
        "clientId": {"type": "string", "maxLength": 64},
        "inbox": {"type": "string", "const": "own"},
        "resume": {"type": "boolean"},
    },
}
_OTHERS: Final[Node] = {
    BUNDLE: {
        "name": BUNDLE,
        "summary": "A `market_data` or `volatility_alert` a line, in the order of the header.",
        "contentType": "application/x-ndjson",
        "headers": {"type": "object", "properties": {SYMBOLS_HEADER: {"type": "string"}}},
        "payload": {"type": "string"},
    },
    SNAPSHOT_REQUEST: {
        "name": SNAPSHOT_REQUEST,
        "summary": "What is so now on these channels? Answered to `reply_to`.",
        "payload": {
            "type": "object",
            "properties": {
                "userId": {"type": "string"},
                "channels": {"type": "array", "items": {"type": "string"}},
            },
        },
    },
    SNAPSHOT: {
        "name": SNAPSHOT,
        "summary": 'An event a line, each with `"snapshot":true`.',
        "contentType": "application/x-ndjson",
        "payload": {"type": "string"},
    },
    CHANNELS: {
        "name": CHANNELS,
        "summary": "The channels of a named device.",
        "payload": {"type": "array", "items": {"type": "string"}},
    },
    REVOCATION: {
        "name": REVOCATION,
        "summary": "A token, or a user's tokens, are bad from now on.",
        "payload": {"$ref": f"#/components/schemas/{TokenRevocation.__name__}"},
    },
    ANYTHING: {"name": ANYTHING, "summary": "Whatever was said.", "payload": {}},
}


def document() -> Node:
    """Return the AsyncAPI document."""
    parts = schemas()
    definitions: Node = {
        name: one for part in parts.values() for name, one in part["$defs"].items()
    }
    definitions[TokenRevocation.__name__] = TokenRevocation.model_json_schema(by_alias=True)
    frames = {side: _frames(parts[f"{side}-frames.schema.json"]) for side in ("client", "server")}
    channels = {SOCKET: _socket(frames), **_exchanges(), **_queues()}
    return {
        "asyncapi": SPECIFICATION,
        "info": {
            "title": "Tapewire",
            "version": "1.0.0",
            "description": "A trading desk's events over RabbitMQ and WebSocket (`tapewire.v1`). "
            "In words: docs/protocol.md, docs/delivery.md, docs/topology.md.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _SERVERS,
        "channels": channels,
        "operations": _operations(channels, frames),
        "components": {
            "messages": {
                **{type_: _frame(name) for side in frames.values() for type_, name in side.items()},
                **{type_: _event(model) for type_, model in EVENT_TYPES.items()},
                **_OTHERS,
            },
            "schemas": _plain(definitions),
            "securitySchemes": _SECURITY,
        },
        "x-exchange-bindings": [
            {"from": b.source, "to": b.destination, "routingKey": b.routing_key}
            for b in topology.EXCHANGE_BINDINGS
        ],
    }


def text() -> str:
    """Return the document as it stands in ``docs/asyncapi.json``."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


# Messages


def _frames(part: Node) -> dict[str, str]:
    """Return type → model of what one side says."""
    names = [ref["$ref"].rpartition("/")[2] for ref in part["oneOf"]]
    return {part["$defs"][name]["properties"]["type"]["const"]: name for name in names}


def _frame(name: str) -> Node:
    return {"name": name, "payload": {"$ref": f"#/components/schemas/{name}"}}


def _event(model: type[Event]) -> Node:
    type_ = model.model_fields["type"].default
    return {
        "name": type_,
        "summary": (model.__doc__ or "").partition("\n")[0],
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
        "bindings": {"amqp": {"messageType": type_, "bindingVersion": AMQP_BINDING}},
        "x-quality": model.quality.value,
        "x-shown": model.shown,
    }


def _plain(node: Any) -> Any:
    """Return a JSON Schema of pydantic's as AsyncAPI has them: references to its components."""
    return json.loads(json.dumps(node).replace('"#/$defs/', '"#/components/schemas/'))


# Channels


def _socket(frames: Mapping[str, Iterable[str]]) -> Node:
    shown = [type_ for type_, model in EVENT_TYPES.items() if model.shown]
    types = [*frames["client"], *frames["server"], *shown]
    return {
        "address": "/ws",
        "summary": "A client's connection; the same over HTTP: docs/protocol.md.",
        "servers": [{"$ref": "#/servers/edge"}],
        "messages": _messages(types),
        "bindings": {"ws": {"method": "GET", "query": _OPTIONS, "bindingVersion": "0.1.0"}},
    }


def _exchanges() -> Node:
    """Return a channel for each exchange and shape of routing key that is published with."""
    producers = [
        type_ for type_, model in EVENT_TYPES.items() if not model.kind.startswith("account.")
    ]
    found: Node = {
        "ingest": _channel(topology.INGEST, "{kind}", producers, "Any routing key will do."),
        "lifted": _of_keys([one for one in everything() if one.lifted], "type"),
    }
    ways: dict[str, list[Said]] = {}
    for one in everything():
        if not one.lifted:
            way = one.type if one.exchange != topology.EVENTS else f"{one.type} {one.exchange}"
            ways.setdefault(way, []).append(one)
    names = {way: way.partition(" ")[0] for way in ways}
    for way, keys in ways.items():
        twice = list(names.values()).count(names[way]) > 1 and " " in way
        found[f"{names[way]}_order" if twice else names[way]] = _of_keys(keys)
    for name in (topology.REJECTED, topology.DEAD):
        found[name.partition(".")[2] + "_letters"] = _channel(
            name, "{kind}", [ANYTHING], "With the reason in its headers; keys as they were."
        )
    found["relay"] = _channel(topology.RELAY, "{user}.{kind}", [ANYTHING], "Between edges only.")
    return found


def _of_keys(keys: Sequence[Said], third: str = "kind") -> Node:
    """Return the channel of messages of one shape: words that differ are parameters."""
    words = list(zip(*(one.routing_key.split(".") for one in keys), strict=True))
    names = ("user", "session", third, "level")[-len(words) :]
    address: list[str] = []
    enums: dict[str, list[str]] = {}
    for name, found in zip(names, words, strict=True):
        known = sorted(set(found))
        address.append(_unescaped(known[0]) if len(known) == 1 else f"{{{name}}}")
        if len(known) > 1:
            enums[name] = known
    if keys[0].type == BUNDLE:
        address[-1], enums["shard"] = "{shard}", [str(n) for n in range(BUNDLE_SHARDS)]
    types = dict.fromkeys(one.type for one in keys)
    return _channel(keys[0].exchange, ".".join(address), types, enums=enums)


def _channel(
    exchange: str,
    address: str,
    types: Iterable[str],
    summary: str = "",
    enums: Mapping[str, Sequence[str]] | None = None,
) -> Node:
    declared = next(one for one in topology.EXCHANGES if one.name == exchange)
    amqp: Node = {
        "is": "routingKey",
        "exchange": {
            "name": exchange,
            "type": declared.kind,
            "durable": declared.durable,
            "autoDelete": False,
        },
        "bindingVersion": AMQP_BINDING,
    }
    return _on_broker(address, types, amqp, summary, enums or {})


def _queues() -> Node:
    """Return a channel for each queue, with what its bindings bring it."""
    live = [t for t, m in EVENT_TYPES.items() if m.shown and m.quality is Quality.LIVE]
    recent = [t for t, m in EVENT_TYPES.items() if m.shown and m.quality is Quality.RECENT]
    ingest = list(_exchanges()["ingest"]["messages"])
    given = {
        topology.INGEST_INBOX.name: ingest,
        topology.MARKET_SNAPSHOT.name: [SNAPSHOT_REQUEST],
        topology.DESK_SNAPSHOT.name: [SNAPSHOT_REQUEST],
        topology.REJECTED_QUEUE.name: [ANYTHING],
        topology.DEAD_QUEUE.name: [ANYTHING],
        topology.REVOCATIONS.name: [REVOCATION],
    }
    found = {q.name: _queue(q, given.get(q.name) or reaching(q)) for q in topology.SERVICE_QUEUES}
    shard = topology.risk_shard(0)
    found["risk.shard"] = _queue(shard, reaching(shard), "risk.shard.{shard}")
    for name, queue, types in (
        ("inbox", topology.inbox(USER), None),
        ("inbox.own", topology.own_inbox(USER, CLIENT), None),
        ("recent", topology.recent(USER), recent),
        ("recent.device", topology.recent(USER, CLIENT), recent),
        ("subs", topology.subscriptions(USER, CLIENT), [CHANNELS]),
        ("edge", topology.edge("{node}"), [*live, BUNDLE, ANYTHING]),
    ):
        found[name] = _queue(queue, reaching(queue) if types is None else types)
    replies = {
        "address": None,
        "summary": "The asker's own, by RabbitMQ's direct reply-to.",
        "servers": [{"$ref": "#/servers/broker"}],
        "messages": _messages([SNAPSHOT]),
    }
    return {f"queue.{name}": channel for name, channel in found.items()} | {"replies": replies}


def _queue(queue: topology.Queue, types: Iterable[str], address: str = "") -> Node:
    name = address or _unescaped(queue.name)
    amqp: Node = {
        "is": "queue",
        "queue": {
            "name": name,
            "durable": queue.durable,
            "exclusive": queue.exclusive,
            "autoDelete": False,
        },
        "bindingVersion": AMQP_BINDING,
    }
    channel = _on_broker(name, types, amqp, "", {})
    bound = [f"{b.source} {_unescaped(b.routing_key)}" for b in queue.bindings]
    return channel | {"x-arguments": dict(queue.arguments), "x-bound-to": bound}


def _on_broker(
    address: str,
    types: Iterable[str],
    amqp: Node,
    summary: str,
    enums: Mapping[str, Sequence[str]],
) -> Node:
    parameters: Node = {
        name: {"description": words} | ({"enum": list(enums[name])} if name in enums else {})
        for name, words in PARAMETERS.items()
        if f"{{{name}}}" in address
    }
    return {
        "address": address,
        **({"summary": summary} if summary else {}),
        "servers": [{"$ref": "#/servers/broker"}],
        "messages": _messages(types),
        **({"parameters": parameters} if parameters else {}),
        "bindings": {"amqp": amqp},
    }


def _messages(types: Iterable[str]) -> Node:
    return {type_: {"$ref": f"#/components/messages/{type_}"} for type_ in types}


def _unescaped(key: str) -> str:
    """Return a key or name with its samples as AsyncAPI's parameters."""
    for sample in (USER, SESSION, CLIENT, SYMBOL):
        key = key.replace(escape(sample), sample).replace(sample, f"{{{sample[1:-1]}}}")
    return key


# Operations


def _operations(channels: Mapping[str, Node], frames: Mapping[str, Mapping[str, str]]) -> Node:
    """Return what the fleet does on each channel."""
    events = [type_ for type_, model in EVENT_TYPES.items() if model.shown]
    says = [type_ for type_ in frames["server"] if type_ not in REPLIES.values()]
    found: Node = {f"client.{type_}": _hears_client(type_) for type_ in frames["client"]}
    found["server.says"] = _operation("send", SOCKET, [*says, "heartbeat", *events])
    for name, channel in channels.items():
        if name in (SOCKET, "replies"):
            continue
        types = list(channel["messages"])
        if name.startswith("queue."):
            found[f"consume.{name.partition('.')[2]}"] = consume = _operation(
                "receive", name, types
            )
            if types == [SNAPSHOT_REQUEST]:
                consume["reply"] = {
                    "address": {"location": "$message.header#/reply_to"},
                    "channel": {"$ref": "#/channels/replies"},
                    "messages": [_message("replies", SNAPSHOT)],
                }
        else:
            action = "receive" if name == "ingest" else "send"
            found[f"publish.{name}"] = _operation(action, name, types)
    return found


def _hears_client(type_: str) -> Node:
    operation = _operation("receive", SOCKET, [type_])
    if answer := REPLIES.get(type_):
        operation["reply"] = {
            "channel": {"$ref": f"#/channels/{SOCKET}"},
            "messages": [_message(SOCKET, one) for one in (answer, "error")],
        }
    return operation


def _operation(action: str, channel: str, types: Iterable[str]) -> Node:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [_message(channel, type_) for type_ in types],
    }


def _message(channel: str, type_: str) -> Node:
    return {"$ref": f"#/channels/{channel}/messages/{type_}"}


if __name__ == "__main__":
    print(text(), end="")
