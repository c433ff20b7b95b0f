"""When an address was last erased, which stays known after the person came back (I6).

Revision ID: 0017
Revises: 0016
Create Date: 2026-11-28
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("address", sa.Column("last_erased_at", sa.DateTime(timezone=True)))
    op.execute(
        """UPDATE address SET last_erased_at = GREATEST(erased_at, newest.at)
        FROM (SELECT address_id, max(counts_at) AS at FROM event WHERE kind = 'erased'
            GROUP BY address_id) AS newest
        WHERE address.id = newest.address_id"""
    )
    # What came back with people before this was known.
    op.execute(
        """DELETE FROM consent USING address
        WHERE address.id = consent.address_id AND consent.at <= address.last_erased_at"""
    )
    op.execute(
        """DELETE FROM suppression s USING address
        WHERE address.id = s.address_id AND s.frequency_at <= address.last_erased_at
            AND COALESCE(s.out_at, s.lift_at, s.pause_at) IS NULL"""
    )
    op.execute(
        """UPDATE suppression s SET frequency_at = NULL, frequency_rank = NULL,
            frequency_event = NULL, frequency = NULL
        FROM address WHERE address.id = s.address_id AND s.frequency_at <= address.last_erased_at"""
    )


def downgrade():
    op.drop_column("address", "last_erased_at")
