"""Events, sessions, positions, marks, preferences, outbox.

Revision 0001, the first.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
ID = sa.String(64)
SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "events",
        sa.Column("seq", SEQ, primary_key=True, autoincrement=True),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("session_id", ID),
        sa.Column("level", sa.String(16)),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint("user_id", "event_id", name="events_identity"),
        sqlite_autoincrement=True,
    )
    op.create_index("events_session", "events", ["user_id", "session_id", "type", "seq"])
    op.create_index("events_received", "events", ["received_at"])
    op.create_index(
        "events_notifications",
        "events",
        ["user_id", "seq"],
        sqlite_where=sa.text("level IS NOT NULL"),
        postgresql_where=sa.text("level IS NOT NULL"),
    )
    op.create_table(
        "sessions",
        sa.Column("user_id", ID, primary_key=True),
        sa.Column("session_id", ID, primary_key=True),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("decisions", sa.Integer, nullable=False),
        sa.Column("trades", sa.Integer, nullable=False),
        sa.Column("milestones", sa.Integer, nullable=False),
        sa.Column("alerts", sa.Integer, nullable=False),
        sa.Column("started", sa.Text),
        sa.Column("metrics", sa.Text),
        sa.Column("completed", sa.Text),
    )
    op.create_index("sessions_recent", "sessions", ["user_id", "ended", "updated_at"])
    op.create_table(
        "positions",
        sa.Column("user_id", ID, primary_key=True),
        sa.Column("session_id", ID, primary_key=True),
        sa.Column("symbol", sa.String(32), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "reads",
        sa.Column("user_id", ID, primary_key=True),
        sa.Column("seq", SEQ, primary_key=True, autoincrement=False),
        sa.Column("read_at", INSTANT, nullable=False),
    )
    op.create_table(
        "readers",
        sa.Column("user_id", ID, primary_key=True),
        sa.Column("read_through", SEQ, nullable=False),
    )
    op.create_table(
        "preferences",
        sa.Column("user_id", ID, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column("seq", SEQ, primary_key=True, autoincrement=True),
        sa.Column("message_id", ID, nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("exchange", sa.String(64), nullable=False),
        sa.Column("routing_key", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("written_at", INSTANT, nullable=False),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Go back to the one before."""
    for table in (
        "outbox",
        "preferences",
        "readers",
        "reads",
        "positions",
        "sessions",
        "events",
    ):
        op.drop_table(table)
