"""The outbox: emails that are to be sent. The queue is the database, as for sync states.

A claim moves `next_at` to the end of the lease, so the emails of a worker that died become due
again. Everything personal is sealed, and deleted by the statement that marks the email as done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from psycopg import Rollback

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import MailServerNotConfigured
from preference_center.core.keys import Keys
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, fetch_count, run_in_transaction
from preference_center.infra.keys.sealed_columns import outgoing_mail_context


class EmailKind(StrEnum):
    """The purpose of an email."""

    ONE_TIME_LINK = "one_time_link"
    """Somebody entered an address into the form: the email has the link to its page."""
    CONFIRM_OPT_IN = "confirm_opt_in"
    """Somebody opted in from a link, which may have been forwarded: the email asks to confirm."""
    RIGHTS_LINK = "rights_link"
    """Somebody entered an address on a page of rights: the email has the link to go on."""
    NEW_ADDRESS = "new_address"
    """To the address that somebody corrects their own to: the email asks to confirm it."""
    ADDRESS_MOVED = "address_moved"
    """To the address that was corrected: the email says so, and how to undo it."""
    ACCOUNT_CLOSED = "account_closed"
    """To the other addresses of a closed account: the email says so, and how to undo it."""
    RIGHTS_RECEIVED = "rights_received"
    """A data-subject request was received: the email has its reference."""
    RIGHTS_DONE = "rights_done"
    RIGHTS_REFUSED = "rights_refused"
    RIGHTS_EXTENDED = "rights_extended"
    RIGHTS_LAPSED = "rights_lapsed"
    RIGHTS_AGENT_ASKED = "rights_agent_asked"
    """An agent asked for something in a person's name: the email has the link to confirm it."""
    MINOR_REPORTED = "minor_reported"
    """Somebody reported the address as a minor's: the email has the link to contradict."""
    MINOR_CONFIRMED = "minor_confirmed"
    MINOR_DISMISSED = "minor_dismissed"
    MINOR_REVIEWED = "minor_reviewed"
    """To who reported it, if they gave an address: the report was looked at."""
    RIGHTS_REMINDER = "rights_reminder"
    """To the company: a request is to be answered soon."""
    ERASED = "erased"
    """To a person who was erased without a request here: the last mail they get."""


_DECISION_VALUES = frozenset({"link", "reference", "right", "law", "received", "due", "why"})
REQUIRED_VALUES: Mapping[EmailKind, frozenset[str]] = {
    EmailKind.ONE_TIME_LINK: frozenset({"link"}),
    EmailKind.CONFIRM_OPT_IN: frozenset({"link", "what"}),
    EmailKind.RIGHTS_LINK: frozenset({"link", "right"}),
    EmailKind.NEW_ADDRESS: frozenset({"link"}),
    EmailKind.ADDRESS_MOVED: frozenset({"link"}),
    EmailKind.ACCOUNT_CLOSED: frozenset({"link"}),
    EmailKind.RIGHTS_RECEIVED: _DECISION_VALUES,
    EmailKind.RIGHTS_DONE: _DECISION_VALUES,
    EmailKind.RIGHTS_REFUSED: _DECISION_VALUES,
    EmailKind.RIGHTS_EXTENDED: _DECISION_VALUES,
    EmailKind.RIGHTS_LAPSED: _DECISION_VALUES,
    EmailKind.RIGHTS_AGENT_ASKED: frozenset({"link", "reference", "right", "agent", "until"}),
    EmailKind.MINOR_REPORTED: frozenset({"link", "reference", "until"}),
    EmailKind.MINOR_CONFIRMED: frozenset({"reference", "law"}),
    EmailKind.MINOR_DISMISSED: frozenset({"reference"}),
    EmailKind.MINOR_REVIEWED: frozenset({"reference"}),
    EmailKind.RIGHTS_REMINDER: frozenset({"reference", "right", "due"}),
    EmailKind.ERASED: frozenset({"extent"}),
}
"""The values of each kind: `link` is valid until `expires_at`, `what` is what was opted in to,
`right` is a RequestKind, `law` a Law or empty, `received` and `due` are times (ISO 8601; `due`
is empty while the clock is stopped, and of what is done it is by when tools follow), `until` is
by when an answer is taken, `agent` is the name of somebody who acts for the person, `why` is
the outcome, the ground or the reason, of a receipt its notes, `extent` an Extent."""

RETENTION = timedelta(days=30)
"""How long the outcome of an email is kept; it holds nothing personal by then."""
EVIDENCE_RETENTION = timedelta(days=731)
"""The same for an email about a data-subject request: 24 months (11 CCR 7101(a)), as its steps."""
_EVIDENCE_KINDS = frozenset(EmailKind) - {
    EmailKind.ONE_TIME_LINK,
    EmailKind.CONFIRM_OPT_IN,
    EmailKind.RIGHTS_LINK,
    EmailKind.RIGHTS_REMINDER,
}
_PURGE_LIMIT = 10_000

LANGUAGE_SWITCHED = "switched"
"""An optional value: the person chose the language with the page's language switch."""
BY_AGENT = "by_agent"
"""An optional value of what is decided: the name of who asked for it in the reader's name."""


class SendResult(StrEnum):
    """The outcome of an email, or of the last attempt to send it."""

    SENT = "sent"
    """The mail server accepted it."""
    REFUSED = "refused"
    """The mail server rejected it permanently for this recipient."""
    EXPIRED = "expired"
    """Its link expired before it was sent."""
    CANCELLED = "cancelled"
    """The person was erased before it was sent."""
    STOPPED = "stopped"
    """Anybody could have caused it, and its reader wants no such emails."""
    RETRY_LATER = "later"


@dataclass(frozen=True, slots=True)
class OutgoingEmail:
    """One email to one person.

    `brand` is a key of the catalogue; None stands for all brands. `expires_at` is when its
    link expires: after that it is not sent. `unproven` is whether anybody could have caused it,
    without proof that the mailbox is theirs (`web.emails`). Raises ValueError unless
    `recipient` is an email address and `values` are those of REQUIRED_VALUES.
    """

    id: UUID
    kind: EmailKind
    recipient: Address
    language: str
    brand: str | None
    values: Mapping[str, str] = field(repr=False)
    expires_at: datetime
    unproven: bool = False

    def __post_init__(self) -> None:
        if not self.recipient.channel.rules.is_email:
            raise ValueError("the recipient of an email must be an email address")
        if self.values.keys() - {LANGUAGE_SWITCHED, BY_AGENT} != REQUIRED_VALUES[self.kind]:
            names = ", ".join(sorted(REQUIRED_VALUES[self.kind]))
            raise ValueError(f"{self.kind} needs the values {names}")


@dataclass(frozen=True, slots=True)
class ClaimedEmail:
    """One email, still sealed, that this worker holds until its lease ends."""

    id: UUID
    kind: str
    ciphertext: bytes = field(repr=False)
    language: str
    brand: str | None
    expires_at: datetime
    attempts: int

    def decrypt(self, keys: Keys) -> OutgoingEmail:
        """The email. Raises DecryptionError or KeyMismatch."""
        personal = json.loads(keys.open(self.ciphertext, context=outgoing_mail_context(self.id)))
        return OutgoingEmail(
            id=self.id,
            kind=EmailKind(self.kind),
            recipient=parse_address(personal["to"], Channel.EMAIL),
            language=self.language,
            brand=self.brand,
            values=personal["values"],
            expires_at=self.expires_at,
            unproven=personal.get("unproven", False),  # not in emails of older versions
        )


def enqueue_emails(emails: Sequence[OutgoingEmail]) -> None:
    """Store `emails` to be sent soon, all or none.

    Returns once they are committed. Safe to repeat: an id is stored once. Raises
    MailServerNotConfigured, and Unavailable when the database can't be reached; nothing is
    stored then.
    """
    context = services()
    if context.settings.mail_server is None:
        raise MailServerNotConfigured(
            "Set SMTP_URL and MAIL_FROM: without them no mail can be sent."
        )
    run_in_transaction(lambda connection: insert_emails(connection, emails))
    context.queue.nudge_mail()


def enqueue_email_if(email: OutgoingEmail, allow: Callable[[], bool]) -> bool:
    """Store `email` to be sent soon if `allow()`, which is asked only where its id is new.

    Returns whether it is stored: True for a repeat, also for one that arrives at the same time.
    Raises Unavailable when the database can't be reached.
    """

    def insert(connection: Connection) -> bool:
        with connection.transaction():
            stored = not insert_emails(connection, [email]) or allow()
            if not stored:
                raise Rollback
        return stored

    stored = run_in_transaction(insert)
    if stored:
        services().queue.nudge_mail()
    return stored


def insert_emails(connection: Connection, emails: Sequence[OutgoingEmail]) -> int:
    """Store `emails` to be sent, in a transaction of the caller's. An id is stored once.

    Returns how many are new.
    """
    context = services()
    now = context.now()
    rows = [
        {
            "id": email.id,
            "kind": email.kind,
            "ciphertext": _seal_email(context.keys, email),
            "recipient_digest": context.keys.exact_digest(email.recipient),
            "language": email.language,
            "brand": email.brand,
            "now": now,
            "expires_at": email.expires_at,
        }
        for email in emails
    ]
    cursor = connection.cursor()
    cursor.executemany(_INSERT, rows)
    return cursor.rowcount


_INSERT = """
INSERT INTO outgoing_mail (id, kind, ciphertext, recipient_digest, language, brand, created_at,
    expires_at, next_at)
VALUES (%(id)s, %(kind)s, %(ciphertext)s, %(recipient_digest)s, %(language)s, %(brand)s, %(now)s,
    %(expires_at)s, %(now)s)
ON CONFLICT (id) DO NOTHING
"""

_CLAIM = """
WITH due AS (
    SELECT id FROM outgoing_mail WHERE next_at <= %(now)s AND expires_at > %(now)s
    ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE outgoing_mail m SET lease = %(lease)s, next_at = %(until)s
FROM due WHERE m.id = due.id
RETURNING m.id, m.kind, m.ciphertext, m.language, m.brand, m.expires_at, m.attempts
"""

# An email that was sent is done even if the worker has lost its lease: never send it again.
_SETTLE = """
UPDATE outgoing_mail SET outcome = %(outcome)s, next_at = %(next_at)s, lease = NULL,
    attempts = attempts + 1,
    ciphertext = CASE WHEN %(next_at)s::timestamptz IS NOT NULL THEN ciphertext END,
    recipient_digest = CASE WHEN %(next_at)s::timestamptz IS NOT NULL THEN recipient_digest END
WHERE id = %(id)s AND (lease = %(lease)s OR %(outcome)s = 'sent')
"""


_PURGE = """
DELETE FROM outgoing_mail WHERE id = ANY(ARRAY(
    SELECT id FROM outgoing_mail
    WHERE next_at IS NULL AND created_at < %(before)s
        AND (kind <> ALL(%(evidence)s) OR created_at < %(evidence_before)s)
    ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
"""
"""An array, since a subquery of IN may be evaluated again for each row, and return more rows."""


def count_due_emails(connection: Connection, now: datetime) -> int:
    """How many emails are due (to 1,000)."""
    query = """SELECT count(*) FROM (SELECT FROM outgoing_mail
        WHERE next_at <= %(now)s AND expires_at > %(now)s LIMIT 1000) AS due"""
    return fetch_count(connection, query, {"now": now})


NEWEST = 20
"""Of how many emails the refused ones are counted; of fewer than MIN_NEWEST none are."""
MIN_NEWEST = 10
NEWEST_SINCE = timedelta(days=1)


def load_refused_share(connection: Connection, now: datetime) -> float:
    """Which share (0 to 1) of the NEWEST emails of a day the mail server refused for good."""
    row = connection.execute(
        """SELECT count(*), count(*) FILTER (WHERE outcome = %(refused)s)
        FROM (SELECT outcome FROM outgoing_mail
            WHERE next_at IS NULL AND outcome IN (%(refused)s, %(sent)s) AND created_at > %(since)s
            ORDER BY created_at DESC LIMIT %(limit)s) AS newest""",
        {
            "refused": SendResult.REFUSED,
            "sent": SendResult.SENT,
            "since": now - NEWEST_SINCE,
            "limit": NEWEST,
        },
    ).fetchone()
    assert row  # an aggregate
    return row[1] / row[0] if row[0] >= MIN_NEWEST else 0.0


def claim_email(
    connection: Connection, lease: UUID, *, now: datetime, until: datetime
) -> ClaimedEmail | None:
    """Claim the email that has been due for longest, if any; the lease ends at `until`."""
    row = connection.execute(_CLAIM, {"lease": lease, "now": now, "until": until}).fetchone()
    return ClaimedEmail(*row) if row else None


def settle_email(
    connection: Connection,
    email_id: UUID,
    lease: UUID,
    result: SendResult,
    *,
    next_at: datetime | None = None,
) -> None:
    """Record the result of a claimed email. Without `next_at` it is done, and its content deleted.

    Changes nothing when the lease was lost, unless the email was sent.
    """
    connection.execute(
        _SETTLE, {"id": email_id, "lease": lease, "outcome": result, "next_at": next_at}
    )


def expire_emails(connection: Connection, now: datetime) -> int:
    """Mark emails that expired, and that no worker holds, as done; returns how many."""
    return connection.execute(
        """UPDATE outgoing_mail SET outcome = %(outcome)s, next_at = NULL, lease = NULL,
            ciphertext = NULL, recipient_digest = NULL
        WHERE next_at <= %(now)s AND expires_at <= %(now)s""",
        {"outcome": SendResult.EXPIRED, "now": now},
    ).rowcount


def purge_emails(connection: Connection, now: datetime) -> int:
    """Delete some emails done longer ago than is kept of them, the oldest first; returns how many.

    RETENTION, or EVIDENCE_RETENTION for those about data-subject requests.
    """
    bounds = {
        "before": now - RETENTION,
        "evidence": sorted(_EVIDENCE_KINDS),
        "evidence_before": now - EVIDENCE_RETENTION,
        "limit": _PURGE_LIMIT,
    }
    return connection.execute(_PURGE, bounds).rowcount


def _seal_email(keys: Keys, email: OutgoingEmail) -> bytes:
    personal = {
        "to": email.recipient.exact,
        "values": dict(email.values),
        "unproven": email.unproven,
    }
    return keys.seal(json.dumps(personal), context=outgoing_mail_context(email.id))
