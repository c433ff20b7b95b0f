"""Inform a program of the company's about requests, by signed webhooks that are never lost.

Standard Webhooks 1.0.0 (https://www.standardwebhooks.com), with RIGHTS_WEBHOOK_URL and
RIGHTS_WEBHOOK_SECRET. A webhook has ids and kinds, never an address: the program asks the API.
The queue is the database: a row of the outbox is written in the transaction of what it is about.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from preference_center.catalogue.rules.privacy import AccountClosing
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.infra.company_webhooks import ClaimedRow, Outbox, send_due, send_signed
from preference_center.infra.context import Services, services
from preference_center.infra.db.rows import insert_row
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.contract import DeliveryError
from preference_center.rights.requests import store
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import RequestKind, StepAction

RETENTION = timedelta(days=30)
"""How long the outcome of a webhook is kept."""


@dataclass(frozen=True, slots=True)
class ClaimedWebhook(ClaimedRow):
    """What one is about."""

    request_id: UUID
    kind: str


OUTBOX = Outbox("rights_webhook", ClaimedWebhook)


def purge_webhooks(connection: Connection, now: datetime) -> int:
    """Delete those that have been done for RETENTION; returns how many."""
    return connection.execute(
        "DELETE FROM rights_webhook WHERE next_at IS NULL AND created_at < %s", (now - RETENTION,)
    ).rowcount


class RightsWebhookKind(StrEnum):
    """What a webhook is about."""

    REQUESTED = "rights.requested"
    ERASE_REQUESTED = "rights.erase_requested"
    """The company is asked whether the account may be erased; complete or refuse the request."""
    CLOSE_REQUESTED = "rights.close_requested"
    """The company is asked to close the account (`closing = "ask"`)."""
    DUE_SOON = "rights.due_soon"
    DECIDED = "rights.decided"


def insert_webhooks(connection: Connection, request: RightsRequest, action: StepAction) -> None:
    """Queue what the company's program is to know of this step of a request."""
    context = services()
    if context.settings.rights_webhook_url is None:
        return
    now = context.now()
    for kind in _kinds(request, action):
        row = {"id": context.new_id(), "request_id": request.id, "kind": kind}
        insert_row(connection, "rights_webhook", {**row, "created_at": now, "next_at": now})


def send_due_webhooks(*, until: datetime, stop: Callable[[], bool]) -> int:
    """Send one webhook after another until none is due; returns how many were accepted.

    Starts none at or after `until`, or once `stop()` is true.
    """
    return send_due(OUTBOX, _send, until=until, stop=stop)


def _kinds(request: RightsRequest, action: StepAction) -> Iterator[RightsWebhookKind]:
    if action is StepAction.RECEIVED:
        yield RightsWebhookKind.REQUESTED
    became_open = action in {StepAction.RECEIVED, StepAction.IDENTITY_CONFIRMED}
    if became_open and request.is_open:
        closing = current_catalogue_or_empty().rights.closing
        if request.erases_account:
            yield RightsWebhookKind.ERASE_REQUESTED
        if request.kind is RequestKind.CLOSE and closing is AccountClosing.ASK:
            yield RightsWebhookKind.CLOSE_REQUESTED
    if action is StepAction.REMINDED:
        yield RightsWebhookKind.DUE_SOON
    if request.state.closed and action in _DECISIONS:
        yield RightsWebhookKind.DECIDED


_DECISIONS = {StepAction.DONE, StepAction.REFUSED, StepAction.WITHDRAWN, StepAction.LAPSED}


def _send(context: Services, claim: ClaimedWebhook) -> DeliveryError | None:
    """Send and settle; the error that prevented it, or None if it was accepted with a 2xx."""
    request = run_in_transaction(lambda c: store.load_request(c, claim.request_id))
    if request is None:
        return DeliveryError("the request is gone", permanent=True)
    error = send_signed(context, claim.id, _body(claim, request))
    if error is None:
        run_in_transaction(lambda c: OUTBOX.settle(c, claim.id, "delivered", None))
    return error


def _body(claim: ClaimedWebhook, request: RightsRequest) -> str:
    """As the request is now: of two webhooks the later may say the same as the earlier."""
    data: dict[str, Any] = {
        "request": str(request.id),
        "reference": request.reference,
        "kind": request.kind,
        "extent": request.extent,
        "state": request.state,
        "outcome": request.outcome,
        "refusal": request.refusal,
        "contact": request.contact_id and str(request.contact_id),
        "due_at": request.deadline.isoformat(),
    }
    known = {name: value for name, value in data.items() if value is not None}
    payload = {"type": claim.kind, "timestamp": claim.created_at.isoformat(), "data": known}
    return json.dumps(payload, separators=(",", ":"))
