"""lists from elsewhere

Revision ID: 0010
Revises: 0009
Create Date: 2026-11-25 03:15:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade():
    pass


def downgrade():
    pass
