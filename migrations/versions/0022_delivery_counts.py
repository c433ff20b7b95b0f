"""Deliveries are counted per day, in order of their ids, so that no month is counted from them.

Revision ID: 0022
Revises: 0021
Create Date: 2026-12-01
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "daily_delivery_count",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("destination_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("outcome", sa.Text, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
    )
    op.add_column(
        "daily_count_progress",
        sa.Column("delivery_id", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.add_column("daily_count_progress", sa.Column("delivered_until", sa.DateTime(timezone=True)))


def downgrade():
    op.drop_column("daily_count_progress", "delivered_until")
    op.drop_column("daily_count_progress", "delivery_id")
    op.drop_table("daily_delivery_count")
