"""All webhooks to the company: those about requests, and announcements of its privacy policy."""

from __future__ import annotations

from datetime import datetime

from preference_center.contacts.notices.store import OUTBOX
from preference_center.infra.db.transactions import Connection
from preference_center.rights import webhooks as rights_webhooks

OUTBOXES = (rights_webhooks.OUTBOX, OUTBOX)


def count_due_webhooks(connection: Connection, now: datetime) -> int:
    """How many are due (to 1,000 of each kind)."""
    return sum(outbox.count_due(connection, now) for outbox in OUTBOXES)
