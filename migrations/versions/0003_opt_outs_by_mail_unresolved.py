"""opt-outs by mail whose address is not known yet

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-26 00:10:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('inbound_unresolved',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('digest_prefix', sa.LargeBinary(), nullable=False),
    sa.Column('scope_mark', sa.LargeBinary(), nullable=False),
    sa.Column('scope', sa.Text(), nullable=True),
    sa.Column('key_id', sa.Text(), nullable=False),
    sa.Column('issued_on', sa.Date(), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('last_received_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('inbound_unresolved', schema=None) as batch_op:
        batch_op.create_index('inbound_unresolved_reference', ['digest_prefix', 'scope_mark'], unique=True)


def downgrade():
    with op.batch_alter_table('inbound_unresolved', schema=None) as batch_op:
        batch_op.drop_index('inbound_unresolved_reference')

    op.drop_table('inbound_unresolved')
