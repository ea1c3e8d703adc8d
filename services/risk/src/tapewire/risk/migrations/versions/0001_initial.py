"""Sessions, episodes, applied events, outbox, stops.

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


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "sessions",
        sa.Column("user_id", ID, primary_key=True),
        sa.Column("session_id", ID, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("due_at", INSTANT),
        sa.Column("updated_at", INSTANT, nullable=False),
    )
    op.create_index("sessions_due", "sessions", ["due_at"])
    op.create_index("sessions_updated", "sessions", ["updated_at"])
    op.create_table(
        "episodes",
        sa.Column("user_id", ID, primary_key=True),
        sa.Column("session_id", ID, primary_key=True),
        sa.Column("rule", sa.String(32), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("episodes_state", "episodes", ["state"])
    op.create_table(
        "applied_events",
        sa.Column("user_id", ID, primary_key=True),
        sa.Column("session_id", ID, primary_key=True),
        sa.Column("event_id", ID, primary_key=True),
        sa.Column("applied_at", INSTANT, nullable=False),
    )
    op.create_index("applied_events_applied_at", "applied_events", ["applied_at"])
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("lane", sa.String(128), nullable=False),
        sa.Column("message_id", ID, nullable=False),
        sa.Column("exchange", sa.String(32), nullable=False),
        sa.Column("routing_key", sa.Text, nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("timestamp", INSTANT, nullable=False),
        sa.Column("traceparent", sa.String(64)),
        sa.Column("stop_id", ID),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("sent_at", INSTANT),
        sa.UniqueConstraint("message_id", "exchange"),
    )
    op.create_index("outbox_sent", "outbox", ["sent_at", "seq"])
    op.create_table(
        "stops",
        sa.Column("id", ID, primary_key=True),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("requested_by", sa.String(128), nullable=False),
        sa.Column("requested_at", INSTANT, nullable=False),
        sa.Column("deadline_at", INSTANT),
        sa.Column("executor", sa.String(128)),
        sa.Column("settled_at", INSTANT),
        sa.Column("released_by", sa.String(128)),
        sa.Column("release_reason", sa.Text),
    )
    op.create_index("stops_session", "stops", ["user_id", "session_id"])
    op.create_index("stops_deadline", "stops", ["state", "deadline_at"])


def downgrade() -> None:
    """Go back to an empty database."""
    for table in ("stops", "outbox", "applied_events", "episodes", "sessions"):
        op.drop_table(table)
