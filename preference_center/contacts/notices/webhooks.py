"""Announce a version to the company's webhook: batches that are signed and never lost.

Standard Webhooks 1.0.0, with the URL and secret of `rights.company_webhooks`. A batch keeps its
id and its people however often it is sent, so the receiver can drop a repeat by `webhook-id`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime

from preference_center.catalogue import MessageType
from preference_center.contacts.notices.rows import NoticeRow, load_rows, may_be_sent
from preference_center.contacts.notices.rules import NoticeChannel
from preference_center.contacts.notices.select import announced_version
from preference_center.contacts.notices.store import policy_notices, policy_webhooks
from preference_center.contacts.notices.store.policy_webhooks import ClaimedBatch
from preference_center.core.errors import InvalidInput
from preference_center.infra.company_webhooks import send_due, send_signed
from preference_center.infra.context import Services, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.contract import DeliveryError

BATCH = 500
"""Persons in one webhook."""
KIND = "policy.announcement"


def queue_batches(version: str) -> int:
    """Queue every notice of the version that is in no batch yet; returns how many batches.

    Raises InvalidInput if no webhook is configured.
    """
    if services().settings.rights_webhook_url is None:
        raise InvalidInput("set RIGHTS_WEBHOOK_URL and RIGHTS_WEBHOOK_SECRET first")
    queued = 0
    while run_in_transaction(lambda connection: _queue_batch(connection, version)):
        queued += 1
    return queued


def _queue_batch(connection: Connection, version: str) -> bool:
    context = services()
    policy_notices.begin_announcement(connection, version, context.now())  # the lock
    after = policy_webhooks.last_queued_seq(connection, version)
    seqs = policy_webhooks.next_batch_seqs(connection, version, after, BATCH)
    if seqs:
        batch_id = context.new_id()
        policy_webhooks.insert_batch(connection, batch_id, version, seqs, context.now())
    return bool(seqs)


def send_due_batches(*, until: datetime, stop: Callable[[], bool]) -> int:
    """Send one batch after another until none is due; returns how many were accepted.

    Starts none at or after `until`, or once `stop()` is true.
    """
    return send_due(policy_webhooks.OUTBOX, _send, until=until, stop=stop)


def _load_batch(claim: ClaimedBatch, message_type: MessageType) -> list[NoticeRow]:
    return run_in_transaction(
        lambda connection: load_rows(
            connection,
            claim.version,
            message_type,
            after=claim.first_seq - 1,
            through=claim.last_seq,
            limit=BATCH,
        )
    )


def _body(claim: ClaimedBatch, rows: list[NoticeRow], message_type: str) -> str:
    payload = {
        "type": KIND,
        "timestamp": claim.created_at.isoformat(),
        "data": {"version": claim.version, "message_type": message_type, "recipients": rows},
    }
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def _send(context: Services, claim: ClaimedBatch) -> DeliveryError | None:
    """Send and settle; the error that prevented it, or None if it was accepted with a 2xx."""
    try:
        _, message_type = announced_version(claim.version)
    except InvalidInput as faulty:
        return DeliveryError(str(faulty))
    rows = [row for row in _load_batch(claim, message_type) if "noticed_at" not in row]
    error = rows and send_signed(context, claim.id, _body(claim, rows, message_type.key))
    if not error:
        sent = [int(row["ref"]) for row in rows if may_be_sent(row)]
        run_in_transaction(lambda connection: _settle(connection, claim, sent, context.now()))
    return error or None


def _settle(
    connection: Connection, claim: ClaimedBatch, sent: Sequence[int], now: datetime
) -> None:
    policy_webhooks.OUTBOX.settle(connection, claim.id, "delivered", None)
    policy_notices.mark_noticed(connection, claim.version, sent, NoticeChannel.WEBHOOK, now)
