"""List every table with its columns: the inventory that access, erasure and retention use.

TABLES names each table and each of its columns, also of those without personal data, which are in
COMPANY_TABLES: these are the company's own, and their `actor` and `name` are of staff and of
systems. What is outside of the database is in `rights.erasure.tables`. Tests compare both with the
tables of the database, with the code that writes files, and with the jobs, so that a new store is
missing there only until they run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

COMPANY_TABLES: Mapping[str, str] = {
    "api_key": "id name digest scopes message_types rate created_at revoked_at last_used_at",
    "key_usage": "name day requests decisions denied refused limited rows_read",
    "audit": "id at actor action detail",
    "backfill": "destination_id last_address_id until_id rows_created started_at finished_at",
    # A random id of a browser, known to that browser alone: nothing leads from it to a person.
    "browser_consent": (
        "seq id site choices method version policy_version language decided_at expires_at previous"
    ),
    "alert": "kind subject began_at seen_at",
    "alert_notice": "id channel kind subject has_ended at next_at attempts",
    "burst_scan": "id scanned_until",
    "feed_cursor": "name watermark updated_at",
    "daily_count": "day kind scope source count",
    "daily_count_progress": "id seq counted_until first_day rebuilt_since rebuilt_seq delivery_id"
    " delivered_until",
    "daily_delivery_count": "day destination_id outcome count",
    "reflection_count": "day destination bucket count longest",
    "catalogue_version": "id text digest applied_at applied_by",
    "consumed_one_time_token": "id consumed_at expires_at",
    "policy_announcement": "version begun_at last_address_id selected_at",
    "policy_webhook": "id version first_seq last_seq created_at next_at attempts outcome",
    "destination": (
        "id name kind settings channels sends mapping sends_service can_lift status reason"
        " failures retry_at trouble trouble_since created_at pulled_at slow_until"
        " refused_accepted_at absent_accepted_at"
    ),
    "epoch": "id name floor started_at server_started_at xid file",
    "history_loss": "id found_at accepted_at accepted_by",
    "erasure_journal": "id last_entry replayed_at last_file head",
    "ignored_question": "destination_id question reason ignored_at",
    "key_fingerprint": "key fingerprint",
    "key_rotation": "column key_id last rows_done started_at finished_at",
    "link_key": "id name ring_key topics created_at revoked_at",
    "listing": (
        "destination_id kind cursor next_at lease started_at finished_at row_count failures reason"
    ),
    "md5_matching": "id started_at last_address_id finished_at",
    "monthly_count": "month what scope source outcome count",
    "permanent_links": "destination_id since",
    "push": "lease destination_id started_at expires_at",
    "retention_run": "kind position removed started_at finished_at",
    "staff_account": (
        "id name roles password_hash totp_secret totp_step failures locked_until"
        " enrolment_digest enrolment_expires_at created_at disabled_at"
    ),
    "staff_recovery_code": "digest account_id",
    "staff_session": (
        "id digest name roles account_id issuer subject tokens checked_at started_at"
        " last_seen_at expires_at ended_at"
    ),
    # A row opens with the code in the message alone: nobody's, to anyone without it.
    "short_link": "lookup content created_at",
    "unknown_event_type": "destination_id type count last_at",
    "unsubscribe_survey_count": "month scope reason count",
    "destination_sample": "destination_id at pending oldest_received_at pushed failed",
    "verification": (
        "destination_id contacts reported recorded unmapped unreadable newly_suppressed"
        " checked drift drift_repeated_at links_written"
    ),
}


class Holds(StrEnum):
    """In what form a column, file or key holds personal data."""

    SEALED = "sealed"
    """Encrypted with the encryption keys: an address, a mail, a webhook's body."""
    DIGEST = "digest"
    """A keyed digest of an address, external id or domain: finds a person, does not name them."""
    REFERENCE = "reference"
    """The id of a row that belongs to one person."""
    FACT = "fact"
    """A statement about the person: a choice, a time, a language, a source."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns with personal data, and its others.

    `by` says how a person's rows are found; empty where the table holds none.
    """

    personal: Mapping[str, Holds] = field(default_factory=dict)
    other: frozenset[str] = frozenset()
    by: str = ""


def _table(by: str, **columns: str) -> Table:
    """The table whose `columns` are listed by how they hold personal data, or as `other`."""
    other = columns.pop("other", "").split()
    personal = {name: Holds(kind) for kind, names in columns.items() for name in names.split()}
    return Table(personal, frozenset(other), by)


TABLES: Mapping[str, Table] = {
    # One row per address, and everything that hangs on it.
    "address": _table(
        "digest",
        reference="id",
        digest="digest domain_digest",
        sealed="ciphertext",
        fact="created_at erased_at last_erased_at",
        other="channel norm_version widened_xid",
    ),
    "address_key": _table(
        "address_id", reference="address_id", digest="digest", other="channel kind"
    ),
    "event": _table(
        "address_id",
        reference="address_id",
        digest="evidence_hash",
        fact=(
            "kind scope occurred_at received_at recorded_at counts_at until frequency "
            "source actor own"
        ),
        other="id seq retracts xid frequency_rank",
    ),
    "event_evidence": _table("event_id", reference="event_id", sealed="sealed", fact="evidence"),
    "event_repeat": _table("event_id", reference="event_id", fact="last_at"),
    "retraction": _table("event_id", reference="event_id", other="retraction_event_id"),
    "suppression": _table(
        "address_id",
        reference="address_id out_event lift_event pause_event frequency_event",
        fact="scope out_at reason own lift_at pause_at pause_until frequency_at frequency active",
        other="frequency_rank",
    ),
    "consent": _table("address_id", reference="address_id event", fact="topic at"),
    "policy_notice": _table(
        "address_id",
        reference="address_id contact_id",
        fact="reach selected_at noticed_at via",
        other="seq version",
    ),
    "contact": _table(
        "contact_address.contact_id",
        reference="id merged_into",
        fact="account locale restricted_at created_at changed_at",
        other="version",
    ),
    "contact_address": _table("address_id", reference="address_id contact_id", fact="linked_at"),
    "contact_external_id": _table(
        "contact_id", reference="contact_id", digest="digest", sealed="ciphertext", fact="linked_at"
    ),
    # What connected tools hold of a person, and were sent.
    "sync_state": _table(
        "address_id",
        reference="address_id",
        fact="turned_off outcome lift_until",
        other=(
            "destination_id wanted_version reflected_version due_at next_at attempts "
            "lease bulk verify_at checks"
        ),
    ),
    "delivery": _table(
        "address_id",
        reference="address_id",
        fact="outcome at",
        other="id destination_id version note",
    ),
    "delivery_ack": _table("delivery_id", reference="delivery_id", fact="ack"),
    "deferred_form": _table(
        "digest",
        digest="digest",
        fact="scope received_at",
        other="id channel kind version last_address_id started",
    ),
    # Mail and webhooks, sealed as they were received or are to be sent.
    "outgoing_mail": _table(
        "recipient_digest",
        digest="recipient_digest",
        sealed="ciphertext",
        fact="language",
        other="id kind brand created_at expires_at next_at attempts lease outcome",
    ),
    "email_stop": _table("digest", digest="digest", fact="ends_at"),
    "review_queue": _table(
        "opening each: rows live for weeks",
        digest="content_digest",
        sealed="head",
        fact="received_at",
        other="id mailbox reason size resolved_at outcome",
    ),
    "pending_mail_opt_out": _table(
        "digest_prefix",
        digest="digest_prefix",
        fact="scope issued_on received_at last_received_at",
        other="id scope_hash key_id dismissed_at dismissal_reason",
    ),
    "webhook_inbox": _table(
        "opening each: rows live for days",
        digest="body_digest",
        sealed="body",
        fact="received_at",
        other="id destination_id next_at attempts outcome",
    ),
    "undecided_event": _table(
        "webhook_id",
        reference="webhook_id",
        other="question destination_id received_at decided_at decision",
    ),
    "used_webhook_token": _table(
        "webhook_id", reference="webhook_id", other="destination_id token_digest used_at"
    ),
    "counted_bounce": _table("digest", digest="digest", fact="code at", other="id"),
    "burst": _table(
        "burst_event.burst_id",
        digest="domain_digest message_ids",
        other=(
            "id detected_at first_at last_at issued_first issued_last events addresses "
            "known_addresses"
        ),
    ),
    "burst_event": _table("event_id", reference="event_id", other="burst_id"),
    # Lists as they were uploaded, until they are applied.
    "list_import": _table(
        "",
        other=(
            "id state plan actor name instructions created_at started_at finished_at "
            "file_stored digest size_bytes position bytes_done line_number "
            "planned_stats stats rejected_rows problem depends_on last_undone_event "
            "undone_count lease lease_until"
        ),
    ),
    "list_import_part": _table(
        "opening each", sealed="content", other="import_id number size_bytes"
    ),
    "idempotent_response": _table(
        "opening each: rows live for a day", sealed="ciphertext", other="digest stored_at"
    ),
    # Data-subject requests and erasures.
    "rights_request": _table(
        "subject_digests",
        reference="contact_id address_ids",
        digest="subject_digests",
        sealed="sealed",
        fact="kind extent law via language received_at state outcome refusal",
        other=(
            "id brand recorded_at confirm_by confirmed_at due_at stopped_at "
            "extended_to extension_reason level required_level failures closed_at "
            "forget_at next_at version"
        ),
    ),
    "rights_webhook": _table(
        "rights_request.id",
        reference="request_id",
        fact="kind created_at",
        other="id next_at attempts outcome",
    ),
    "rights_step": _table(
        "rights_request.id", reference="request_id", fact="at action detail", other="id actor"
    ),
    "rights_proof": _table(
        "rights_request.id",
        reference="request_id",
        sealed="content",
        fact="received_at",
        other="id kind declared_type sniffed_type size_bytes sha256 forget_at",
    ),
    "rights_file": _table(
        "rights_request.id",
        reference="request_id",
        sealed="content",
        other="number created_at expires_at",
    ),
    "erasure": _table(
        "address_id",
        reference="address_id contact_id",
        sealed="ciphertext",
        fact="extent begun_at",
        other="id request_id give_up_at finished_at entry journaled_at",
    ),
    "erasure_task": _table(
        "erasure.id",
        reference="erasure_id ack job",
        fact="outcome",
        other=(
            "destination_id destination suppressed_at erased_at confirmed_at reason "
            "by_hand_since done_by next_at lease attempts"
        ),
    ),
    "address_move": _table(
        "from_address_id",
        reference="from_address_id to_address_id contact_id event_ids",
        fact="moved_at",
        other="id request_id undo_until undone_at",
    ),
    "hold": _table(
        "address_id",
        reference="address_id",
        fact="reference ground",
        other="id placed_at placed_by ends_at ended_at ended_by",
    ),
    "person_access": _table(
        "digest",
        reference="id",
        digest="digest",
        sealed="ciphertext",
        fact="at reason reference",
        other="audit_id channel actor action",
    ),
} | {name: _table("", other=columns) for name, columns in COMPANY_TABLES.items()}
