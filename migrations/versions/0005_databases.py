"""For managed databases: epochs end with the server's process, not by ids of its control file.

Revision ID: 0005
Revises: 0004
Create Date: 2026-11-27
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import UserDefinedType

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TimestampTz = sa.DateTime(timezone=True)


class Xid8(UserDefinedType):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_):
        return "xid8"


def upgrade():
    _identify_epochs()
    _create_functions()


def downgrade():
    op.execute("DROP FUNCTION require_current_epoch")
    op.drop_column("epoch", "xid")
    op.drop_column("epoch", "server_started_at")
    op.add_column("epoch", sa.Column("timeline", sa.Text(), nullable=False, server_default=""))
    op.add_column("epoch", sa.Column("system", sa.BigInteger(), nullable=False, server_default="0"))


def _identify_epochs():
    """By the start of the server and the transaction that wrote the row."""
    op.add_column("epoch", sa.Column("server_started_at", TimestampTz))
    op.add_column("epoch", sa.Column("xid", Xid8()))
    op.execute("""
        UPDATE epoch
        SET server_started_at = pg_postmaster_start_time(), xid = pg_current_xact_id()
    """)
    op.alter_column("epoch", "server_started_at", nullable=False)
    op.alter_column("epoch", "xid", nullable=False)
    op.drop_column("epoch", "system")
    op.drop_column("epoch", "timeline")


def _create_functions():
    # Its SQLSTATE is EPOCH_OUTDATED of `storage.feed.watermarks`.
    op.execute("""
        CREATE FUNCTION require_current_epoch() RETURNS void LANGUAGE plpgsql STABLE AS $$
        BEGIN
            IF (SELECT server_started_at = pg_postmaster_start_time() AND xmin = xid::xid
                FROM epoch ORDER BY id DESC LIMIT 1) IS NOT TRUE
            THEN
                RAISE EXCEPTION 'the newest epoch has ended' USING ERRCODE = 'PC001';
            END IF;
        END $$
    """)
