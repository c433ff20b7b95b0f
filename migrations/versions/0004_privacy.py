"""What privacy needs: choices of browsers about cookies, and notices of the privacy policy.

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
    _create_policy_announcement()
    _create_policy_notice()
    _create_policy_webhook()


def downgrade():
    op.drop_table("policy_webhook")
    op.drop_table("policy_notice")
    op.drop_table("policy_announcement")
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


def _create_policy_announcement():
    """Versions of the privacy policy that are announced, and how far the selection is."""
    op.create_table(
        "policy_announcement",
        sa.Column("version", sa.Text(), primary_key=True),
        sa.Column("begun_at", TimestampTz, nullable=False),
        sa.Column("last_address_id", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("selected_at", TimestampTz),
    )


def _create_policy_notice():
    """Whom to inform of a version, each person once, and when that was done."""
    op.create_table(
        "policy_notice",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("address_id", sa.BigInteger(), nullable=False),
        sa.Column("contact_id", sa.Uuid()),
        sa.Column("reach", sa.Text(), nullable=False),
        sa.Column("selected_at", TimestampTz, nullable=False),
        sa.Column("noticed_at", TimestampTz),
        sa.Column("via", sa.Text()),
    )
    op.create_index(
        "policy_notice_address", "policy_notice", ["address_id", "version"], unique=True
    )
    op.create_index(
        "policy_notice_contact",
        "policy_notice",
        ["contact_id", "version"],
        unique=True,
        postgresql_where=sa.text("contact_id IS NOT NULL"),
    )
    op.create_index("policy_notice_version", "policy_notice", ["version", "seq"])


def _create_policy_webhook():
    """Batches of notices for the company's webhook."""
    op.create_table(
        "policy_webhook",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TimestampTz, nullable=False),
        sa.Column("next_at", TimestampTz),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("outcome", sa.Text(), server_default="", nullable=False),
    )
    op.create_index(
        "policy_webhook_queue",
        "policy_webhook",
        ["next_at"],
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
