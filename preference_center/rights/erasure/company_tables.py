"""The tables without personal data, with their columns: the company's own.

`actor` and `name` are of staff and of systems. The others are in `personal_data`.
"""

from __future__ import annotations

from collections.abc import Mapping

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
    "daily_count_progress": "id seq counted_until first_day rebuilt_since rebuilt_seq",
    "reflection_count": "day destination bucket count longest",
    "catalogue_version": "id text digest applied_at applied_by",
    "consumed_one_time_token": "id consumed_at expires_at",
    "policy_announcement": "version begun_at last_address_id selected_at",
    "policy_webhook": "id version first_seq last_seq created_at next_at attempts outcome",
    "destination": (
        "id name kind settings channels sends mapping sends_service can_lift status reason"
        " failures retry_at created_at pulled_at slow_until"
    ),
    "epoch": "id name floor started_at server_started_at xid",
    "erasure_journal": "id last_entry replayed_at",
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
        " checked drift links_written"
    ),
}
