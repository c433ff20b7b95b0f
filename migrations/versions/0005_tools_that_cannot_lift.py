"""tools that can't turn on again what we turned off

Revision ID: 0005
Revises: 0004
Create Date: 2026-11-26 04:00:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table('destination', schema=None) as batch_op:
        batch_op.add_column(sa.Column('can_lift', sa.Boolean(), server_default='true', nullable=False))


def downgrade():
    with op.batch_alter_table('destination', schema=None) as batch_op:
        batch_op.drop_column('can_lift')
