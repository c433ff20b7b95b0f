"""Indexes for the queue of requests in the console: proposals, moves, and holds newest first.

Revision ID: 0015
Revises: 0014
Create Date: 2026-11-27
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index(
        "rights_step_proposal",
        "rights_step",
        ["request_id", "id"],
        postgresql_where=sa.text("action IN ('decision_proposed', 'decision_declined')"),
    )
    op.create_index(
        "address_move_request",
        "address_move",
        ["request_id"],
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.create_index("hold_placed", "hold", ["placed_at", "id"])


def downgrade():
    op.drop_index("hold_placed", "hold")
    op.drop_index("address_move_request", "address_move")
    op.drop_index("rights_step_proposal", "rights_step")
