"""When a person accepted that a tool refuses addresses, or knows none of those pushed there.

Revision ID: 0029
Revises: 0028
Create Date: 2026-12-03
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade():
    for name in ("refused_accepted_at", "absent_accepted_at"):
        op.add_column("destination", sa.Column(name, sa.DateTime(timezone=True)))


def downgrade():
    for name in ("absent_accepted_at", "refused_accepted_at"):
        op.drop_column("destination", name)
