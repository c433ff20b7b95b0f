"""reasons for leaving, counted

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-26 04:10:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('reason_count',
    sa.Column('month', sa.Date(), nullable=False),
    sa.Column('scope', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('month', 'scope', 'reason')
    )


def downgrade():
    op.drop_table('reason_count')
