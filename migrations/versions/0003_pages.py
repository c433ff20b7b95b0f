"""What the pages need: how often a person wants a topic, mailboxes that want no links, short links.

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-28
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TimestampTz = sa.DateTime(timezone=True)


def upgrade():
    _add_frequencies()
    _create_email_stop()
    _create_short_link()


def downgrade():
    op.drop_table("short_link")
    op.drop_table("email_stop")
    _drop_frequencies()


def _add_frequencies():
    """The chosen frequency of an event, and the newest one of each address and topic."""
    op.add_column("event", sa.Column("frequency", sa.Text()))
    op.add_column("event", sa.Column("frequency_rank", sa.SmallInteger()))
    op.add_column("suppression", sa.Column("frequency_at", TimestampTz))
    op.add_column("suppression", sa.Column("frequency_rank", sa.SmallInteger()))
    op.add_column("suppression", sa.Column("frequency_event", sa.Uuid()))
    op.add_column("suppression", sa.Column("frequency", sa.Text()))


def _create_email_stop():
    """Mailboxes that want no emails which anybody can cause."""
    op.create_table(
        "email_stop",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("ends_at", TimestampTz, nullable=False),
    )


def _create_short_link():
    """What short links stand for; a row opens with its code alone."""
    op.create_table(
        "short_link",
        sa.Column("lookup", sa.LargeBinary(), primary_key=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TimestampTz, nullable=False),
    )


def _drop_frequencies():
    """Choices of frequency stay in the ledger as kinds only."""
    for column in ("frequency_at", "frequency_rank", "frequency_event", "frequency"):
        op.drop_column("suppression", column)
    for column in ("frequency", "frequency_rank"):
        op.drop_column("event", column)
