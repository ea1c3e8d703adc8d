"""What an inbox and an alert in it look like to an operator. Pure."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tapewire.broker.topology import inbox, own_inbox
from tapewire.contracts import NotReversible, unescape


@dataclass(frozen=True)
class Alert:
    """A message in an inbox.

    Attributes:
        shown: on a screen, and not acknowledged; else it waits for somebody to come.
        at: when it was raised, by its own word.
    """

    id: str
    type: str
    routing_key: str
    body: bytes
    shown: bool
    redelivered: bool
    at: datetime | None

    def as_json(self, now: datetime) -> dict[str, Any]:
        """For programs; the body as the client gets it."""
        return {
            "id": self.id,
            "type": self.type,
            "routingKey": self.routing_key,
            "state": "shown" if self.shown else "waiting",
            "redelivered": self.redelivered,
            "timestamp": self.at and self.at.isoformat(),
            "age_s": age_s(self.at, now),
            "message": parsed(self.body),
        }


@dataclass
class Inbox:
    """An inbox as it stands.

    Attributes:
        user: None where the id was too long to be in a queue's name.
        client: of a program with an inbox of its own.
        ready: messages that nobody holds.
        consumers: edges that have it open; one of them holds it.
        unacked: messages on a screen; None when the holder did not say.
        holder: the edge that has them.
        oldest: when its first message was raised, as far as it could be told.
    """

    queue: str
    user: str | None
    client: str | None
    ready: int
    consumers: int
    unacked: int | None = 0
    holder: str | None = None
    oldest: datetime | None = None
    shown: list[Alert] = field(default_factory=list[Alert], repr=False)

    def as_json(self, now: datetime) -> dict[str, Any]:
        """For programs."""
        return {
            "queue": self.queue,
            "user": self.user,
            "client": self.client,
            "ready": self.ready,
            "unacked": self.unacked,
            "consumers": self.consumers,
            "holder": self.holder,
            "oldest": self.oldest and self.oldest.isoformat(),
            "oldest_age_s": age_s(self.oldest, now),
        }


def named(user: str, client: str | None) -> str:
    """The queue of a user's inbox, or of one of their programs' own."""
    return (inbox(user) if client is None else own_inbox(user, client)).name


def owners(queue: str) -> tuple[str | None, str | None]:
    """User and client of a queue's name; None for what a name does not give back."""
    words = queue.split(".")[1:]
    found: list[str | None] = []
    for word in words[:2]:
        try:
            found.append(unescape(word))
        except NotReversible:
            found.append(None)
    return found[0], (found[1] or "?") if len(found) > 1 else None


def age_s(at: datetime | None, now: datetime) -> float | None:
    """Seconds since `at`; never below zero: a producer's clock may be ahead."""
    return None if at is None else round(max(0.0, (now - at).total_seconds()), 1)


def parsed(body: bytes) -> Any:
    """The body as JSON, or as text where it is none."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def raised_at(body: bytes, property_: datetime | None) -> datetime | None:
    """When a message says that it came about: its body's timestamp, else the AMQP property."""
    message = parsed(body)
    with suppress(TypeError, KeyError, ValueError):
        told = datetime.fromisoformat(message["timestamp"])
        return told if told.tzinfo else told.replace(tzinfo=UTC)
    if property_ is None:
        return None
    return property_ if property_.tzinfo else property_.replace(tzinfo=UTC)
