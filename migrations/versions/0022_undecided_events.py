"""what was acknowledged and not understood waits for a person

Revision ID: 0022
Revises: 0021
Create Date: 2026-11-26 22:45:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0022'
down_revision = '0021'
branch_labels = None
depends_on = None


def upgrade():
    moment = sa.DateTime(timezone=True)
    op.create_table('undecided_event',
    sa.Column('post_id', sa.Uuid(), nullable=False),
    sa.Column('question', sa.Text(), nullable=False),
    sa.Column('destination_id', sa.Integer(), nullable=False),
    sa.Column('received_at', moment, nullable=False),
    sa.Column('decided_at', moment, nullable=True),
    sa.Column('decision', sa.Text(), server_default='', nullable=False),
    sa.PrimaryKeyConstraint('post_id', 'question')
    )
    op.create_index(
        'undecided_event_open', 'undecided_event', ['received_at'],
        postgresql_where=sa.text('decided_at IS NULL'),
    )
    op.create_index(
        'undecided_event_decided', 'undecided_event', ['decided_at'],
        postgresql_where=sa.text('decided_at IS NOT NULL'),
    )
    op.create_table('ignored_event',
    sa.Column('destination_id', sa.Integer(), nullable=False),
    sa.Column('question', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('at', moment, nullable=False),
    sa.PrimaryKeyConstraint('destination_id', 'question')
    )
    op.execute(
        """INSERT INTO undecided_event (post_id, question, destination_id, received_at)
        SELECT id, 'unreadable', destination_id, received_at FROM posted_news
        WHERE next_at IS NULL AND outcome = 'unreadable'"""
    )
    op.add_column('inbound_unresolved', sa.Column('dismissed_at', moment, nullable=True))
    op.add_column(
        'inbound_unresolved', sa.Column('dismissal', sa.Text(), server_default='', nullable=False)
    )
    op.create_index(
        'inbound_unresolved_open', 'inbound_unresolved', ['received_at'],
        postgresql_where=sa.text('dismissed_at IS NULL'),
    )
    with op.get_context().autocommit_block():
        # Webhooks go on being stored meanwhile; what is left of a build that was cut off would
        # count as an index that is there.
        op.execute('DROP INDEX CONCURRENTLY IF EXISTS posted_news_pending')
        op.create_index(
            'posted_news_pending', 'posted_news', ['received_at'],
            postgresql_where=sa.text('next_at IS NOT NULL'), postgresql_concurrently=True,
        )


def downgrade():
    op.drop_index('posted_news_pending', 'posted_news')
    op.drop_index('inbound_unresolved_open', 'inbound_unresolved')
    op.drop_column('inbound_unresolved', 'dismissal')
    op.drop_column('inbound_unresolved', 'dismissed_at')
    op.drop_table('ignored_event')
    op.drop_table('undecided_event')
