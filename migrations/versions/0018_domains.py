"""whose domain an address is of, as a keyed digest

Revision ID: 0018
Revises: 0017
Create Date: 2026-11-26 08:40:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('address', sa.Column('domain_digest', sa.LargeBinary(), nullable=True))
    op.create_index(
        'address_domain', 'address', ['domain_digest'],
        postgresql_where=sa.text('domain_digest IS NOT NULL'),
    )


def downgrade():
    op.drop_index('address_domain', 'address')
    op.drop_column('address', 'domain_digest')
