"""answers to repeated requests

Revision ID: 0008
Revises: 0007
Create Date: 2026-11-25 03:15:00.000000

"""
from alembic import op
import sqlalchemy as sa

# revision identifiers, used by Alembic.
revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "kept_answer",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_kept_answer_kept_at", "kept_answer", ["kept_at"], unique=False)
    op.add_column("api_key", sa.Column("rate", sa.Text(), nullable=True))


def downgrade():
    op.drop_column("api_key", "rate")
    op.drop_index("ix_kept_answer_kept_at", "kept_answer")
    op.drop_table("kept_answer")
