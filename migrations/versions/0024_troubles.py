"""What keeps a destination from being pushed to, and since when.

Until now every destination with a `retry_at` was taken for broken.

Revision ID: 0024
Revises: 0023
Create Date: 2026-12-02
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("destination", sa.Column("trouble", sa.Text))
    op.add_column("destination", sa.Column("trouble_since", sa.DateTime(timezone=True)))


def downgrade():
    op.drop_column("destination", "trouble_since")
    op.drop_column("destination", "trouble")
