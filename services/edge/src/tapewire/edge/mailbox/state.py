"""The states of a mailbox's tray: one table, and the document.

A mailbox is a user's state on one edge; it has a tray for each queue that a connection of the user
needs here. Each tray goes through the states on its own, since a named device's tray closes when
the device leaves while the user's shared inbox stays open for the others.
"""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a tray is."""

    OPENING = "opening"
    """Its queue is looked up, declared if absent, and not consumed yet. Connections may join."""

    OPEN = "open"
    """Consumed: deliveries go to its connections. Connections may join."""

    DRAINING = "draining"
    """Its last connection left: the consumer is cancelled, deliveries are nacked in order."""

    CLOSED = "closed"
    """Nothing of it is left on this edge."""


class Event(StrEnum):
    """What happens to a tray."""

    ATTACHED = "attached"
    """The broker took the consumer."""

    DETACHED = "detached"
    """The AMQP channel or connection is gone; the broker requeued what was not settled."""

    EMPTIED = "emptied"
    """The last connection left."""

    RELEASED = "released"
    """The consumer is cancelled and every delivery is given back."""


TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.OPENING: {
        Event.ATTACHED: State.OPEN,
        Event.DETACHED: State.OPENING,
        Event.EMPTIED: State.DRAINING,
    },
    State.OPEN: {
        Event.DETACHED: State.OPENING,
        Event.EMPTIED: State.DRAINING,
    },
    State.DRAINING: {
        Event.ATTACHED: State.DRAINING,  # the consumer was asked for before the last one left
        Event.DETACHED: State.DRAINING,
        Event.RELEASED: State.CLOSED,
    },
    State.CLOSED: {},
}

JOINABLE: Final = frozenset({State.OPENING, State.OPEN})


class IllegalTransition(RuntimeError):
    """An event that the table does not have in this state. Nothing was changed."""


def after(state: State, event: Event) -> State:
    """Return the state after ``event``.

    Raises:
        IllegalTransition: the table has no such transition.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(f"{event} in {state}") from None


def table() -> str:
    """Return the table as Markdown, for ``docs/delivery.md``."""
    rows = ["| state | " + " | ".join(Event) + " |", "|---" * (len(Event) + 1) + "|"]
    rows += [
        f"| **{state}** | "
        + " | ".join(TRANSITIONS[state].get(event, "") for event in Event)
        + " |"
        for state in State
    ]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(table(), end="")
