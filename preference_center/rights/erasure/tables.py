"""Say what an erasure does with each table and place that holds personal data (I6).

The rule is the code: `erase_rows` executes the statements of ERASURE_RULES in their order. The
tables are those of `rights.erasure.personal_data`; a test fails where one has no rule, so that a
new store can't be forgotten. FILES, REDIS_KEYS and JOB_ARGUMENTS say where personal data is outside
of the database.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from preference_center.infra.db.transactions import Connection
from preference_center.rights.erasure.personal_data import TABLES, Holds


class OnErasure(StrEnum):
    """What happens to the rows of a person who is erased."""

    KEEP = "keep"
    """They hold nothing readable, and keep the opt-out or its proof."""
    CLEAR = "clear"
    """What can be read is set to null; the row stays."""
    DELETE = "delete"
    EXPIRE = "expire"
    """They can't be found by person; they are deleted by age, soon."""


@dataclass(frozen=True, slots=True)
class ErasureRule:
    """What happens to the rows of a table, and why.

    `statement` is SQL with the parameters `addresses` (ids), `digests` (their exact ones),
    `contacts` (ids; those whose account is erased), `begun` and `now`.
    """

    on_erasure: OnErasure
    reason: str
    statement: str = ""


_KEEP, _CLEAR, _DELETE, _EXPIRE = OnErasure


_SUBJECTS = """(%(digests)s || ARRAY(
    SELECT digest FROM contact_external_id WHERE contact_id = ANY(%(contacts)s)))"""
"""What requests name who is erased by: addresses, and the company's ids of erased accounts."""


_PERSON_COLUMNS = {"address_id": "addresses", "digest": "digests", "contact_id": "contacts"}
"""Columns that say whose a row is, and the parameter that has their values."""


def _delete_rows(table: str) -> str:
    """The statement that deletes a person's rows, by every column that says whose they are."""
    columns = [column for column in _PERSON_COLUMNS if column in TABLES[table].personal]
    matches = (f"{column} = ANY(%({_PERSON_COLUMNS[column]})s)" for column in columns)
    return f"DELETE FROM {table} WHERE {' OR '.join(matches)}"  # noqa: S608 - names of this package


ERASURE_RULES: Mapping[str, ErasureRule] = {
    "address": ErasureRule(
        _CLEAR,
        "its digest keeps the opt-out; its sealed form is with the erasure, while it is needed",
        """UPDATE address SET erased_at = GREATEST(erased_at, %(begun)s), ciphertext = NULL,
            last_erased_at = GREATEST(last_erased_at, %(begun)s,
                (SELECT max(at) FROM consent WHERE address_id = address.id),
                (SELECT max(frequency_at) FROM suppression WHERE address_id = address.id)),
            domain_digest = NULL
        WHERE id = ANY(%(addresses)s)""",  # so that none of the choices deleted below comes back
    ),
    "address_key": ErasureRule(_KEEP, "digests, by which opt-outs match every form"),
    "event": ErasureRule(_KEEP, "the ledger names a digest, and proves that the opt-out was kept"),
    "event_evidence": ErasureRule(
        _DELETE,
        "what was said; the event keeps its sealed hash",
        """DELETE FROM event_evidence WHERE event_id = ANY(ARRAY(
            SELECT id FROM event WHERE address_id = ANY(%(addresses)s)))""",
    ),
    "event_repeat": ErasureRule(_KEEP, "when an opt-out counts from"),
    "retraction": ErasureRule(_KEEP, "which events count"),
    "suppression": ErasureRule(
        _CLEAR,
        "the opt-out itself stays; how often the person wanted a topic is a choice that was erased",
        """WITH emptied AS (
            DELETE FROM suppression WHERE address_id = ANY(%(addresses)s)
                AND COALESCE(out_at, lift_at, pause_at) IS NULL
        )
        UPDATE suppression SET frequency_at = NULL, frequency_rank = NULL,
            frequency_event = NULL, frequency = NULL
        WHERE address_id = ANY(%(addresses)s) AND frequency_at IS NOT NULL
            AND COALESCE(out_at, lift_at, pause_at) IS NOT NULL""",
    ),
    "consent": ErasureRule(_DELETE, "a choice that was erased", _delete_rows("consent")),
    "contact": ErasureRule(
        _CLEAR,
        "the row of an erased account stays, so that an update of it stores nothing",
        """UPDATE contact SET account = 'erased', locale = NULL, version = version + 1,
            changed_at = %(now)s
        WHERE id = ANY(%(contacts)s) OR merged_into = ANY(%(contacts)s)""",
    ),
    "contact_address": ErasureRule(
        _DELETE,
        "whose address it was; an erased account keeps its links, which lead from digest to digest",
        """DELETE FROM contact_address WHERE address_id = ANY(%(addresses)s)
            AND contact_id <> ALL(%(contacts)s)""",
    ),
    "contact_external_id": ErasureRule(
        _CLEAR,
        "the digest stays, so that an update of an erased account stores nothing",
        """UPDATE contact_external_id SET ciphertext = NULL
        WHERE contact_id = ANY(%(contacts)s)""",
    ),
    "sync_state": ErasureRule(_KEEP, "what each tool must still be brought to"),
    "delivery": ErasureRule(_KEEP, "the proof of what was pushed"),
    "delivery_ack": ErasureRule(
        _DELETE,
        "what tools answered, which may be their id of the person",
        """DELETE FROM delivery_ack WHERE delivery_id = ANY(ARRAY(
            SELECT id FROM delivery WHERE address_id = ANY(%(addresses)s)))""",
    ),
    "deferred_form": ErasureRule(_EXPIRE, "digests of pushes under way, done within minutes"),
    "outgoing_mail": ErasureRule(
        _CLEAR,
        "what was not sent is not sent any more",
        """UPDATE outgoing_mail SET outcome = 'cancelled', next_at = NULL, lease = NULL,
            ciphertext = NULL, recipient_digest = NULL
        WHERE recipient_digest = ANY(%(digests)s)""",
    ),
    "email_stop": ErasureRule(
        _KEEP, "that emails which anybody can cause are stopped: by a digest, for 30 days"
    ),
    "review_queue": ErasureRule(_EXPIRE, "sealed mails, deleted after 30 days"),
    "pending_mail_opt_out": ErasureRule(_KEEP, "an opt-out by a digest"),
    "webhook_inbox": ErasureRule(_EXPIRE, "sealed bodies, deleted after 7 days"),
    "undecided_event": ErasureRule(_EXPIRE, "deleted 30 days after the decision"),
    "used_webhook_token": ErasureRule(_EXPIRE, "deleted with the webhook"),
    "counted_bounce": ErasureRule(
        _DELETE, "what is known of the mailbox", _delete_rows("counted_bounce")
    ),
    "burst": ErasureRule(_KEEP, "counts and digests of a domain's burst"),
    "burst_event": ErasureRule(_KEEP, "which events are part of a burst"),
    "list_import_part": ErasureRule(_EXPIRE, "sealed uploads, deleted once they are applied"),
    "idempotent_response": ErasureRule(_EXPIRE, "sealed responses, deleted after a day"),
    "rights_request": ErasureRule(
        _CLEAR,
        "the request and its clock are proof; what was typed is not, once it is answered",
        f"""UPDATE rights_request SET sealed = NULL
        WHERE closed_at IS NOT NULL AND (subject_digests && {_SUBJECTS}
            OR id = ANY(ARRAY(SELECT request_id FROM address_move
                WHERE to_address_id = ANY(%(addresses)s))))""",  # noqa: S608 - a constant
    ),
    "rights_step": ErasureRule(_KEEP, "what was done, with nothing personal"),
    "rights_webhook": ErasureRule(_KEEP, "ids of requests, for the company's own systems"),
    "rights_proof": ErasureRule(_EXPIRE, "an agent's authority, deleted after 90 days"),
    "rights_file": ErasureRule(
        _DELETE,
        "a copy of everything",
        f"""DELETE FROM rights_file USING rights_request r
        WHERE r.id = rights_file.request_id AND r.subject_digests && {_SUBJECTS}""",  # noqa: S608 - a constant
    ),
    "erasure": ErasureRule(_KEEP, "this erasure and earlier ones; see `rights.erasure.store`"),
    "erasure_task": ErasureRule(_KEEP, "what was erased in which tool"),
    "policy_notice": ErasureRule(
        _DELETE,
        "of which versions of the privacy policy the person was informed",
        _delete_rows("policy_notice"),
    ),
    "address_move": ErasureRule(_KEEP, "ids of rows without an address"),
    "hold": ErasureRule(_KEEP, "why something was not erased earlier"),
    "person_access": ErasureRule(
        _CLEAR,
        "who of the staff looked at a person's data stays proof; the address and the ticket do not",
        """UPDATE person_access SET ciphertext = NULL, reference = ''
        WHERE digest = ANY(%(digests)s)""",
    ),
}


@dataclass(frozen=True, slots=True)
class ErasedRows:
    """Whose rows are erased: addresses with their exact digests, and whole accounts."""

    addresses: Collection[int]
    digests: Collection[bytes]
    contacts: Collection[UUID]
    begun_at: datetime


def erase_rows(connection: Connection, erased: ErasedRows, now: datetime) -> None:
    """Execute the statement of every rule. The addresses and contacts must be locked."""
    given = {
        "addresses": list(erased.addresses),
        "digests": list(erased.digests),
        "contacts": list(erased.contacts),
        "begun": erased.begun_at,
        "now": now,
    }
    for rule in ERASURE_RULES.values():
        if rule.statement:
            connection.execute(rule.statement.encode(), given)


FILES: Mapping[str, str] = {
    "preference_center/infra/files.py": ("what the callers write: see theirs"),
    "preference_center/lists/cli/export.py": "addresses, readable: an export for its operator",
    "preference_center/lists/cli/imports.py": ("rejected rows as they were read, for the operator"),
    "preference_center/contacts/cli.py": ("addresses, readable: whom to inform, for the operator"),
    "preference_center/senders/cli/links.py": "addresses and permanent links, for the operator",
    "preference_center/lists/cli/scrub.py": "a temporary folder, deleted at the end",
    "preference_center/integrations/file_drop/client.py": "addresses, readable: the drop itself",
    "preference_center/integrations/file_drop/remote_folders.py": "the same on SFTP or S3",
    "preference_center/ledger/feed": "files for a warehouse: addresses, readable if asked for",
    "preference_center/rights/access_file/build.py": "nothing on disk: into sealed parts of rows",
    "preference_center/rights/erasure/journal_files.py": (
        "digests of erased people: the erasure journal"
    ),
    "preference_center/ledger/history_loss.py": "the id of the newest event",
    "preference_center/lists/scrub": "lists of addresses, readable; snapshots of digests",
    "preference_center/ledger/spool": "opt-outs, sealed, until the database has them",
}
"""Each module or package that writes files, and what personal data is in them."""


REDIS_KEYS: Mapping[str, Holds | None] = {
    "rq:": None,
    "rate_limit:": None,
    "access-file": None,
    "agent": Holds.DIGEST,
    "api": None,
    "consent-by": Holds.DIGEST,  # networks of IP addresses, for a minute
    "consent-from": Holds.DIGEST,
    "consent-site": None,
    "console-sign-in": Holds.DIGEST,  # an IP address, for five minutes
    "email-to": Holds.DIGEST,
    "links-from": Holds.FACT,  # the network of an IP address, for an hour
    "minor": Holds.DIGEST,
    "reason": Holds.DIGEST,
    "refused": None,
    "rights-mail": Holds.DIGEST,
    "text-to": Holds.DIGEST,
    "unknown-key": Holds.DIGEST,
}
"""Prefixes and namespaces of keys; all expire but RQ's, whose jobs hold ids (JOB_ARGUMENTS)."""


JOB_ARGUMENTS: frozenset[str] = frozenset({"destination_id", "import_id", "kind", "request_id"})
"""What a job may be given: ids of destinations, imports and requests, and the kind of a listing
(I12).
"""
