"""Desk's tables. Bodies are client messages, kept as they came."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from tapewire.service.columns import ID, SEQ, Instant

METADATA: Final = MetaData()

EVENTS: Final = Table(
    "events",
    METADATA,
    # In order of arrival. AUTOINCREMENT: a number is never given twice, also after a clean-up.
    Column("seq", SEQ, primary_key=True, autoincrement=True),
    Column("user_id", ID, nullable=False),  # or `all`
    Column("event_id", ID, nullable=False),
    Column("type", String(64), nullable=False),
    Column("session_id", ID),
    Column("level", String(16)),  # of what is a notification; else NULL
    Column("at", Instant, nullable=False),  # when it happened
    Column("received_at", Instant, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("user_id", "event_id", name="events_identity"),
    Index("events_session", "user_id", "session_id", "type", "seq"),
    Index("events_type", "user_id", "type", "seq"),
    Index("events_received", "received_at"),
    sqlite_autoincrement=True,
)
Index(
    "events_notifications",
    EVENTS.c.user_id,
    EVENTS.c.seq,
    sqlite_where=EVENTS.c.level.is_not(None),
    postgresql_where=EVENTS.c.level.is_not(None),
)

SESSIONS: Final = Table(
    "sessions",
    METADATA,
    Column("user_id", ID, primary_key=True),
    Column("session_id", ID, primary_key=True),
    Column("status", String(32), nullable=False),
    Column("ended", Boolean, nullable=False),  # until it is started again
    Column("updated_at", Instant, nullable=False),  # when desk last heard of it
    Column("decisions", Integer, nullable=False),
    Column("trades", Integer, nullable=False),
    Column("milestones", Integer, nullable=False),
    Column("alerts", Integer, nullable=False),
    Column("started", Text),  # the newest session_started
    Column("metrics", Text),  # the newest session_status
    Column("completed", Text),  # the newest session_completed
    Index("sessions_recent", "user_id", "ended", "updated_at"),
)

POSITIONS: Final = Table(
    "positions",
    METADATA,
    Column("user_id", ID, primary_key=True),
    Column("session_id", ID, primary_key=True),
    Column("symbol", String(32), primary_key=True),
    Column("body", Text, nullable=False),  # the newest position_update
)

PNL: Final = Table(
    "pnl",
    METADATA,
    Column("user_id", ID, primary_key=True),
    Column("session_id", ID, primary_key=True),
    # The second, since 1970, that the figures are of: the newest of each is kept.
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("pnl", Double, nullable=False),
    Column("equity", Double),
    Index("pnl_user", "user_id", "at"),
    Index("pnl_at", "at"),
)

READS: Final = Table(
    "reads",
    METADATA,
    Column("user_id", ID, primary_key=True),
    Column("seq", SEQ, primary_key=True, autoincrement=False),
    Column("read_at", Instant, nullable=False),
    Index("reads_seq", "seq"),
)

READERS: Final = Table(
    "readers",
    METADATA,
    Column("user_id", ID, primary_key=True),
    # Everything up to here is read; notices to `all` make marks of single ones dear.
    Column("read_through", SEQ, nullable=False),
    # Everything up to here that is not critical is archived.
    Column("archived_through", SEQ, nullable=False, server_default="0"),
)

ARCHIVED: Final = Table(
    "archived",
    METADATA,
    Column("user_id", ID, primary_key=True),
    Column("seq", SEQ, primary_key=True, autoincrement=False),
    Column("archived_at", Instant, nullable=False),
    Index("archived_seq", "seq"),
)

PREFERENCES: Final = Table(
    "preferences",
    METADATA,
    Column("user_id", ID, primary_key=True),
    Column("body", Text, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("changed_at", Instant, nullable=False),
)

OUTBOX: Final = Table(
    "outbox",
    METADATA,
    Column("seq", SEQ, primary_key=True, autoincrement=True),
    Column("message_id", ID, nullable=False),
    Column("type", String(64), nullable=False),
    Column("exchange", String(64), nullable=False),
    Column("routing_key", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("written_at", Instant, nullable=False),
    sqlite_autoincrement=True,
)
