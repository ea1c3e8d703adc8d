"""Between risk's values and their rows."""

from dataclasses import asdict, replace
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import RowMapping

from tapewire.risk.episode import Episode
from tapewire.risk.session import Session
from tapewire.risk.stops import Stop, StopState

_SESSION: Final = TypeAdapter(Session)
_EPISODE: Final = TypeAdapter(Episode)


def session_body(session: Session) -> str:
    """Return a session without its episodes, which have rows of their own, as JSON."""
    return _SESSION.dump_json(replace(session, episodes={})).decode()


def session_of(body: str) -> Session:
    """Return the session that ``session_body`` wrote, without episodes."""
    return _SESSION.validate_json(body)


def episode_body(episode: Episode) -> str:
    """Return an episode as JSON."""
    return _EPISODE.dump_json(episode).decode()


def episode_of(body: str) -> Episode:
    """Return the episode that ``episode_body`` wrote."""
    return _EPISODE.validate_json(body)


def stop_row(stop: Stop) -> dict[str, Any]:
    """Return a stop as its row."""
    row = asdict(stop)
    return row | {"user_id": row.pop("user"), "session_id": row.pop("session")}


def stop_of(row: RowMapping) -> Stop:
    """Return the stop that a row holds."""
    fields: dict[str, Any] = dict(row)
    fields |= {"user": fields.pop("user_id"), "session": fields.pop("session_id")}
    state = StopState(fields.pop("state"))
    return Stop(**fields, state=state)
