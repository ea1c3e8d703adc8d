"""Risk's tables. The rows are read and written in ``store`` only."""

from typing import Final

from sqlalchemy import (
    Column,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from tapewire.service.columns import ID, SEQ, Instant

METADATA: Final = MetaData()

SESSIONS: Final = Table(
    "sessions",
    METADATA,
    Column("user_id", ID, primary_key=True),
    Column("session_id", ID, primary_key=True),
    Column("body", Text, nullable=False),  # `session.Session` without its episodes, as JSON
    Column("due_at", Instant),  # when the clock alone may change something; NULL: never
    Column("updated_at", Instant, nullable=False),
    Index("sessions_due", "due_at"),
    Index("sessions_updated", "updated_at"),
)

EPISODES: Final = Table(
    "episodes",
    METADATA,
    Column("user_id", ID, primary_key=True),
    Column("session_id", ID, primary_key=True),
    Column("rule", String(32), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("body", Text, nullable=False),  # `episode.Episode` as JSON
    Index("episodes_state", "state"),
)

APPLIED: Final = Table(
    "applied_events",
    METADATA,
    Column("user_id", ID, primary_key=True),
    Column("session_id", ID, primary_key=True),
    Column("event_id", ID, primary_key=True),
    Column("applied_at", Instant, nullable=False),
    Index("applied_events_applied_at", "applied_at"),
)

OUTBOX: Final = Table(
    "outbox",
    METADATA,
    Column("seq", SEQ, primary_key=True),
    Column("lane", String(128), nullable=False),  # order holds within a lane
    Column("message_id", ID, nullable=False),
    Column("exchange", String(32), nullable=False),
    Column("routing_key", Text, nullable=False),
    Column("type", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("timestamp", Instant, nullable=False),
    Column("traceparent", String(64)),
    Column("stop_id", ID),  # whose dispatch this message completes
    Column("created_at", Instant, nullable=False),
    Column("sent_at", Instant),
    UniqueConstraint("message_id", "exchange"),
    Index("outbox_sent", "sent_at", "seq"),
)

STOPS: Final = Table(
    "stops",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("user_id", ID, nullable=False),
    Column("session_id", ID, nullable=False),
    Column("state", String(16), nullable=False),
    Column("mode", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_by", String(128), nullable=False),
    Column("requested_at", Instant, nullable=False),
    Column("deadline_at", Instant),
    Column("executor", String(128)),
    Column("settled_at", Instant),
    Column("released_by", String(128)),
    Column("release_reason", Text),
    Index("stops_session", "user_id", "session_id"),
    Index("stops_deadline", "state", "deadline_at"),
)
