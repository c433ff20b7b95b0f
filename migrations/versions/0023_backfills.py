"""back-fills by ranges, which can be gone on with

Revision ID: 0023
Revises: 0022
Create Date: 2026-11-26 23:00:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0023'
down_revision = '0022'
branch_labels = None
depends_on = None


def upgrade():
    moment = sa.DateTime(timezone=True)
    op.create_table('backfill',
    sa.Column('destination_id', sa.Integer(), nullable=False),
    sa.Column('reached', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('until_id', sa.BigInteger(), nullable=True),
    sa.Column('rows', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('started_at', moment, nullable=False),
    sa.Column('finished_at', moment, nullable=True),
    sa.PrimaryKeyConstraint('destination_id')
    )


def downgrade():
    op.drop_table('backfill')
