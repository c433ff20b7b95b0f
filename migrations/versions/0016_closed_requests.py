"""An index for the list of closed requests in the console.

Revision ID: 0016
Revises: 0015
Create Date: 2026-11-28
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index(
        "rights_request_closed",
        "rights_request",
        ["closed_at", "id"],
        postgresql_where=sa.text("closed_at IS NOT NULL"),
    )


def downgrade():
    op.drop_index("rights_request_closed", "rights_request")
