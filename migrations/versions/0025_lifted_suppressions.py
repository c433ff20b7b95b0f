"""Indexes for what a change of the catalogue asks: opt-outs of a topic, and chosen frequencies.

Both were found by reading all suppressions. Each has the few rows that no other index has.

Revision ID: 0025
Revises: 0024
Create Date: 2026-12-02
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index(
        "suppression_lifted",
        "suppression",
        ["scope"],
        postgresql_where=sa.text("out_at IS NOT NULL AND NOT active"),
    )
    op.create_index(
        "suppression_frequency",
        "suppression",
        ["scope", "frequency"],
        postgresql_where=sa.text("frequency IS NOT NULL"),
    )


def downgrade():
    op.drop_index("suppression_frequency", "suppression")
    op.drop_index("suppression_lifted", "suppression")
