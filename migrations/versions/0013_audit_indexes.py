"""Indexes for reading the audit newest first, also of one actor or action.

Revision ID: 0013
Revises: 0012
Create Date: 2026-11-27
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("audit_at", "audit", ["at", "id"])
    op.create_index("audit_actor", "audit", ["actor", "at", "id"])
    op.create_index("audit_action", "audit", ["action", "at", "id"])


def downgrade():
    op.drop_index("audit_action", "audit")
    op.drop_index("audit_actor", "audit")
    op.drop_index("audit_at", "audit")
