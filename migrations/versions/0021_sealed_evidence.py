"""What others wrote in the evidence of an event is sealed; the rotation of keys may seal it again.

The trigger lets `sealed` alone be updated: what it says is authenticated for its event, and hashed.
Older rows stay as they are.

Revision ID: 0021
Revises: 0020
Create Date: 2026-12-01
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_TRIGGER = """
    CREATE TRIGGER insert_or_delete_only BEFORE UPDATE{columns} OR TRUNCATE ON event_evidence
    FOR EACH STATEMENT EXECUTE FUNCTION reject_mutation()
"""


def upgrade():
    op.add_column("event_evidence", sa.Column("sealed", sa.LargeBinary()))
    op.execute("DROP TRIGGER insert_or_delete_only ON event_evidence")
    op.execute(_TRIGGER.format(columns=" OF event_id, evidence"))


def downgrade():
    op.execute("DROP TRIGGER insert_or_delete_only ON event_evidence")
    op.execute(_TRIGGER.format(columns=""))
    op.drop_column("event_evidence", "sealed")
