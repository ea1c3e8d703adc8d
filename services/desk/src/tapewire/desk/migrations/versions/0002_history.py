"""P&L history, the archive, versions of preferences.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
ID = sa.String(64)
SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "pnl",
        sa.Column("user_id", ID, primary_key=True),
        sa.Column("session_id", ID, primary_key=True),
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("pnl", sa.Double, nullable=False),
        sa.Column("equity", sa.Double),
    )
    op.create_index("pnl_user", "pnl", ["user_id", "at"])
    op.create_index("pnl_at", "pnl", ["at"])
    op.create_table(
        "archived",
        sa.Column("user_id", ID, primary_key=True),
        sa.Column("seq", SEQ, primary_key=True, autoincrement=False),
        sa.Column("archived_at", INSTANT, nullable=False),
    )
    op.create_index("archived_seq", "archived", ["seq"])
    op.create_index("reads_seq", "reads", ["seq"])
    op.create_index("events_type", "events", ["user_id", "type", "seq"])
    op.add_column("readers", sa.Column("archived_through", SEQ, nullable=False, server_default="0"))
    op.add_column(
        "preferences", sa.Column("version", sa.Integer, nullable=False, server_default="1")
    )


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_column("preferences", "version")
    op.drop_column("readers", "archived_through")
    op.drop_index("events_type", "events")
    op.drop_index("reads_seq", "reads")
    op.drop_table("archived")
    op.drop_table("pnl")
