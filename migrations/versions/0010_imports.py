"""lists from elsewhere

Revision ID: 0010
Revises: 0009
Create Date: 2026-11-25 03:15:00.000000

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('list_import',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('plan', sa.Text(), server_default='', nullable=False),
    sa.Column('actor', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), server_default='', nullable=False),
    sa.Column('instructions', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('begun_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('spooled', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=True),
    sa.Column('octets', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('position', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('octets_done', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('line', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('planned', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.Column('tally', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.Column('refusals', postgresql.JSONB(astext_type=sa.Text()), server_default='[]', nullable=False),
    sa.Column('problem', sa.Text(), server_default='', nullable=False),
    sa.Column('leans_on', postgresql.ARRAY(sa.Uuid()), server_default='{}', nullable=False),
    sa.Column('undone_to', sa.Uuid(), nullable=True),
    sa.Column('undone', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('lease', sa.Uuid(), nullable=True),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('list_import', schema=None) as batch_op:
        batch_op.create_index('list_import_plan', ['plan'], unique=False)
        batch_op.create_index('list_import_state', ['state'], unique=False)

    op.create_table('list_import_part',
    sa.Column('import_id', sa.Uuid(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('octets', sa.Integer(), nullable=False),
    sa.Column('content', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('import_id', 'number')
    )

    # What a list raises waits behind what people do: false sorts before true.
    op.add_column('sync_state',
        sa.Column('bulk', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    op.drop_index('sync_state_queue', table_name='sync_state')
    op.create_index('sync_state_queue', 'sync_state', ['destination_id', 'bulk', 'next_at'],
        unique=False, postgresql_where=sa.text('next_at IS NOT NULL'))


def downgrade():
    op.drop_index('sync_state_queue', table_name='sync_state')
    op.create_index('sync_state_queue', 'sync_state', ['destination_id', 'next_at'],
        unique=False, postgresql_where=sa.text('next_at IS NOT NULL'))
    op.drop_column('sync_state', 'bulk')
    op.drop_table('list_import_part')
    with op.batch_alter_table('list_import', schema=None) as batch_op:
        batch_op.drop_index('list_import_state')
        batch_op.drop_index('list_import_plan')

    op.drop_table('list_import')
