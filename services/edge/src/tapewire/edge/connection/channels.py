"""Channels: what a client calls a stream of events, and what that is on the broker.

Bindings are built from the token's users, so another user's events cannot be named. Every pattern
that reaches a queue of the edge is made in this module.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from tapewire.auth import Claims
from tapewire.broker.topology import ALERTS, EVENTS, MARKET, Binding
from tapewire.contracts import EVERYONE, Quality, bundle_key, bundle_shard, escape, session_kinds
from tapewire.contracts.routing import CRITICAL_LEVELS, RECENT_LEVELS

Code: TypeAlias = str

RECENT_KINDS: Final = session_kinds(Quality.RECENT)
LIVE_KINDS: Final = session_kinds(Quality.LIVE)
ACCOUNT: Final = "account"  # a kind: what changes for a user across all devices
PREFERENCES: Final = "preferences_changed"  # the one detail of it that the edge acts upon
ACCOUNTS: Final = Binding(EVENTS, f"*.*.{ACCOUNT}.*")
"""Everybody's: bound once for an edge. One for each user cost the broker more than all the rest of
opening a connection, and people change their preferences a few times a day (ADR 18)."""


class Plan(NamedTuple):
    """What one channel is on the broker.

    Attributes:
        name: the channel.
        live: bindings of the edge's own queue.
        recent: bindings of the recent tray.
        topics: the words by which a delivery finds its subscribers, see ``topics_of``.
    """

    name: str
    live: tuple[Binding, ...]
    recent: tuple[Binding, ...]
    topics: tuple[str, ...]


class Refused(NamedTuple):
    """Why a channel is not given."""

    code: Code


def user_channel(user: str) -> str:
    """Return the channel that a connection has from the start."""
    return f"user:{user}"


def plan(channel: str, claims: Claims) -> Plan | Refused:
    """Return what ``channel`` is for the holder of ``claims``."""
    kind, colon, name = channel.partition(":")
    match kind:
        case "system" if not colon:
            patterns = tuple(Binding(ALERTS, f"{EVERYONE}.*.*.{level}") for level in RECENT_LEVELS)
            return Plan(channel, (), patterns, (channel,))
        case "user" if name:
            if name not in claims.users:
                return Refused("forbidden")
            return _user(channel, name, own=name == claims.subject)
        case "sessions" if name:
            if name not in claims.users or not claims.may("session:read"):
                return Refused("forbidden")
            return _session(channel, [(escape(name), "*")])
        case "session" if name and len(name) <= 64:
            if not claims.may("session:read"):
                return Refused("forbidden")
            users = sorted(claims.users, key=lambda user: (user != claims.subject, user))
            return _session(channel, [(escape(user), escape(name)) for user in users])
        case "market" if name and len(name) <= 32 and "," not in name and not name.isspace():
            if not claims.may("md:read"):
                return Refused("forbidden")
            binding = Binding(MARKET, bundle_key(bundle_shard(name)))
            return Plan(channel, (binding,), (), (f"market:{escape(name)}",))
        case _:
            return Refused("unknown_channel")


def _user(channel: str, user: str, *, own: bool) -> Plan:
    word = escape(user)
    # The subject's critical alerts come by the inbox; a supervised user's come as recent ones,
    # since only the user's own ack takes them away.
    levels = RECENT_LEVELS if own else RECENT_LEVELS + CRITICAL_LEVELS
    return Plan(
        channel,
        (),  # what concerns the account comes to every edge
        tuple(Binding(ALERTS, f"{word}.*.*.{level}") for level in levels),
        (f"user:{word}",),
    )


def _session(channel: str, owners: list[tuple[str, str]]) -> Plan:
    def bindings(kinds: tuple[str, ...]) -> tuple[Binding, ...]:
        return tuple(
            Binding(EVENTS, f"{user}.{session}.{kind}")
            for user, session in owners
            for kind in kinds
        )

    topics = tuple(
        f"sessions:{user}" if session == "*" else f"session:{user}.{session}"
        for user, session in owners
    )
    return Plan(channel, bindings(LIVE_KINDS), bindings(RECENT_KINDS), topics)


def topics_of(exchange: str, routing_key: str) -> Iterator[str]:
    """Yield the topics that a delivery from ``tw.events`` or ``tw.alerts`` belongs to."""
    user, session, kind, _ = routing_key.split(".", 3)
    if exchange == ALERTS:
        yield "system" if user == EVERYONE else f"user:{user}"
    elif kind == ACCOUNT:
        yield f"user:{user}"
    else:
        yield f"sessions:{user}"
        yield f"session:{user}.{session}"


def is_live(exchange: str, routing_key: str) -> bool:
    """Return whether a delivery of ``tw.events`` is of class live, by its kind and detail."""
    return exchange == EVENTS and routing_key.split(".", 2)[2] in LIVE_KINDS
