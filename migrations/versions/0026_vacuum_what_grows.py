"""Vacuum and analyze the large tables that only grow after 2 % of new rows, not after 20 and 10 %.

At 100 million events the default waits for 10 million new ones until the planner learns of them,
and one vacuum then has 20 million to freeze.

Revision ID: 0026
Revises: 0025
Create Date: 2026-12-02
"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


TABLES = ("event", "event_evidence", "delivery", "delivery_ack")
SETTINGS = ("autovacuum_vacuum_insert_scale_factor", "autovacuum_analyze_scale_factor")


def upgrade():
    values = ", ".join(f"{name} = 0.02" for name in SETTINGS)
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} SET ({values})")  # blocks neither reads nor writes


def downgrade():
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} RESET ({', '.join(SETTINGS)})")
