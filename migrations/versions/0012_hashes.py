"""addresses known by a hash; old mail of ours to be forgotten

Revision ID: 0012
Revises: 0011
Create Date: 2026-11-25 03:15:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('md5_matching',
    sa.Column('id', sa.SmallInteger(), server_default=sa.text('1'), nullable=False),
    sa.Column('begun_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('reached', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('id = 1', name='md5_matching_one_row'),
    sa.PrimaryKeyConstraint('id')
    )
    # Volatile, so that a statement that waited for a lock sees what was committed meanwhile.
    op.execute("""
        CREATE FUNCTION md5_is_matched() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
        BEGIN
            RETURN EXISTS (SELECT FROM md5_matching WHERE id = 1);
        END $$
    """)
    op.create_index(
        'outgoing_mail_done', 'outgoing_mail', ['created_at'],
        postgresql_where=sa.text('next_at IS NULL'),
    )


def downgrade():
    op.drop_index('outgoing_mail_done', 'outgoing_mail')
    op.execute('DROP FUNCTION md5_is_matched')
    op.drop_table('md5_matching')
