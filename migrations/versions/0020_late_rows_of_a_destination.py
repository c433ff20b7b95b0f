"""late rows are counted per destination, by index

Revision ID: 0020
Revises: 0015
Create Date: 2026-11-26 22:40:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0020'
down_revision = '0015'
branch_labels = None
depends_on = None


def upgrade():
    _replace('sync_state_due', 'sync_state_late', ['destination_id', 'due_at'])


def downgrade():
    _replace('sync_state_late', 'sync_state_due', ['due_at'])


def _replace(old, new, columns):
    """Without keeping anybody from writing meanwhile: the table is one of the largest."""
    with op.get_context().autocommit_block():
        # What is left of a build that was cut off would count as an index that is there.
        op.execute(f'DROP INDEX CONCURRENTLY IF EXISTS {new}')
        op.create_index(
            new, 'sync_state', columns, postgresql_where=sa.text('due_at IS NOT NULL'),
            postgresql_concurrently=True,
        )
        op.execute(f'DROP INDEX CONCURRENTLY IF EXISTS {old}')
