"""Counts per day for reports.

Revision ID: 0011
Revises: 0010
Create Date: 2026-11-27
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade():
    # daily_count: the scheduler adds events to it, in order of their seq
    op.create_table(
        "daily_count",
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("scope", sa.Text(), primary_key=True),
        sa.Column("source", sa.Text(), primary_key=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
    )
    # daily_count_progress: one row: how far events are counted
    op.create_table(
        "daily_count_progress",
        sa.Column("id", sa.SmallInteger(), server_default="1", primary_key=True),
        sa.Column("seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("counted_until", sa.DateTime(timezone=True)),
        sa.Column("first_day", sa.Date()),
        sa.Column("rebuilt_since", sa.Date()),
        sa.Column("rebuilt_seq", sa.BigInteger(), server_default="0", nullable=False),
    )
    # reflection_count: pushes add to it in the transaction that settles their rows
    op.create_table(
        "reflection_count",
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("destination", sa.Text(), primary_key=True),
        sa.Column("bucket", sa.SmallInteger(), primary_key=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("longest", sa.Interval(), nullable=False),
        postgresql_with={
            "autovacuum_vacuum_scale_factor": "0",
            "autovacuum_vacuum_threshold": "500",
        },
    )
    op.create_index("rights_request_received", "rights_request", ["received_at"])


def downgrade():
    op.drop_index("rights_request_received", "rights_request")
    op.drop_table("reflection_count")
    op.drop_table("daily_count_progress")
    op.drop_table("daily_count")
