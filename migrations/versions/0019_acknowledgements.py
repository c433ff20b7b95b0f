"""Receivers of the webhook acknowledged by an id that was a digest of the body: it is forgotten.

By it anyone with a dump could have found out who was erased, by trying addresses (I6).

Revision ID: 0019
Revises: 0018
Create Date: 2026-12-01
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_ID = r"^msg_[A-Za-z0-9_-]{24} "


def upgrade():
    op.execute(
        rf"UPDATE erasure_task SET ack = regexp_replace(ack, '{_ID}', '') WHERE ack ~ '{_ID}'"
    )
    # Its rows are never changed; that it was delivered stays in `delivery`.
    op.execute(rf"DELETE FROM delivery_ack WHERE ack ~ '{_ID}'")


def downgrade():
    pass
