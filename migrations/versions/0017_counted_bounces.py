"""bounces that are counted

Revision ID: 0017
Revises: 0014
Create Date: 2026-11-26 08:30:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0017'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('counted_bounce',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('code', sa.Text(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('counted_bounce_digest', 'counted_bounce', ['digest'])
    op.create_index('counted_bounce_age', 'counted_bounce', ['at'])


def downgrade():
    op.drop_table('counted_bounce')
