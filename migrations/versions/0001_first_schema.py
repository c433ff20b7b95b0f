"""The first schema: every table, index, function and trigger of 0.1.0.

Revision ID: 0001
Revises:
Create Date: 2026-11-27

It makes what `preference_center.storage.tables` describes (`tests/infra/db/test_migrated_schema.py`),
plus the functions and triggers, which models cannot describe.
"""

import secrets
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.types import UserDefinedType

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TimestampTz = sa.DateTime(timezone=True)
APPEND_ONLY_TABLES = ("event", "retraction", "delivery")


class Xid8(UserDefinedType):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_):
        return "xid8"


def upgrade():
    _create_ledger()
    _create_contacts()
    _create_sync()
    _create_webhooks()
    _create_mail()
    _create_imports()
    _create_access()
    _create_reports()
    _create_functions()
    _begin_first_epoch()


def downgrade():
    for table in TABLES:
        op.drop_table(table)
    op.execute("DROP FUNCTION md5_matching_enabled")
    op.execute("DROP FUNCTION reject_mutation")


def _create_ledger():
    """The ledger: addresses, events and the state that is derived from them."""
    # address: one form of an address; the ciphertext is null where only a digest is known
    op.create_table(
        "address",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("norm_version", sa.SmallInteger(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary()),
        sa.Column("created_at", TimestampTz, nullable=False),
        sa.Column("erased_at", TimestampTz),
        sa.Column("domain_digest", sa.LargeBinary()),
    )
    op.create_index("address_digest", "address", ["digest", "channel"], unique=True)
    op.create_index(
        "address_domain",
        "address",
        ["domain_digest"],
        postgresql_where=sa.text("domain_digest IS NOT NULL"),
    )
    # address_key: every digest under which an address is found (I9)
    op.create_table(
        "address_key",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("channel", sa.Text(), primary_key=True),
        sa.Column("address_id", sa.BigInteger(), primary_key=True),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
    )
    op.create_index("address_key_address", "address_key", ["address_id"])
    # md5_matching: one row, from the first MD5 import on
    op.create_table(
        "md5_matching",
        sa.Column("id", sa.SmallInteger(), primary_key=True, server_default=sa.text("1")),
        sa.Column("started_at", TimestampTz, nullable=False),
        sa.Column("last_address_id", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("finished_at", TimestampTz),
        sa.CheckConstraint("id = 1", name="md5_matching_single_row"),
    )
    # event: the ledger itself
    op.create_table(
        "event",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False, unique=True),
        sa.Column("address_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("occurred_at", TimestampTz, nullable=False),
        sa.Column("received_at", TimestampTz, nullable=False),
        sa.Column("recorded_at", TimestampTz, nullable=False),
        sa.Column("counts_at", TimestampTz, nullable=False),
        sa.Column("until", TimestampTz),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.Column("evidence", pg.JSONB(), nullable=False),
        sa.Column("retracts", pg.ARRAY(sa.Uuid())),
        sa.Column("xid", Xid8(), nullable=False, server_default=sa.text("pg_current_xact_id()")),
    )
    op.create_index("event_xid_seq", "event", ["xid", "seq"])
    op.create_index("ix_event_address_id", "event", ["address_id"])
    # retraction: retracted events
    op.create_table(
        "retraction",
        sa.Column("event_id", sa.Uuid(), primary_key=True),
        sa.Column("retraction_event_id", sa.Uuid(), nullable=False),
    )
    # event_repeat: when an own opt-out was last repeated, within seconds
    op.create_table(
        "event_repeat",
        sa.Column("event_id", sa.Uuid(), primary_key=True),
        sa.Column("last_at", TimestampTz, nullable=False),
    )
    # suppression: the maxima per address and scope (I5)
    op.create_table(
        "suppression",
        sa.Column("address_id", sa.BigInteger(), primary_key=True),
        sa.Column("scope", sa.Text(), primary_key=True),
        sa.Column("out_at", TimestampTz),
        sa.Column("out_event", sa.Uuid()),
        sa.Column("reason", sa.Text()),
        sa.Column("own", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("lift_at", TimestampTz),
        sa.Column("lift_event", sa.Uuid()),
        sa.Column("pause_at", TimestampTz),
        sa.Column("pause_event", sa.Uuid()),
        sa.Column("pause_until", TimestampTz),
        sa.Column(
            "active",
            sa.Boolean(),
            sa.Computed(
                "out_at IS NOT NULL AND (lift_at IS NULL OR out_at >= lift_at)", persisted=True
            ),
        ),
    )
    op.create_index(
        "suppression_reason",
        "suppression",
        [sa.text("(CASE WHEN active THEN reason ELSE 'paused' END)"), "address_id", "scope"],
        postgresql_where=sa.text("active OR pause_until IS NOT NULL"),
    )
    op.create_index(
        "suppression_scope",
        "suppression",
        ["scope", "address_id"],
        postgresql_where=sa.text("active OR pause_until IS NOT NULL"),
    )
    # consent: the newest consent per address and topic
    op.create_table(
        "consent",
        sa.Column("address_id", sa.BigInteger(), primary_key=True),
        sa.Column("topic", sa.Text(), primary_key=True),
        sa.Column("at", TimestampTz, nullable=False),
        sa.Column("event", sa.Uuid(), nullable=False),
    )
    # epoch: timelines of the database, to which the feed's watermarks belong
    op.create_table(
        "epoch",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False, unique=True),
        sa.Column("system", sa.BigInteger(), nullable=False),
        sa.Column("timeline", sa.Text(), nullable=False),
        sa.Column("floor", sa.BigInteger(), nullable=False),
        sa.Column("started_at", TimestampTz, nullable=False),
    )


def _create_contacts():
    """Contacts: the people behind addresses."""
    # contact: a person; a merged one is kept
    op.create_table(
        "contact",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TimestampTz, nullable=False),
        sa.Column("changed_at", TimestampTz, nullable=False),
        sa.Column("merged_into", sa.Uuid()),
    )
    op.create_index(
        "contact_merged_into",
        "contact",
        ["merged_into"],
        postgresql_where=sa.text("merged_into IS NOT NULL"),
    )
    # contact_address: the contact that an address belongs to
    op.create_table(
        "contact_address",
        sa.Column("address_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("linked_at", TimestampTz, nullable=False),
    )
    op.create_index("ix_contact_address_contact_id", "contact_address", ["contact_id"])
    # contact_external_id: senders' ids of a contact
    op.create_table(
        "contact_external_id",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary()),
        sa.Column("linked_at", TimestampTz, nullable=False),
    )
    op.create_index("ix_contact_external_id_contact_id", "contact_external_id", ["contact_id"])


def _create_sync():
    """Destinations, and the state of each address there."""
    # destination: a configured account of a connected tool, and the state of its circuit
    op.create_table(
        "destination",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False, unique=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("settings", sa.LargeBinary(), nullable=False),
        sa.Column("channels", pg.ARRAY(sa.Text()), nullable=False),
        sa.Column("sends", pg.ARRAY(sa.Text()), nullable=False),
        sa.Column("mapping", pg.JSONB(), nullable=False),
        sa.Column("sends_service", sa.Boolean(), nullable=False),
        sa.Column("can_lift", sa.Boolean(), nullable=False, server_default="true"),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("retry_at", TimestampTz),
        sa.Column("created_at", TimestampTz, nullable=False),
        sa.Column("pulled_at", TimestampTz),
        sa.Column("slow_until", TimestampTz),
        postgresql_with={
            "autovacuum_vacuum_scale_factor": "0",
            "autovacuum_vacuum_threshold": "500",
        },
    )
    # push: pushes under way
    op.create_table(
        "push",
        sa.Column("lease", sa.Uuid(), primary_key=True),
        sa.Column("destination_id", sa.Integer(), nullable=False),
        sa.Column("started_at", TimestampTz, nullable=False),
        sa.Column("expires_at", TimestampTz, nullable=False),
        postgresql_with={
            "autovacuum_vacuum_scale_factor": "0",
            "autovacuum_vacuum_threshold": "500",
        },
    )
    op.create_index("push_destination", "push", ["destination_id"])
    # sync_state: per destination and address: the wanted and the reflected version; also the queue
    op.create_table(
        "sync_state",
        sa.Column("destination_id", sa.Integer(), primary_key=True),
        sa.Column("address_id", sa.BigInteger(), primary_key=True),
        sa.Column("wanted_version", sa.BigInteger(), nullable=False),
        sa.Column("reflected_version", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("due_at", TimestampTz),
        sa.Column("next_at", TimestampTz),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("lease", sa.Uuid()),
        sa.Column("lift_until", TimestampTz),
        sa.Column("turned_off", pg.ARRAY(sa.Text()), nullable=False, server_default="{}"),
        sa.Column("outcome", sa.Text()),
        sa.Column("bulk", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("verify_at", TimestampTz),
        sa.Column("checks", sa.SmallInteger(), nullable=False, server_default="0"),
        postgresql_with={
            "fillfactor": "80",
            "autovacuum_vacuum_scale_factor": "0.01",
            "autovacuum_vacuum_threshold": "5000",
            "autovacuum_analyze_scale_factor": "0.05",
        },
    )
    op.create_index(
        "sync_state_due",
        "sync_state",
        ["destination_id", "due_at"],
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        "sync_state_queue",
        "sync_state",
        ["destination_id", "bulk", "next_at"],
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    op.create_index(
        "sync_state_verify",
        "sync_state",
        ["destination_id", "verify_at"],
        postgresql_where=sa.text("verify_at IS NOT NULL"),
    )
    # backfill: progress of a destination's first sync states
    op.create_table(
        "backfill",
        sa.Column("destination_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("last_address_id", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("until_id", sa.BigInteger()),
        sa.Column("rows_created", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("started_at", TimestampTz, nullable=False),
        sa.Column("finished_at", TimestampTz),
    )
    # deferred_form: forms of a mailbox whose sync states an event has still to update
    op.create_table(
        "deferred_form",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("received_at", TimestampTz),
        sa.Column("last_address_id", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )
    op.create_index(
        "deferred_form_not_started",
        "deferred_form",
        ["digest", "channel", "kind", "scope"],
        unique=True,
        postgresql_where=sa.text("NOT started"),
    )
    # delivery: what was pushed, append-only
    op.create_table(
        "delivery",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("destination_id", sa.Integer(), nullable=False),
        sa.Column("address_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("ack", sa.Text(), nullable=False),
        sa.Column("at", TimestampTz, nullable=False),
    )
    op.create_index("ix_delivery_address_id", "delivery", ["address_id"])
    # listing: progress of reading a tool's listings
    op.create_table(
        "listing",
        sa.Column("destination_id", sa.Integer(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("cursor", sa.Text()),
        sa.Column("next_at", TimestampTz),
        sa.Column("lease", sa.Uuid()),
        sa.Column("started_at", TimestampTz),
        sa.Column("finished_at", TimestampTz),
        sa.Column("row_count", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
    )
    # verification: counts of what was read from a tool
    op.create_table(
        "verification",
        sa.Column("destination_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("contacts", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("reported", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("recorded", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("unmapped", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("unreadable", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("newly_suppressed", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("checked", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("drift", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("links_written", sa.BigInteger(), nullable=False, server_default="0"),
    )


def _create_webhooks():
    """Webhooks of connected tools."""
    # webhook_inbox: verified POSTs, sealed; also the queue
    op.create_table(
        "webhook_inbox",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("destination_id", sa.Integer(), nullable=False),
        sa.Column("body_digest", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", TimestampTz, nullable=False),
        sa.Column("next_at", TimestampTz),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("outcome", sa.Text(), nullable=False, server_default=""),
    )
    op.create_index(
        "webhook_inbox_body_digest", "webhook_inbox", ["destination_id", "body_digest"], unique=True
    )
    op.create_index(
        "webhook_inbox_pending",
        "webhook_inbox",
        ["received_at"],
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    op.create_index(
        "webhook_inbox_queue",
        "webhook_inbox",
        ["destination_id", "next_at", "id"],
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    op.create_index("webhook_inbox_received_at", "webhook_inbox", ["received_at"])
    # used_webhook_token: signed tokens that are valid for one POST
    op.create_table(
        "used_webhook_token",
        sa.Column("destination_id", sa.Integer(), primary_key=True),
        sa.Column("token_digest", sa.LargeBinary(), primary_key=True),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("used_at", TimestampTz, nullable=False),
    )
    op.create_index("used_webhook_token_used_at", "used_webhook_token", ["used_at"])
    # undecided_event: questions that vendor events leave open
    op.create_table(
        "undecided_event",
        sa.Column("webhook_id", sa.Uuid(), primary_key=True),
        sa.Column("question", sa.Text(), primary_key=True),
        sa.Column("destination_id", sa.Integer(), nullable=False),
        sa.Column("received_at", TimestampTz, nullable=False),
        sa.Column("decided_at", TimestampTz),
        sa.Column("decision", sa.Text(), nullable=False, server_default=""),
    )
    op.create_index(
        "undecided_event_decided",
        "undecided_event",
        ["decided_at"],
        postgresql_where=sa.text("decided_at IS NOT NULL"),
    )
    op.create_index(
        "undecided_event_open",
        "undecided_event",
        ["received_at"],
        postgresql_where=sa.text("decided_at IS NULL"),
    )
    # ignored_question: questions not to be asked again
    op.create_table(
        "ignored_question",
        sa.Column("destination_id", sa.Integer(), primary_key=True),
        sa.Column("question", sa.Text(), primary_key=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ignored_at", TimestampTz, nullable=False),
    )
    # unknown_event_type: event types that no integration knows
    op.create_table(
        "unknown_event_type",
        sa.Column("destination_id", sa.Integer(), primary_key=True),
        sa.Column("type", sa.Text(), primary_key=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("last_at", TimestampTz, nullable=False),
    )


def _create_mail():
    """Email sent and received."""
    # outgoing_mail: the outbox
    op.create_table(
        "outgoing_mail",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary()),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("brand", sa.Text()),
        sa.Column("created_at", TimestampTz, nullable=False),
        sa.Column("expires_at", TimestampTz, nullable=False),
        sa.Column("next_at", TimestampTz),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("lease", sa.Uuid()),
        sa.Column("outcome", sa.Text()),
    )
    op.create_index(
        "outgoing_mail_done",
        "outgoing_mail",
        ["created_at"],
        postgresql_where=sa.text("next_at IS NULL"),
    )
    op.create_index(
        "outgoing_mail_queue",
        "outgoing_mail",
        ["next_at"],
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    # pending_mail_opt_out: opt-outs by mail whose address is not known yet
    op.create_table(
        "pending_mail_opt_out",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("digest_prefix", sa.LargeBinary(), nullable=False),
        sa.Column("scope_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scope", sa.Text()),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("issued_on", sa.Date()),
        sa.Column("received_at", TimestampTz, nullable=False),
        sa.Column("last_received_at", TimestampTz, nullable=False),
        sa.Column("dismissed_at", TimestampTz),
        sa.Column("dismissal_reason", sa.Text(), nullable=False, server_default=""),
    )
    op.create_index(
        "pending_mail_opt_out_digests",
        "pending_mail_opt_out",
        ["digest_prefix", "scope_hash"],
        unique=True,
    )
    op.create_index(
        "pending_mail_opt_out_open",
        "pending_mail_opt_out",
        ["received_at"],
        postgresql_where=sa.text("dismissed_at IS NULL"),
    )
    # review_queue: mails whose meaning or sender is uncertain
    op.create_table(
        "review_queue",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("content_digest", sa.LargeBinary(), nullable=False),
        sa.Column("mailbox", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary()),
        sa.Column("received_at", TimestampTz, nullable=False),
        sa.Column("resolved_at", TimestampTz),
        sa.Column("outcome", sa.Text(), nullable=False, server_default=""),
    )
    op.create_index("review_queue_content_digest", "review_queue", ["content_digest"], unique=True)
    op.create_index(
        "review_queue_open",
        "review_queue",
        ["received_at"],
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_index("review_queue_resolved_at", "review_queue", ["resolved_at"])
    op.create_index(
        "review_queue_with_content",
        "review_queue",
        ["received_at"],
        postgresql_where=sa.text("head IS NOT NULL"),
    )
    # counted_bounce: bounces that do not suppress by themselves
    op.create_table(
        "counted_bounce",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("at", TimestampTz, nullable=False),
    )
    op.create_index("counted_bounce_at", "counted_bounce", ["at"])
    op.create_index("counted_bounce_digest", "counted_bounce", ["digest"])


def _create_imports():
    """Imports of lists."""
    # list_import: imports and their progress
    op.create_table(
        "list_import",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False, server_default=""),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, server_default=""),
        sa.Column("instructions", pg.JSONB(), nullable=False),
        sa.Column("created_at", TimestampTz, nullable=False),
        sa.Column("started_at", TimestampTz),
        sa.Column("finished_at", TimestampTz),
        sa.Column("file_stored", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("digest", sa.LargeBinary()),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("bytes_done", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("line_number", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("planned_stats", pg.JSONB(), nullable=False, server_default="{}"),
        sa.Column("stats", pg.JSONB(), nullable=False, server_default="{}"),
        sa.Column("rejected_rows", pg.JSONB(), nullable=False, server_default="[]"),
        sa.Column("problem", sa.Text(), nullable=False, server_default=""),
        sa.Column("depends_on", pg.ARRAY(sa.Uuid()), nullable=False, server_default="{}"),
        sa.Column("last_undone_event", sa.Uuid()),
        sa.Column("undone_count", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("lease", sa.Uuid()),
        sa.Column("lease_until", TimestampTz),
    )
    op.create_index("list_import_plan", "list_import", ["plan"])
    op.create_index("list_import_state", "list_import", ["state"])
    # list_import_part: uploaded files in parts, sealed
    op.create_table(
        "list_import_part",
        sa.Column("import_id", sa.Uuid(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )


def _create_access():
    """The catalogue, keys, one-time tokens and the audit."""
    # catalogue_version: every catalogue that was applied
    op.create_table(
        "catalogue_version",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), primary_key=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("applied_at", TimestampTz, nullable=False),
    )
    # api_key: senders' keys, hashed
    op.create_table(
        "api_key",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False, unique=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("scopes", pg.ARRAY(sa.Text()), nullable=False),
        sa.Column("message_types", pg.ARRAY(sa.Text()), nullable=False),
        sa.Column("rate", sa.Text()),
        sa.Column("created_at", TimestampTz, nullable=False),
        sa.Column("revoked_at", TimestampTz),
    )
    # link_key: senders' link keys, without their secret
    op.create_table(
        "link_key",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False, unique=True),
        sa.Column("ring_key", sa.Text(), nullable=False),
        sa.Column("topics", pg.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", TimestampTz, nullable=False),
        sa.Column("revoked_at", TimestampTz),
    )
    # permanent_links: from when on the permanent links of a destination count
    op.create_table(
        "permanent_links",
        sa.Column("destination_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("since", TimestampTz, nullable=False),
    )
    # consumed_one_time_token: one-time tokens that were used
    op.create_table(
        "consumed_one_time_token",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("consumed_at", TimestampTz, nullable=False),
        sa.Column("expires_at", TimestampTz, nullable=False),
    )
    op.create_index(
        "ix_consumed_one_time_token_expires_at", "consumed_one_time_token", ["expires_at"]
    )
    # idempotent_response: sealed responses to writes with an Idempotency-Key
    op.create_table(
        "idempotent_response",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("stored_at", TimestampTz, nullable=False),
    )
    op.create_index("ix_idempotent_response_stored_at", "idempotent_response", ["stored_at"])
    # audit: who did or tried what, outside the ledger
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("at", TimestampTz, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("detail", pg.JSONB(), nullable=False),
    )
    # key_fingerprint: fingerprints of the keys that stored data depends on
    op.create_table(
        "key_fingerprint",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
    )


def _create_reports():
    """Bursts of opt-outs and the unsubscribe survey."""
    # burst: bursts of opt-outs
    op.create_table(
        "burst",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("domain_digest", sa.LargeBinary(), nullable=False),
        sa.Column("detected_at", TimestampTz, nullable=False),
        sa.Column("first_at", TimestampTz, nullable=False),
        sa.Column("last_at", TimestampTz, nullable=False),
        sa.Column("issued_first", TimestampTz, nullable=False),
        sa.Column("issued_last", TimestampTz, nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("addresses", sa.Integer(), nullable=False),
        sa.Column("known_addresses", sa.Integer(), nullable=False),
        sa.Column("message_ids", pg.ARRAY(sa.Text()), nullable=False),
    )
    op.create_index("burst_detected_at", "burst", ["detected_at"])
    # burst_event: which burst an event is part of
    op.create_table(
        "burst_event",
        sa.Column("event_id", sa.Uuid(), primary_key=True),
        sa.Column("burst_id", sa.Uuid(), nullable=False),
    )
    op.create_index("burst_event_burst", "burst_event", ["burst_id"])
    # burst_scan: one row: up to when events were scanned
    op.create_table(
        "burst_scan",
        sa.Column("id", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("scanned_until", TimestampTz, nullable=False),
    )
    # unsubscribe_survey_count: counts per month, scope and reason
    op.create_table(
        "unsubscribe_survey_count",
        sa.Column("month", sa.Date(), primary_key=True),
        sa.Column("scope", sa.Text(), primary_key=True),
        sa.Column("reason", sa.Text(), primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False),
    )


def _create_functions():
    """The append-only tables' triggers (I8), and a function of the write path."""
    op.execute("""
        CREATE FUNCTION reject_mutation() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only: % rejected', TG_TABLE_NAME, TG_OP;
        END $$
    """)
    for table in APPEND_ONLY_TABLES:
        op.execute(f"""
            CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION reject_mutation()
        """)
    # Volatile, so that a statement that waited for a lock sees what was committed meanwhile.
    op.execute("""
        CREATE FUNCTION md5_matching_enabled() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
        BEGIN
            RETURN EXISTS (SELECT FROM md5_matching WHERE id = 1);
        END $$
    """)


def _begin_first_epoch():
    """Begin the feed's first epoch. 0005 states by what it ends."""
    op.get_bind().execute(
        sa.text("""
            INSERT INTO epoch (name, system, timeline, floor, started_at)
            VALUES (:name, 0, '', 0, :now)
        """),
        {"name": secrets.token_hex(4), "now": datetime.now(UTC)},
    )


TABLES = (
    "address",
    "address_key",
    "md5_matching",
    "event",
    "retraction",
    "event_repeat",
    "suppression",
    "consent",
    "epoch",
    "contact",
    "contact_address",
    "contact_external_id",
    "destination",
    "push",
    "sync_state",
    "backfill",
    "deferred_form",
    "delivery",
    "listing",
    "verification",
    "webhook_inbox",
    "used_webhook_token",
    "undecided_event",
    "ignored_question",
    "unknown_event_type",
    "outgoing_mail",
    "pending_mail_opt_out",
    "review_queue",
    "counted_bounce",
    "list_import",
    "list_import_part",
    "catalogue_version",
    "api_key",
    "link_key",
    "permanent_links",
    "consumed_one_time_token",
    "idempotent_response",
    "audit",
    "key_fingerprint",
    "burst",
    "burst_event",
    "burst_scan",
    "unsubscribe_survey_count",
)
