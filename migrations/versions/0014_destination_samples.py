"""What waited for each destination over time, for the console's plots.

Revision ID: 0014
Revises: 0013
Create Date: 2026-11-27
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "destination_sample",
        sa.Column("destination_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("at", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("pending", sa.Integer(), nullable=False),
        sa.Column("oldest_received_at", sa.DateTime(timezone=True)),
        sa.Column("pushed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
    )
    op.create_index("destination_sample_at", "destination_sample", ["at"])


def downgrade():
    op.drop_table("destination_sample")
