"""Where a message goes: its class of service, exchange and routing key."""

from string import Formatter
from typing import Final, NamedTuple

from tapewire.contracts.alerts import EmergencyStop, RiskAlert, SystemNotification, VolatilityAlert
from tapewire.contracts.catalogue import EVENT_TYPES
from tapewire.contracts.ids import EVERYONE, NONE, escape
from tapewire.contracts.market import MarketData, tick_key
from tapewire.contracts.message import Event
from tapewire.contracts.quality import Quality

EVENTS: Final = "tw.events"
ALERTS: Final = "tw.alerts"
MARKET: Final = "tw.market"

CRITICAL_LEVELS: Final = ("critical", "emergency")
"""Last words of a routing key on ``tw.alerts`` that lead to an inbox."""

RECENT_LEVELS: Final = ("info", "warning")
"""Last words of a routing key on ``tw.alerts`` that lead to a recent tray."""

_ALERT_TYPES = (RiskAlert, VolatilityAlert, EmergencyStop, SystemNotification)


class Route(NamedTuple):
    """An exchange and the routing key to publish with."""

    exchange: str
    routing_key: str


def quality_of(event: Event) -> Quality:
    """Return the class that ``event`` has: its type's, lifted by its level or by ``ack``."""
    if event.quality is Quality.RECENT and (event.ack or _level(event) in CRITICAL_LEVELS):
        return Quality.CRITICAL
    return event.quality


def route(event: Event) -> Route:
    """Return where ``event`` is published.

    ``tw.events`` and ``tw.alerts``: ``<user>.<session>.<kind>.<detail>``; ``tw.market``:
    ``tick.<symbol>``. A recent event that says ``ack`` is lifted to
    ``<user>.<session>.<type>.critical`` on ``tw.alerts``.
    """
    if isinstance(event, MarketData):
        return Route(MARKET, tick_key(event.symbol))
    owner = f"{_user_word(event)}.{_session_word(event)}"
    if isinstance(event, _ALERT_TYPES):
        kind, _, level = _kind(event).partition(".")
        if event.ack and level not in CRITICAL_LEVELS:
            level = "critical"
        return Route(ALERTS, f"{owner}.{kind}.{level}")
    if quality_of(event) is Quality.CRITICAL:
        return Route(ALERTS, f"{owner}.{event.type}.critical")
    return Route(EVENTS, f"{owner}.{_kind(event)}")


def stop_command_key(stop: EmergencyStop) -> str:
    """Return the key on ``tw.events`` under which executors on the bus find a stop order."""
    return f"{_user_word(stop)}.{_session_word(stop)}.command.emergency_stop"


def session_kinds(quality: Quality) -> tuple[str, ...]:
    """Return the ``<kind>.<detail>`` patterns of a session's events that clients see.

    They are what ``sessions:<user>`` and ``session:<id>`` bind on ``tw.events``, after the user
    and the session.
    """
    return tuple(
        _pattern(model.kind)
        for model in EVENT_TYPES.values()
        if model.shown
        and model.quality is quality
        and not issubclass(model, (*_ALERT_TYPES, MarketData))
        and not model.kind.startswith("account.")
    )


def _pattern(kind: str) -> str:
    return "".join(text + ("*" if name else "") for text, name, _, _ in Formatter().parse(kind))


def _kind(event: Event) -> str:
    return event.kind.format_map(_Fields(event))


def _level(event: Event) -> str:
    return _kind(event).rpartition(".")[2] if isinstance(event, _ALERT_TYPES) else ""


def _user_word(event: Event) -> str:
    user = getattr(event, "user_id", None)
    return EVERYONE if user is None or user == EVERYONE else escape(user)


def _session_word(event: Event) -> str:
    session = getattr(event, "session_id", None)
    return NONE if session is None else escape(session)


class _Fields(dict[str, str]):
    """The fields of one event, for ``format_map``."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self._event = event

    def __missing__(self, name: str) -> str:
        return str(getattr(self._event, name))
