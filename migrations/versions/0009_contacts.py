"""people behind addresses

Revision ID: 0009
Revises: 0008
Create Date: 2026-11-25 03:15:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


MAY_STAND = "standing OR pause_until IS NOT NULL"


def upgrade():
    op.create_table('contact',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('locale', sa.Text(), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('changed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('merged_into', sa.Uuid(), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('contact_merged_into', 'contact', ['merged_into'], unique=False,
        postgresql_where=sa.text('merged_into IS NOT NULL'))
    op.create_table('contact_address',
    sa.Column('address_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('contact_id', sa.Uuid(), nullable=False),
    sa.Column('linked_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('address_id')
    )
    op.create_index(op.f('ix_contact_address_contact_id'), 'contact_address', ['contact_id'],
        unique=False)
    op.create_table('contact_external_id',
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('contact_id', sa.Uuid(), nullable=False),
    sa.Column('ciphertext', sa.LargeBinary(), nullable=True),
    sa.Column('linked_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('digest')
    )
    op.create_index(op.f('ix_contact_external_id_contact_id'), 'contact_external_id',
        ['contact_id'], unique=False)
    op.create_index('suppression_scope', 'suppression', ['scope', 'address_id'], unique=False,
        postgresql_where=sa.text(MAY_STAND))
    op.create_index('suppression_reason', 'suppression',
        [sa.text("(CASE WHEN standing THEN reason ELSE 'paused' END)"), 'address_id', 'scope'],
        unique=False, postgresql_where=sa.text(MAY_STAND))


def downgrade():
    op.drop_index('suppression_reason', 'suppression')
    op.drop_index('suppression_scope', 'suppression')
    op.drop_table('contact_external_id')
    op.drop_table('contact_address')
    op.drop_table('contact')
