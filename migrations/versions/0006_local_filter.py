"""For local filters: when a stored address was last found under more digests.

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-27
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import UserDefinedType

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


class Xid8(UserDefinedType):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_):
        return "xid8"


def upgrade():
    op.add_column("address", sa.Column("widened_xid", Xid8()))
    op.create_index(
        "address_widened",
        "address",
        ["widened_xid"],
        postgresql_where=sa.text("widened_xid IS NOT NULL"),
    )


def downgrade():
    op.drop_column("address", "widened_xid")
