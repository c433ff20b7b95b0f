"""keys and links that senders hold

Revision ID: 0011
Revises: 0010
Create Date: 2026-11-25 03:15:00.000000

"""
from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# revision identifiers, used by Alembic.
revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('link_key',
    sa.Column('id', sa.Integer(), sa.Identity(always=True), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('ring_key', sa.Text(), nullable=False),
    sa.Column('topics', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('name')
    )
    op.create_table('standing_links',
    sa.Column('destination_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('since', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('destination_id')
    )
    # A mail token that a sender made offline has no room for a day.
    op.alter_column('inbound_unresolved', 'issued_on', nullable=True)


def downgrade():
    op.execute("UPDATE inbound_unresolved SET issued_on = received_at::date WHERE issued_on IS NULL")
    op.alter_column('inbound_unresolved', 'issued_on', nullable=False)
    op.drop_table('standing_links')
    op.drop_table('link_key')
