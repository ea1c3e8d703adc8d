"""The request body of `POST /v1/events` in OpenAPI, with an example of every event."""

from typing import Any, Final

from fastapi import FastAPI
from pydantic import TypeAdapter

from tapewire.contracts import EVENT_TYPES, AnyEvent
from tapewire.ingest.examples import EXAMPLES
from tapewire.ingest.judgement import OWN_WORDS

SCHEMA_PREFIX: Final = "#/components/schemas/"

PRODUCED: Final = {
    name: model for name, model in EVENT_TYPES.items() if not issubclass(model, OWN_WORDS)
}
"""The event types that producers may send."""


def event_schemas() -> dict[str, Any]:
    """Return the schemas of every event and of what they hold, by name.

    `id` and `timestamp` are optional here: they are stamped where they are absent.
    """
    schema = TypeAdapter[Any](AnyEvent).json_schema(ref_template=SCHEMA_PREFIX + "{model}")
    found: dict[str, Any] = schema["$defs"]
    for model in EVENT_TYPES.values():
        one = found[model.__name__]
        one["required"] = [
            "type",
            *(f for f in one["required"] if f not in {"type", "id", "timestamp"}),
        ]
    return found


def describe_events(app: FastAPI) -> None:
    """Add the schemas that `REQUEST_BODY` names to the application's OpenAPI document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for name, schema in event_schemas().items():
            schemas.setdefault(name, schema)
        return document

    app.openapi = openapi


ONE_EVENT: Final = {
    "oneOf": [{"$ref": SCHEMA_PREFIX + model.__name__} for model in PRODUCED.values()],
    "discriminator": {
        "propertyName": "type",
        "mapping": {name: SCHEMA_PREFIX + model.__name__ for name, model in PRODUCED.items()},
    },
}

REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "anyOf": [ONE_EVENT, {"type": "array", "items": ONE_EVENT, "maxItems": 1000}]
            },
            "examples": {
                **{name: {"summary": name, "value": value} for name, value in EXAMPLES.items()},
                "batch": {
                    "summary": "several at once",
                    "value": [EXAMPLES["algorithm_decision"], EXAMPLES["trade_executed"]],
                },
            },
        },
        "application/x-ndjson": {
            "schema": {"type": "string", "description": "One event on each line"},
        },
    },
}
