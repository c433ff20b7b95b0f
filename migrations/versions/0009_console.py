"""What the console of the staff needs.

Revision ID: 0009
Revises: 0008
Create Date: 2026-11-27
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TimestampTz = sa.DateTime(timezone=True)


def upgrade():
    _create_person_access()


def downgrade():
    op.drop_table("person_access")


def _create_person_access():
    """Whose data somebody of the staff looked at, and why."""
    op.create_table(
        "person_access",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("audit_id", sa.BigInteger(), nullable=False, unique=True),
        sa.Column("at", TimestampTz, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary()),
    )
    op.create_index("person_access_digest", "person_access", ["digest"])
