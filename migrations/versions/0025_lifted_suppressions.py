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


INDEXES = {
    "suppression_lifted": (["scope"], "out_at IS NOT NULL AND NOT active"),
    "suppression_frequency": (["scope", "frequency"], "frequency IS NOT NULL"),
}


def upgrade():
    # Outside of a transaction, so that opt-outs are recorded meanwhile: of 30 million rows an
    # index takes minutes. One that was left unfinished is dropped first.
    with op.get_context().autocommit_block():
        for name, (columns, where) in INDEXES.items():
            op.drop_index(name, "suppression", if_exists=True, postgresql_concurrently=True)
            op.create_index(
                name,
                "suppression",
                columns,
                postgresql_where=sa.text(where),
                postgresql_concurrently=True,
            )


def downgrade():
    op.drop_index("suppression_frequency", "suppression")
    op.drop_index("suppression_lifted", "suppression")
