"""forms of a mailbox that are to be raised later

Revision ID: 0026
Revises: 0025
Create Date: 2026-11-26 23:50:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0026'
down_revision = '0025'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('deferred_raise',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('channel', sa.Text(), nullable=False),
    sa.Column('kind', sa.SmallInteger(), nullable=False),
    sa.Column('scope', sa.Text(), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('reached', sa.BigInteger(), nullable=False),
    sa.Column('begun', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('deferred_raise_waiting', 'deferred_raise',
    ['digest', 'channel', 'kind', 'scope'], unique=True, postgresql_where=sa.text('NOT begun'))



def downgrade():
    op.drop_table('deferred_raise')
