"""How many rows about people the lists of the API have answered, by key and day.

Revision ID: 0028
Revises: 0027
Create Date: 2026-12-02
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column(
        "key_usage", sa.Column("rows_read", sa.BigInteger, nullable=False, server_default="0")
    )


def downgrade():
    op.drop_column("key_usage", "rows_read")
