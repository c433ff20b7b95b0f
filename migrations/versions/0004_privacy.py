"""What privacy on the company's sites needs: the choices of browsers about cookies.

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-28
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TimestampTz = sa.DateTime(timezone=True)


def upgrade():
    _create_browser_consent()


def downgrade():
    op.drop_table("browser_consent")


def _create_browser_consent():
    """The choices of browsers about cookies; nobody's, since nothing says whose a browser is."""
    op.create_table(
        "browser_consent",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("choices", postgresql.JSONB(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text()),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("decided_at", TimestampTz, nullable=False),
        sa.Column("expires_at", TimestampTz, nullable=False),
        sa.Column("previous", sa.Uuid()),
        sa.UniqueConstraint("id"),
    )
    op.create_index("browser_consent_previous", "browser_consent", ["previous"])
    op.create_index("browser_consent_decided_at", "browser_consent", ["decided_at"])
