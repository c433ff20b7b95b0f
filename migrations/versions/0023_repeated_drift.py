"""When a destination last lost an opt-out that it had lost before.

Revision ID: 0023
Revises: 0022
Create Date: 2026-12-01
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("verification", sa.Column("drift_repeated_at", sa.DateTime(timezone=True)))


def downgrade():
    op.drop_column("verification", "drift_repeated_at")
