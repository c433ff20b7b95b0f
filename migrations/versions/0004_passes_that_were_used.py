"""passes that were used

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-26 02:00:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('spent_pass',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('spent_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('forget_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('spent_pass', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_spent_pass_forget_at'), ['forget_at'], unique=False)


def downgrade():
    with op.batch_alter_table('spent_pass', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_spent_pass_forget_at'))

    op.drop_table('spent_pass')
