"""Which part of the file has what of each table with personal data, and which tables it leaves out.

Tests compare both with `rights.erasure.personal_data`, so that a new table can't be forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping

IN_FILE: Mapping[str, tuple[str, ...]] = {
    "address": ("addresses",),
    "event": ("events",),
    "event_evidence": ("events", "consents"),
    "event_repeat": ("events",),
    "retraction": ("events",),
    "suppression": ("suppressions", "choices"),
    "consent": ("consents",),
    "contact": ("contacts",),
    "contact_address": ("contacts",),
    "contact_external_id": ("contacts",),
    "sync_state": ("recipients",),
    "delivery": ("deliveries",),
    "delivery_ack": ("deliveries",),
    "pending_mail_opt_out": ("suppressions",),
    "counted_bounce": ("bounces",),
    "rights_request": ("requests",),
    "rights_step": ("requests",),
    "erasure": ("erasures",),
    "erasure_task": ("erasures",),
    "address_move": ("moves",),
    "hold": ("holds",),
    "policy_notice": ("policy_notices",),
    "person_access": ("looks_by_staff",),
}
"""Table -> the parts of `AccessFile` that have its rows."""

NOT_IN_FILE: Mapping[str, str] = {
    "address_key": "digests of the address itself, by which it is found",
    "deferred_form": "digests of a mailbox for minutes, until tools are informed",
    "outgoing_mail": "sealed until it is sent, then wiped; the person receives it",
    "email_stop": "digests of mailboxes, for 30 days: the link that made one shows it",
    "review_queue": "opening each would show whose it is; the file says so",
    "webhook_inbox": "opening each would show whose it is; the file says so",
    "undecided_event": "of a sealed webhook request, which the file mentions",
    "used_webhook_token": "of a sealed webhook request: a digest of its token",
    "burst": "a suspicion about a domain's link scanner, not about a person",
    "burst_event": "that an event belongs to such a suspicion; the event is in the file",
    "list_import_part": "sealed until the list is imported; the file says so",
    "idempotent_response": "an answer to a sender, sealed for a day",
    "rights_proof": "an agent's document, by the agent",
    "rights_file": "the file itself",
    "rights_webhook": "that the company was informed of a request, which is in the file",
}
"""Table -> why none of its rows is in the file."""
