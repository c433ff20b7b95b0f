"""bursts of opt-outs

Revision ID: 0019
Revises: 0018
Create Date: 2026-11-26 08:50:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None


def upgrade():
    moment = sa.DateTime(timezone=True)
    op.create_table('burst',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('domain_digest', sa.LargeBinary(), nullable=False),
    sa.Column('found_at', moment, nullable=False),
    sa.Column('first_at', moment, nullable=False),
    sa.Column('last_at', moment, nullable=False),
    sa.Column('issued_first', moment, nullable=False),
    sa.Column('issued_last', moment, nullable=False),
    sa.Column('events', sa.Integer(), nullable=False),
    sa.Column('addresses', sa.Integer(), nullable=False),
    sa.Column('known', sa.Integer(), nullable=False),
    sa.Column('messages', sa.ARRAY(sa.Text()), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('burst_found', 'burst', ['found_at'])
    op.create_table('burst_event',
    sa.Column('event_id', sa.Uuid(), nullable=False),
    sa.Column('burst_id', sa.Uuid(), nullable=False),
    sa.PrimaryKeyConstraint('event_id')
    )
    op.create_index('burst_event_burst', 'burst_event', ['burst_id'])
    op.create_table('burst_watch',
    sa.Column('id', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('looked_at', moment, nullable=False),
    sa.Column('filled_to', sa.BigInteger(), server_default='0', nullable=False),
    sa.PrimaryKeyConstraint('id')
    )


def downgrade():
    op.drop_table('burst_watch')
    op.drop_table('burst_event')
    op.drop_table('burst')
