"""The states of a client, as one table. Nothing else decides what may follow what."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a client stands."""

    IDLE = "idle"  # made, not yet connected
    CONNECTING = "connecting"  # first connection under way
    CONNECTED = "connected"  # welcomed by an edge
    RECONNECTING = "reconnecting"  # lost; coming back by itself
    FAILED = "failed"  # stopped by the server, or gave up
    CLOSED = "closed"  # by the application


class Trigger(StrEnum):
    """What moves a client from state to state."""

    CONNECT = "connect"  # the application wants a connection
    WELCOME = "welcome"  # an edge accepted it
    LOSE = "lose"  # a connection or a try failed; another may follow
    STOP = "stop"  # no further try makes sense
    CLOSE = "close"  # the application is done


TRANSITIONS: Final[dict[State, dict[Trigger, State]]] = {
    State.IDLE: {
        Trigger.CONNECT: State.CONNECTING,
        Trigger.CLOSE: State.CLOSED,
    },
    State.CONNECTING: {
        Trigger.WELCOME: State.CONNECTED,
        Trigger.LOSE: State.CONNECTING,
        Trigger.STOP: State.FAILED,
        Trigger.CLOSE: State.CLOSED,
    },
    State.CONNECTED: {
        Trigger.LOSE: State.RECONNECTING,
        Trigger.STOP: State.FAILED,
        Trigger.CLOSE: State.CLOSED,
    },
    State.RECONNECTING: {
        Trigger.WELCOME: State.CONNECTED,
        Trigger.LOSE: State.RECONNECTING,
        Trigger.STOP: State.FAILED,
        Trigger.CLOSE: State.CLOSED,
    },
    State.FAILED: {
        Trigger.CONNECT: State.CONNECTING,
        Trigger.CLOSE: State.CLOSED,
    },
    State.CLOSED: {
        Trigger.CONNECT: State.CONNECTING,
        Trigger.CLOSE: State.CLOSED,
    },
}


class IllegalTransition(RuntimeError):
    """The table has no such move. Nothing has changed."""


@dataclass(frozen=True, slots=True)
class StateChange:
    """One move, as ``on_state`` handlers see it.

    Attributes:
        reason: why, in words; empty when the application asked for it.
        code: close code or HTTP status behind the move, if there was one.
        attempt: failed tries since the last welcome.
        retry_in_s: when the next try comes, if one does.
    """

    before: State
    after: State
    reason: str = ""
    code: int | None = None
    attempt: int = 0
    retry_in_s: float | None = None


def next_state(state: State, trigger: Trigger) -> State:
    """Return the state that ``trigger`` leads to.

    Raises:
        IllegalTransition: the table has no such move.
    """
    try:
        return TRANSITIONS[state][trigger]
    except KeyError:
        raise IllegalTransition(f"{trigger} while {state}") from None
