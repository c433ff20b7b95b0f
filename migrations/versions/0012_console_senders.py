"""What senders' keys were used for, and who applied a catalogue.

Revision ID: 0012
Revises: 0011
Create Date: 2026-11-27
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column(
        "catalogue_version",
        sa.Column("applied_by", sa.Text(), server_default="", nullable=False),
    )
    op.add_column("api_key", sa.Column("last_used_at", sa.DateTime(timezone=True)))
    op.create_table(
        "key_usage",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("decisions", sa.BigInteger(), nullable=False),
        sa.Column("denied", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("limited", sa.BigInteger(), nullable=False),
    )


def downgrade():
    op.drop_table("key_usage")
    op.drop_column("api_key", "last_used_at")
    op.drop_column("catalogue_version", "applied_by")
