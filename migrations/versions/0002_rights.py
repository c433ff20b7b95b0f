"""What data-subject rights need: requests, erasures, moves, holds and statistics.

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-27
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TimestampTz = sa.DateTime(timezone=True)


def upgrade():
    _split_contact_state()
    _create_rights()
    _move_evidence()
    _move_acknowledgements()


def downgrade():
    op.drop_column("outgoing_mail", "recipient_digest")
    _restore_acknowledgements()
    _restore_evidence()
    _join_contact_state()
    for table in TABLES:
        op.drop_table(table)


def _split_contact_state():
    """A restriction is no state of the account: it has a time of its own."""
    op.alter_column("contact", "state", new_column_name="account")
    op.add_column("contact", sa.Column("restricted_at", TimestampTz))
    op.execute("""
        UPDATE contact SET account = 'open',
            restricted_at = CASE WHEN account = 'restricted' THEN changed_at END
        WHERE account IN ('active', 'restricted')
    """)


def _join_contact_state():
    op.execute("""
        UPDATE contact SET account = CASE WHEN restricted_at IS NULL
            THEN 'active' ELSE 'restricted' END
        WHERE account = 'open'
    """)
    op.drop_column("contact", "restricted_at")
    op.alter_column("contact", "account", new_column_name="state")


def _create_rights():
    """Requests, erasures, moves, holds and counts: see `storage.tables.rights`."""
    op.create_table(
        "rights_request",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("extent", sa.Text()),
        sa.Column("law", sa.Text()),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("brand", sa.Text()),
        sa.Column("received_at", TimestampTz, nullable=False),
        sa.Column("recorded_at", TimestampTz, nullable=False),
        sa.Column("confirm_by", TimestampTz),
        sa.Column("confirmed_at", TimestampTz),
        sa.Column("due_at", TimestampTz, nullable=False),
        sa.Column("stopped_at", TimestampTz),
        sa.Column("extended_to", TimestampTz),
        sa.Column("extension_reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("required_level", sa.SmallInteger(), nullable=False),
        sa.Column("failures", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False, server_default=""),
        sa.Column("refusal", sa.Text()),
        sa.Column("contact_id", sa.Uuid()),
        sa.Column("address_ids", pg.ARRAY(sa.BigInteger()), nullable=False, server_default="{}"),
        sa.Column(
            "subject_digests", pg.ARRAY(sa.LargeBinary()), nullable=False, server_default="{}"
        ),
        sa.Column("sealed", sa.LargeBinary()),
        sa.Column("closed_at", TimestampTz),
        sa.Column("forget_at", TimestampTz),
        sa.Column("next_at", TimestampTz),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
    )
    op.create_index(
        "rights_request_contact",
        "rights_request",
        ["contact_id"],
        postgresql_where=sa.text("contact_id IS NOT NULL"),
    )
    op.create_index(
        "rights_request_forget",
        "rights_request",
        ["forget_at"],
        postgresql_where=sa.text("forget_at IS NOT NULL"),
    )
    op.create_index(
        "rights_request_open",
        "rights_request",
        ["due_at"],
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index(
        "rights_request_queue",
        "rights_request",
        ["next_at"],
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    op.create_index(
        "rights_request_subject", "rights_request", ["subject_digests"], postgresql_using="gin"
    )
    op.create_table(
        "rights_webhook",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", TimestampTz, nullable=False),
        sa.Column("next_at", TimestampTz),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("outcome", sa.Text(), nullable=False, server_default=""),
    )
    op.create_index(
        "rights_webhook_done",
        "rights_webhook",
        ["created_at"],
        postgresql_where=sa.text("next_at IS NULL"),
    )
    op.create_index(
        "rights_webhook_queue",
        "rights_webhook",
        ["next_at"],
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    op.create_table(
        "rights_step",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("at", TimestampTz, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("detail", pg.JSONB(), nullable=False),
    )
    op.create_index("rights_step_request", "rights_step", ["request_id", "id"])
    op.create_table(
        "rights_proof",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("declared_type", sa.Text(), nullable=False),
        sa.Column("sniffed_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", TimestampTz, nullable=False),
        sa.Column("forget_at", TimestampTz, nullable=False),
    )
    op.create_index("ix_rights_proof_forget_at", "rights_proof", ["forget_at"])
    op.create_index("ix_rights_proof_request_id", "rights_proof", ["request_id"])
    op.create_table(
        "rights_file",
        sa.Column("request_id", sa.Uuid(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TimestampTz, nullable=False),
        sa.Column("expires_at", TimestampTz, nullable=False),
    )
    op.create_index("ix_rights_file_expires_at", "rights_file", ["expires_at"])
    op.create_table(
        "erasure",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("address_id", sa.BigInteger()),
        sa.Column("contact_id", sa.Uuid()),
        sa.Column("extent", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Uuid()),
        sa.Column("ciphertext", sa.LargeBinary()),
        sa.Column("begun_at", TimestampTz, nullable=False),
        sa.Column("give_up_at", TimestampTz, nullable=False),
        sa.Column("finished_at", TimestampTz),
        sa.Column("entry", sa.BigInteger()),
        sa.Column("journaled_at", TimestampTz),
    )
    op.create_index("erasure_address", "erasure", ["address_id"])
    op.create_index("erasure_entry", "erasure", ["entry"], unique=True)
    op.create_index(
        "erasure_not_journaled",
        "erasure",
        ["entry"],
        postgresql_where=sa.text("entry IS NOT NULL AND journaled_at IS NULL"),
    )
    op.create_index(
        "erasure_not_finished",
        "erasure",
        ["begun_at"],
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_index(
        "erasure_open",
        "erasure",
        ["give_up_at"],
        postgresql_where=sa.text("ciphertext IS NOT NULL"),
    )
    op.create_index(
        "erasure_request",
        "erasure",
        ["request_id"],
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.create_table(
        "erasure_task",
        sa.Column("erasure_id", sa.Uuid(), primary_key=True),
        sa.Column("destination_id", sa.Integer(), primary_key=True),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("suppressed_at", TimestampTz),
        sa.Column("erased_at", TimestampTz),
        sa.Column("confirmed_at", TimestampTz),
        sa.Column("outcome", sa.Text(), nullable=False, server_default=""),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("ack", sa.Text(), nullable=False, server_default=""),
        sa.Column("job", sa.Text(), nullable=False, server_default=""),
        sa.Column("by_hand_since", TimestampTz),
        sa.Column("done_by", sa.Text()),
        sa.Column("next_at", TimestampTz),
        sa.Column("lease", sa.Uuid()),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
    )
    op.create_index(
        "erasure_task_by_hand",
        "erasure_task",
        ["by_hand_since"],
        postgresql_where=sa.text("by_hand_since IS NOT NULL AND outcome = ''"),
    )
    op.create_index(
        "erasure_task_queue",
        "erasure_task",
        ["destination_id", "next_at"],
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    op.create_table(
        "address_move",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("request_id", sa.Uuid()),
        sa.Column("from_address_id", sa.BigInteger(), nullable=False),
        sa.Column("to_address_id", sa.BigInteger(), nullable=False),
        sa.Column("contact_id", sa.Uuid()),
        sa.Column("event_ids", pg.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("moved_at", TimestampTz, nullable=False),
        sa.Column("undo_until", TimestampTz, nullable=False),
        sa.Column("undone_at", TimestampTz),
    )
    op.create_index("ix_address_move_from_address_id", "address_move", ["from_address_id"])
    op.create_index("ix_address_move_to_address_id", "address_move", ["to_address_id"])
    op.create_table(
        "hold",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("ground", sa.Text(), nullable=False),
        sa.Column("address_id", sa.BigInteger(), nullable=False),
        sa.Column("placed_at", TimestampTz, nullable=False),
        sa.Column("placed_by", sa.Text(), nullable=False),
        sa.Column("ends_at", TimestampTz),
        sa.Column("ended_at", TimestampTz),
        sa.Column("ended_by", sa.Text()),
    )
    op.create_index("ix_hold_address_id", "hold", ["address_id"])
    op.create_table(
        "retention_run",
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        sa.Column("started_at", TimestampTz, nullable=False),
        sa.Column("finished_at", TimestampTz),
    )
    op.create_table(
        "monthly_count",
        sa.Column("month", sa.Date(), primary_key=True),
        sa.Column("what", sa.Text(), primary_key=True),
        sa.Column("scope", sa.Text(), primary_key=True),
        sa.Column("source", sa.Text(), primary_key=True),
        sa.Column("outcome", sa.Text(), primary_key=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "erasure_journal",
        sa.Column(
            "id",
            sa.SmallInteger(),
            primary_key=True,
            autoincrement=False,
            server_default=sa.text("1"),
        ),
        sa.Column("last_entry", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("replayed_at", TimestampTz),
    )
    op.create_table(
        "key_rotation",
        sa.Column("column", sa.Text(), primary_key=True),
        sa.Column("key_id", sa.Text(), primary_key=True),
        sa.Column("last", sa.Text(), nullable=False, server_default=""),
        sa.Column("rows_done", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("started_at", TimestampTz, nullable=False),
        sa.Column("finished_at", TimestampTz),
    )
    # So that mails to a person who is erased are found and not sent.
    op.add_column("outgoing_mail", sa.Column("recipient_digest", sa.LargeBinary()))
    op.create_index(
        "outgoing_mail_recipient",
        "outgoing_mail",
        ["recipient_digest"],
        postgresql_where=sa.text("recipient_digest IS NOT NULL"),
    )
    op.execute("""
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON rights_step
        FOR EACH STATEMENT EXECUTE FUNCTION reject_mutation()
    """)


def _move_evidence():
    """Evidence next to its event, so that it can be erased.

    The change of type rewrites the table: a column that is only dropped would stay on disk. The
    migration has no keys, so it can't make the hashes of older evidence.
    """
    op.create_table(
        "event_evidence",
        sa.Column("event_id", sa.Uuid(), primary_key=True),
        sa.Column("evidence", pg.JSONB(), nullable=False),
    )
    op.execute("INSERT INTO event_evidence SELECT id, evidence FROM event ORDER BY seq")
    op.execute("""
        ALTER TABLE event ALTER COLUMN evidence DROP NOT NULL,
            ALTER COLUMN evidence TYPE bytea USING NULL::bytea
    """)
    op.execute("ALTER TABLE event RENAME COLUMN evidence TO evidence_hash")
    _reject_updates("event_evidence")


def _restore_evidence():
    """What was erased meanwhile is empty."""
    op.execute("ALTER TABLE event ADD COLUMN evidence jsonb NOT NULL DEFAULT '{}'")
    op.execute("ALTER TABLE event DISABLE TRIGGER append_only")
    op.execute("""
        UPDATE event SET evidence = v.evidence FROM event_evidence v WHERE v.event_id = event.id
    """)
    op.execute("ALTER TABLE event ENABLE TRIGGER append_only")
    op.execute("ALTER TABLE event ALTER COLUMN evidence DROP DEFAULT")
    op.drop_column("event", "evidence_hash")
    op.drop_table("event_evidence")


def _move_acknowledgements():
    """A tool's answer next to its delivery; our own remarks stay."""
    op.create_table(
        "delivery_ack",
        sa.Column("delivery_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("ack", sa.Text(), nullable=False),
    )
    op.execute(f"""
        INSERT INTO delivery_ack SELECT id, ack FROM delivery
        WHERE ack <> '' AND NOT ({IS_NOTE}) ORDER BY id
    """)
    op.execute(f"""
        ALTER TABLE delivery
            ALTER COLUMN ack TYPE text USING CASE WHEN {IS_NOTE} THEN ack ELSE '' END
    """)
    op.execute("ALTER TABLE delivery RENAME COLUMN ack TO note")
    _reject_updates("delivery_ack")


def _restore_acknowledgements():
    op.execute("ALTER TABLE delivery DISABLE TRIGGER append_only")
    op.execute("ALTER TABLE delivery RENAME COLUMN note TO ack")
    op.execute("""
        UPDATE delivery SET ack = a.ack FROM delivery_ack a WHERE a.delivery_id = delivery.id
    """)
    op.execute("ALTER TABLE delivery ENABLE TRIGGER append_only")
    op.drop_table("delivery_ack")


def _reject_updates(table):
    """Rows may be erased; nothing may be put in their place."""
    op.execute(f"""
        CREATE TRIGGER insert_or_delete_only BEFORE UPDATE OR TRUNCATE ON {table}
        FOR EACH STATEMENT EXECUTE FUNCTION reject_mutation()
    """)


IS_NOTE = """outcome = 'superseded'
    OR ack IN ('already opted out in the tool', 'not in its contact list')"""

TABLES = (
    "rights_request",
    "rights_webhook",
    "rights_step",
    "rights_proof",
    "rights_file",
    "erasure",
    "erasure_task",
    "address_move",
    "hold",
    "retention_run",
    "monthly_count",
    "erasure_journal",
    "key_rotation",
)
