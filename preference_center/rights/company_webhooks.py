"""Inform a program of the company's about requests, by signed webhooks that are never lost.

Standard Webhooks 1.0.0 (https://www.standardwebhooks.com), with RIGHTS_WEBHOOK_URL and
RIGHTS_WEBHOOK_SECRET. A webhook has ids and kinds, never an address: the program asks the API.
A row of the outbox is written in the transaction of what it is about.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from standardwebhooks.webhooks import Webhook as Signer

from preference_center.context import Services, services
from preference_center.destinations.connect import ALLOW_PRIVATE
from preference_center.domain.catalogue.privacy import AccountClosing
from preference_center.domain.deadlines import destination_retry
from preference_center.domain.rights.model import Extent, RequestKind, RequestState, StepAction
from preference_center.domain.rights.request import RightsRequest
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.ssrf import split_url
from preference_center.storage.catalogues import current_catalogue_or_empty
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.rights import requests, webhooks
from preference_center.storage.rights.webhooks import ClaimedWebhook
from preference_center.storage.webhook_outbox import Outbox, W

LEASE = timedelta(seconds=60)
"""Longer than an exchange may take."""
GIVE_UP_AFTER = timedelta(days=7)
"""Then the webhook is not tried any more: the request itself stays open and overdue."""

log = structlog.get_logger()


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
    for kind in _kinds(request, action):
        webhooks.insert_webhook(connection, context.new_id(), request.id, kind, context.now())


def send_due_webhooks(*, until: datetime, stop: Callable[[], bool]) -> int:
    """Send one webhook after another until none is due; returns how many were accepted.

    Starts none at or after `until`, or once `stop()` is true.
    """
    return send_due(webhooks.OUTBOX, _send, until=until, stop=stop)


def send_due(
    outbox: Outbox[W],
    send: Callable[[Services, W], DeliveryError | None],
    *,
    until: datetime,
    stop: Callable[[], bool],
) -> int:
    """As `send_due_webhooks`, for any outbox.

    `send` posts a webhook and settles it if it was accepted; it returns the error otherwise, and
    the webhook is tried again until GIVE_UP_AFTER.
    """
    context, sent = services(), 0
    while not stop() and context.now() < until:
        now = context.now()
        claim = run_in_transaction(partial(outbox.claim, now=now, until=now + LEASE))
        if claim is None:
            break
        error = send(context, claim)
        if error is not None:
            _defer(context, outbox, claim, error)
        sent += error is None
    return sent


def _defer(context: Services, outbox: Outbox[W], claim: W, error: DeliveryError) -> None:
    now, next_at = context.now(), None
    if now < claim.created_at + GIVE_UP_AFTER:
        next_at = destination_retry(claim.attempts, now, jitter=context.random.random())
    log.warning("company_webhook_failed", webhook=str(claim.id), error=str(error))
    run_in_transaction(lambda c: outbox.settle(c, claim.id, "failed", next_at))


def _kinds(request: RightsRequest, action: StepAction) -> Iterator[RightsWebhookKind]:
    if action is StepAction.RECEIVED:
        yield RightsWebhookKind.REQUESTED
    became_open = action in {StepAction.RECEIVED, StepAction.IDENTITY_CONFIRMED}
    if became_open and request.state is RequestState.OPEN:
        closing = current_catalogue_or_empty().rights.closing
        if request.kind is RequestKind.ERASE and request.extent is Extent.ACCOUNT:
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
    request = run_in_transaction(lambda c: requests.load_request(c, claim.request_id))
    if request is None:
        return DeliveryError("the request is gone", permanent=True)
    error = send_signed(context, claim.id, _body(claim, request))
    if error is None:
        run_in_transaction(lambda c: webhooks.OUTBOX.settle(c, claim.id, "delivered", None))
    return error


def send_signed(context: Services, webhook_id: UUID, body: str) -> DeliveryError | None:
    """Post `body` to the company's program; the error, or None if it accepted it with a 2xx.

    A repeat with the same id is the same webhook to the receiver.
    """
    url, secrets = context.settings.rights_webhook_url, context.settings.rights_webhook_secret
    if url is None:
        return DeliveryError("RIGHTS_WEBHOOK_URL is no longer set", permanent=True)
    name = f"msg_{webhook_id}"
    headers = {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(context.now().timestamp())),
        "webhook-signature": " ".join(
            Signer(secret).sign(name, context.now(), body) for secret in secrets.split()
        ),
    }
    http = HttpContext(now=context.now, allow_private=os.environ.get(ALLOW_PRIVATE) == "1")
    origin, path = split_url(url)
    try:
        networks = context.settings.reachable_networks
        with http.session("rights", origin, networks=networks) as session:
            session.send(
                "POST", "RIGHTS_WEBHOOK_URL", raw_path=path, body=body.encode(), headers=headers
            )
    except DeliveryError as error:
        return error
    return None


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
