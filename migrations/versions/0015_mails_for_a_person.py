"""mails that a person has to look at

Revision ID: 0015
Revises: 0019
Create Date: 2026-11-26 09:00:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0015'
down_revision = '0019'
branch_labels = None
depends_on = None


def upgrade():
    moment = sa.DateTime(timezone=True)
    op.create_table('kept_mail',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('mark', sa.LargeBinary(), nullable=False),
    sa.Column('door', sa.Text(), nullable=False),
    sa.Column('why', sa.Text(), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('head', sa.LargeBinary(), nullable=True),
    sa.Column('received_at', moment, nullable=False),
    sa.Column('settled_at', moment, nullable=True),
    sa.Column('outcome', sa.Text(), server_default='', nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('kept_mail_mark', 'kept_mail', ['mark'], unique=True)
    op.create_index(
        'kept_mail_waiting', 'kept_mail', ['received_at'],
        postgresql_where=sa.text('settled_at IS NULL'),
    )
    op.create_index('kept_mail_settled', 'kept_mail', ['settled_at'])
    op.create_index(
        'kept_mail_sealed', 'kept_mail', ['received_at'],
        postgresql_where=sa.text('head IS NOT NULL'),
    )


def downgrade():
    op.drop_table('kept_mail')
