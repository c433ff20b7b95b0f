"""How far a database has the erasure journal, by the hash of its last file (I6).

A database that had a journal before knows none afterwards: `flask erasures replay` goes on from it.

Revision ID: 0018
Revises: 0017
Create Date: 2026-12-01
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("erasure_journal", sa.Column("last_file", sa.BigInteger()))
    op.add_column("erasure_journal", sa.Column("head", sa.LargeBinary()))


def downgrade():
    op.drop_column("erasure_journal", "head")
    op.drop_column("erasure_journal", "last_file")
