"""where the feed stands

Revision ID: 0007
Revises: 0006
Create Date: 2026-11-25 03:15:00.000000

"""

import secrets
from datetime import UTC, datetime

from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade():
    # Two steps: given at once, the default would be written into every row there is, and
    # the ledger's rows stay as they were recorded (I8).
    op.execute("ALTER TABLE event ADD COLUMN xid xid8")
    op.execute("ALTER TABLE event ALTER COLUMN xid SET DEFAULT pg_current_xact_id()")
    op.create_index(
        "event_order",
        "event",
        ["xid", "seq"],
        unique=False,
        postgresql_where=sa.text("xid IS NOT NULL"),
    )
    op.create_table(
        "epoch",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("system", sa.BigInteger(), nullable=False),
        sa.Column("timeline", sa.Text(), nullable=False),
        sa.Column("floor", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    # The first line of history; what is here already lies before it.
    op.get_bind().execute(
        sa.text("""
        INSERT INTO epoch (name, system, timeline, floor, started_at)
        SELECT :name, (pg_control_system()).system_identifier,
            substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
            (SELECT COALESCE(max(seq), 0) FROM event), :now
    """),
        {"name": secrets.token_hex(4), "now": datetime.now(UTC)},
    )


def downgrade():
    op.drop_table("epoch")
    op.drop_index("event_order", "event")
    op.drop_column("event", "xid")
