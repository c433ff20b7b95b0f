"""Mailboxes that want no emails which anybody can cause: by keyed digest only, for a time.

It is no suppression of the ledger: what senders may send does not change, and no tool is informed
(docs/decisions/0072-emails-nobody-asked-for.md).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from preference_center.core.addresses import Address
from preference_center.core.keys import Keys
from preference_center.infra.db.connections import hold_digest_length
from preference_center.infra.db.transactions import Connection

EMAIL_STOP_DURATION = timedelta(days=30)
"""How long a stop lasts. It ends by itself: a page that is asked for a link says the same whether
there is a stop or not, so a person who forgot theirs could not learn why none arrives."""

_INSERT = """
INSERT INTO email_stop AS s (digest, ends_at) VALUES (%s, %s)
ON CONFLICT (digest) DO UPDATE SET ends_at = GREATEST(s.ends_at, EXCLUDED.ends_at)
"""


def mailbox_digest(keys: Keys, address: Address) -> bytes:
    """The digest of the mailbox that an address reaches, without its tag at any provider (I9).

    At an unknown provider tags may be different people; for what anybody can cause it is better
    that they share a limit than that tags get around it.
    """
    return keys.digest(address.base or address.mailbox)


def stop_emails(connection: Connection, keys: Keys, address: Address, now: datetime) -> None:
    """Stop such emails to this mailbox from now on. To repeat it extends it."""
    hold_digest_length(connection, keys)
    digest = mailbox_digest(keys, address)
    connection.execute(_INSERT, (digest, now + EMAIL_STOP_DURATION))


def allow_emails(connection: Connection, keys: Keys, address: Address) -> None:
    """End the stop, if there is one."""
    hold_digest_length(connection, keys)
    connection.execute("DELETE FROM email_stop WHERE digest = %s", (mailbox_digest(keys, address),))


def find_stop(
    connection: Connection, keys: Keys, address: Address, now: datetime
) -> datetime | None:
    """When the stop of this mailbox ends; None if there is none."""
    row = connection.execute(
        "SELECT ends_at FROM email_stop WHERE digest = %s AND ends_at > %s",
        (mailbox_digest(keys, address), now),
    ).fetchone()
    return row[0] if row else None


def purge_stops(connection: Connection, now: datetime) -> int:
    """Delete those that have ended; returns how many."""
    return connection.execute("DELETE FROM email_stop WHERE ends_at <= %s", (now,)).rowcount
