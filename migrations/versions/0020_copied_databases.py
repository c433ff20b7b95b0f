"""An epoch ends where its table lies in another file, as in a copy of the database.

A copy (CREATE DATABASE ... TEMPLATE) has the epoch of the original, on a server that was not
restarted.

Revision ID: 0020
Revises: 0019
Create Date: 2026-12-01
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

# Its SQLSTATE is EPOCH_OUTDATED of `ledger.watermarks`.
_FUNCTION = """
    CREATE OR REPLACE FUNCTION require_current_epoch() RETURNS void LANGUAGE plpgsql STABLE AS $$
    BEGIN
        IF (SELECT server_started_at = pg_postmaster_start_time() AND xmin = xid::xid{condition}
            FROM epoch ORDER BY id DESC LIMIT 1) IS NOT TRUE
        THEN
            RAISE EXCEPTION 'the newest epoch has ended' USING ERRCODE = 'PC001';
        END IF;
    END $$
"""


def upgrade():
    # Without a value in epochs that an older version begins: they end with the first look of ours.
    op.add_column("epoch", sa.Column("file", sa.Text()))
    # The newest one goes on: nobody has to read a snapshot after this upgrade.
    op.execute(
        "UPDATE epoch SET file = pg_relation_filepath('epoch'), xid = pg_current_xact_id()"
    )
    op.execute(_FUNCTION.format(condition=" AND file = pg_relation_filepath('epoch')"))


def downgrade():
    op.execute(_FUNCTION.format(condition=""))
    op.drop_column("epoch", "file")
