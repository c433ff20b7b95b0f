"""pushes under way, and tools that were slow lately

Revision ID: 0024
Revises: 0023
Create Date: 2026-11-26 22:50:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0024'
down_revision = '0023'
branch_labels = None
depends_on = None


def upgrade():
    moment = sa.DateTime(timezone=True)
    op.create_table('push',
    sa.Column('lease', sa.Uuid(), nullable=False),
    sa.Column('destination_id', sa.Integer(), nullable=False),
    sa.Column('began_at', moment, nullable=False),
    sa.Column('ends_at', moment, nullable=False),
    sa.PrimaryKeyConstraint('lease')
    )
    op.create_index('push_destination', 'push', ['destination_id'])
    op.add_column('destination', sa.Column('slow_until', moment, nullable=True))


def downgrade():
    op.drop_column('destination', 'slow_until')
    op.drop_table('push')
