"""what is read in tools, and their webhooks

Revision ID: 0013
Revises: 0012
Create Date: 2026-11-25 04:10:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None

_COUNTS = (
    'contacts', 'reported', 'recorded', 'unmapped', 'unreadable', 'newly_suppressed', 'checked', 'drift', 'links_written',
)


def upgrade():
    moment = sa.DateTime(timezone=True)
    op.create_table('listing',
    sa.Column('destination_id', sa.Integer(), nullable=False),
    sa.Column('part', sa.Text(), nullable=False),
    sa.Column('cursor', sa.Text(), nullable=True),
    sa.Column('next_at', moment, nullable=True),
    sa.Column('lease', sa.Uuid(), nullable=True),
    sa.Column('begun_at', moment, nullable=True),
    sa.Column('finished_at', moment, nullable=True),
    sa.Column('rows', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('failures', sa.Integer(), server_default='0', nullable=False),
    sa.Column('reason', sa.Text(), server_default='', nullable=False),
    sa.PrimaryKeyConstraint('destination_id', 'part')
    )
    op.create_table('verification',
    sa.Column('destination_id', sa.Integer(), autoincrement=False, nullable=False),
    *(sa.Column(name, sa.BigInteger(), server_default='0', nullable=False) for name in _COUNTS),
    sa.PrimaryKeyConstraint('destination_id')
    )
    op.create_table('posted_news',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('destination_id', sa.Integer(), nullable=False),
    sa.Column('mark', sa.LargeBinary(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.Column('received_at', moment, nullable=False),
    sa.Column('next_at', moment, nullable=True),
    sa.Column('attempts', sa.Integer(), server_default='0', nullable=False),
    sa.Column('outcome', sa.Text(), server_default='', nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('posted_news_mark', 'posted_news', ['destination_id', 'mark'], unique=True)
    op.create_index(
        'posted_news_queue', 'posted_news', ['next_at'],
        postgresql_where=sa.text('next_at IS NOT NULL'),
    )
    op.create_index('posted_news_age', 'posted_news', ['received_at'])
    op.add_column('sync_state', sa.Column('verify_at', moment, nullable=True))
    op.add_column(
        'sync_state', sa.Column('checks', sa.SmallInteger(), server_default='0', nullable=False)
    )
    op.create_index(
        'sync_state_verify', 'sync_state', ['destination_id', 'verify_at'],
        postgresql_where=sa.text('verify_at IS NOT NULL'),
    )
    # Those there are have been filled already: their back-fill has nothing to wait for.
    op.add_column('destination', sa.Column('pulled_at', moment, nullable=True))
    op.execute('UPDATE destination SET pulled_at = created_at')


def downgrade():
    op.drop_column('destination', 'pulled_at')
    op.drop_index('sync_state_verify', 'sync_state')
    op.drop_column('sync_state', 'checks')
    op.drop_column('sync_state', 'verify_at')
    op.drop_table('posted_news')
    op.drop_table('verification')
    op.drop_table('listing')
