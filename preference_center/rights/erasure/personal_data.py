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
    "key_usage": "name day requests decisions denied refused limited",
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
    ),
    "epoch": "id name floor started_at server_started_at xid file",
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


def _other(columns: str) -> frozenset[str]:
    return frozenset(columns.split())


_SEALED, _DIGEST, _REFERENCE, _FACT = Holds


TABLES: Mapping[str, Table] = {
    # One row per address, and everything that hangs on it.
    "address": Table(
        {
            "id": _REFERENCE,
            "digest": _DIGEST,
            "domain_digest": _DIGEST,
            "ciphertext": _SEALED,
            "created_at": _FACT,
            "erased_at": _FACT,
            "last_erased_at": _FACT,
        },
        _other("channel norm_version widened_xid"),
        "digest",
    ),
    "address_key": Table(
        {"digest": _DIGEST, "address_id": _REFERENCE}, _other("channel kind"), "address_id"
    ),
    "event": Table(
        {
            "address_id": _REFERENCE,
            "kind": _FACT,
            "scope": _FACT,
            "occurred_at": _FACT,
            "received_at": _FACT,
            "recorded_at": _FACT,
            "counts_at": _FACT,
            "until": _FACT,
            "frequency": _FACT,
            "source": _FACT,
            "actor": _FACT,
            "own": _FACT,
            "evidence_hash": _DIGEST,
        },
        _other("id seq retracts xid frequency_rank"),
        "address_id",
    ),
    "event_evidence": Table(
        {"event_id": _REFERENCE, "evidence": _FACT, "sealed": _SEALED}, by="event_id"
    ),
    "event_repeat": Table({"event_id": _REFERENCE, "last_at": _FACT}, by="event_id"),
    "retraction": Table({"event_id": _REFERENCE}, _other("retraction_event_id"), by="event_id"),
    "suppression": Table(
        {
            "address_id": _REFERENCE,
            "scope": _FACT,
            "out_at": _FACT,
            "out_event": _REFERENCE,
            "reason": _FACT,
            "own": _FACT,
            "lift_at": _FACT,
            "lift_event": _REFERENCE,
            "pause_at": _FACT,
            "pause_event": _REFERENCE,
            "pause_until": _FACT,
            "frequency_at": _FACT,
            "frequency_event": _REFERENCE,
            "frequency": _FACT,
            "active": _FACT,
        },
        _other("frequency_rank"),
        "address_id",
    ),
    "consent": Table(
        {"address_id": _REFERENCE, "topic": _FACT, "at": _FACT, "event": _REFERENCE},
        by="address_id",
    ),
    "policy_notice": Table(
        {
            "address_id": _REFERENCE,
            "contact_id": _REFERENCE,
            "reach": _FACT,
            "selected_at": _FACT,
            "noticed_at": _FACT,
            "via": _FACT,
        },
        _other("seq version"),
        "address_id",
    ),
    "contact": Table(
        {
            "id": _REFERENCE,
            "account": _FACT,
            "locale": _FACT,
            "restricted_at": _FACT,
            "created_at": _FACT,
            "changed_at": _FACT,
            "merged_into": _REFERENCE,
        },
        _other("version"),
        "contact_address.contact_id",
    ),
    "contact_address": Table(
        {"address_id": _REFERENCE, "contact_id": _REFERENCE, "linked_at": _FACT}, by="address_id"
    ),
    "contact_external_id": Table(
        {
            "digest": _DIGEST,
            "contact_id": _REFERENCE,
            "ciphertext": _SEALED,
            "linked_at": _FACT,
        },
        by="contact_id",
    ),
    # What connected tools hold of a person, and were sent.
    "sync_state": Table(
        {"address_id": _REFERENCE, "turned_off": _FACT, "outcome": _FACT, "lift_until": _FACT},
        _other(
            "destination_id wanted_version reflected_version due_at next_at attempts lease bulk"
            " verify_at checks"
        ),
        "address_id",
    ),
    "delivery": Table(
        {"address_id": _REFERENCE, "outcome": _FACT, "at": _FACT},
        _other("id destination_id version note"),
        "address_id",
    ),
    "delivery_ack": Table({"delivery_id": _REFERENCE, "ack": _FACT}, by="delivery_id"),
    "deferred_form": Table(
        {"digest": _DIGEST, "scope": _FACT, "received_at": _FACT},
        _other("id channel kind version last_address_id started"),
        "digest",
    ),
    # Mail and webhooks, sealed as they were received or are to be sent.
    "outgoing_mail": Table(
        {"ciphertext": _SEALED, "recipient_digest": _DIGEST, "language": _FACT},
        _other("id kind brand created_at expires_at next_at attempts lease outcome"),
        "recipient_digest",
    ),
    "email_stop": Table({"digest": _DIGEST, "ends_at": _FACT}, by="digest"),
    "review_queue": Table(
        {"content_digest": _DIGEST, "head": _SEALED, "received_at": _FACT},
        _other("id mailbox reason size resolved_at outcome"),
        "opening each: rows live for weeks",
    ),
    "pending_mail_opt_out": Table(
        {
            "digest_prefix": _DIGEST,
            "scope": _FACT,
            "issued_on": _FACT,
            "received_at": _FACT,
            "last_received_at": _FACT,
        },
        _other("id scope_hash key_id dismissed_at dismissal_reason"),
        "digest_prefix",
    ),
    "webhook_inbox": Table(
        {"body_digest": _DIGEST, "body": _SEALED, "received_at": _FACT},
        _other("id destination_id next_at attempts outcome"),
        "opening each: rows live for days",
    ),
    "undecided_event": Table(
        {"webhook_id": _REFERENCE},
        _other("question destination_id received_at decided_at decision"),
        "webhook_id",
    ),
    "used_webhook_token": Table(
        {"webhook_id": _REFERENCE}, _other("destination_id token_digest used_at"), "webhook_id"
    ),
    "counted_bounce": Table(
        {"digest": _DIGEST, "code": _FACT, "at": _FACT}, _other("id"), "digest"
    ),
    "burst": Table(
        {"domain_digest": _DIGEST, "message_ids": _DIGEST},
        _other(
            "id detected_at first_at last_at issued_first issued_last events addresses"
            " known_addresses"
        ),
        "burst_event.burst_id",
    ),
    "burst_event": Table({"event_id": _REFERENCE}, _other("burst_id"), "event_id"),
    # Lists as they were uploaded, until they are applied.
    "list_import": Table(
        {},
        _other(
            "id state plan actor name instructions created_at started_at finished_at file_stored"
            " digest size_bytes position bytes_done line_number planned_stats stats rejected_rows"
            " problem depends_on last_undone_event undone_count lease lease_until"
        ),
    ),
    "list_import_part": Table(
        {"content": _SEALED}, _other("import_id number size_bytes"), "opening each"
    ),
    "idempotent_response": Table(
        {"ciphertext": _SEALED}, _other("digest stored_at"), "opening each: rows live for a day"
    ),
    # Data-subject requests and erasures.
    "rights_request": Table(
        {
            "kind": _FACT,
            "extent": _FACT,
            "law": _FACT,
            "via": _FACT,
            "language": _FACT,
            "received_at": _FACT,
            "state": _FACT,
            "outcome": _FACT,
            "refusal": _FACT,
            "contact_id": _REFERENCE,
            "address_ids": _REFERENCE,
            "subject_digests": _DIGEST,
            "sealed": _SEALED,
        },
        _other(
            "id brand recorded_at confirm_by confirmed_at due_at stopped_at extended_to"
            " extension_reason level required_level failures closed_at forget_at next_at version"
        ),
        "subject_digests",
    ),
    "rights_webhook": Table(
        {"request_id": _REFERENCE, "kind": _FACT, "created_at": _FACT},
        _other("id next_at attempts outcome"),
        "rights_request.id",
    ),
    "rights_step": Table(
        {"request_id": _REFERENCE, "at": _FACT, "action": _FACT, "detail": _FACT},
        _other("id actor"),
        "rights_request.id",
    ),
    "rights_proof": Table(
        {"request_id": _REFERENCE, "content": _SEALED, "received_at": _FACT},
        _other("id kind declared_type sniffed_type size_bytes sha256 forget_at"),
        "rights_request.id",
    ),
    "rights_file": Table(
        {"request_id": _REFERENCE, "content": _SEALED},
        _other("number created_at expires_at"),
        "rights_request.id",
    ),
    "erasure": Table(
        {
            "address_id": _REFERENCE,
            "contact_id": _REFERENCE,
            "extent": _FACT,
            "ciphertext": _SEALED,
            "begun_at": _FACT,
        },
        _other("id request_id give_up_at finished_at entry journaled_at"),
        "address_id",
    ),
    "erasure_task": Table(
        {"erasure_id": _REFERENCE, "outcome": _FACT, "ack": _REFERENCE, "job": _REFERENCE},
        _other(
            "destination_id destination suppressed_at erased_at confirmed_at reason by_hand_since"
            " done_by next_at lease attempts"
        ),
        "erasure.id",
    ),
    "address_move": Table(
        {
            "from_address_id": _REFERENCE,
            "to_address_id": _REFERENCE,
            "contact_id": _REFERENCE,
            "event_ids": _REFERENCE,
            "moved_at": _FACT,
        },
        _other("id request_id undo_until undone_at"),
        "from_address_id",
    ),
    "hold": Table(
        {"address_id": _REFERENCE, "reference": _FACT, "ground": _FACT},
        _other("id placed_at placed_by ends_at ended_at ended_by"),
        "address_id",
    ),
    "person_access": Table(
        {
            "id": _REFERENCE,
            "digest": _DIGEST,
            "ciphertext": _SEALED,
            "at": _FACT,
            "reason": _FACT,
            "reference": _FACT,
        },
        _other("audit_id channel actor action"),
        "digest",
    ),
} | {name: Table(other=_other(columns)) for name, columns in COMPANY_TABLES.items()}
