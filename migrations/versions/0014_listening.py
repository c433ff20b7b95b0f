"""tokens of webhooks that are good once, and types of news that nobody knows

Revision ID: 0014
Revises: 0013
Create Date: 2026-11-26 08:20:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade():
    moment = sa.DateTime(timezone=True)
    op.create_table('used_token',
    sa.Column('destination_id', sa.Integer(), nullable=False),
    sa.Column('mark', sa.LargeBinary(), nullable=False),
    sa.Column('post_id', sa.Uuid(), nullable=False),
    sa.Column('at', moment, nullable=False),
    sa.PrimaryKeyConstraint('destination_id', 'mark')
    )
    op.create_index('used_token_age', 'used_token', ['at'])
    # One tool's backlog is no longer read through to find another's.
    op.drop_index('posted_news_queue', 'posted_news')
    op.create_index(
        'posted_news_queue', 'posted_news', ['destination_id', 'next_at', 'id'],
        postgresql_where=sa.text('next_at IS NOT NULL'),
    )
    op.create_table('unknown_news',
    sa.Column('destination_id', sa.Integer(), nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('count', sa.BigInteger(), nullable=False),
    sa.Column('last_at', moment, nullable=False),
    sa.PrimaryKeyConstraint('destination_id', 'type')
    )


def downgrade():
    op.drop_table('unknown_news')
    op.drop_index('posted_news_queue', 'posted_news')
    op.create_index(
        'posted_news_queue', 'posted_news', ['next_at'],
        postgresql_where=sa.text('next_at IS NOT NULL'),
    )
    op.drop_table('used_token')
