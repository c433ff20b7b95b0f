"""`/in/<destination>` receives webhooks, by which a tool reports what people did in it (I13).

A request is verified from its headers and raw body alone; then stored, encrypted, and
acknowledged. A job parses it. So nothing that was acknowledged is lost, and a changed format of
a vendor costs a replay and no event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

import structlog
from flask import Blueprint, Response, current_app, request

from preference_center.core.errors import InvalidInput
from preference_center.core.occurrences import Occurrence
from preference_center.destinations.rules.states import Destination
from preference_center.destinations.store import webhooks
from preference_center.destinations.store.destinations import find_by_name
from preference_center.infra import metrics, occurrences
from preference_center.infra.context import read_body, services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.infra.hooks import Hook
from preference_center.infra.metrics import InboundKind, InboundOutcome
from preference_center.integrations.base.vendor_events import (
    HeaderDated,
    NeedsCertificate,
    SignatureError,
    SupportsTextMessages,
    TextMessage,
    WebhookRequest,
    WebhookVerifier,
)
from preference_center.integrations.registry import find_webhook

log = structlog.get_logger()


DESTINATION_CACHE_TTL = timedelta(seconds=5)
"""How long changed settings may take to apply."""


KNOWN_DESTINATIONS_KEY = "preference_center.known_destinations"


blueprint = Blueprint("inbound", __name__)


@Hook
def answer_text(destination: Destination, text: TextMessage) -> str:
    """Act on a text message; returns the reply, "" for none."""
    raise NotImplementedError


@blueprint.route("/in/<name>", methods=["GET", "POST"], defaults={"secret": ""})
@blueprint.route("/in/<name>/<secret>", methods=["GET", "POST"])
def receive(name: str, secret: str) -> Response:
    """Store the request: 2xx once it is committed (I1). A text message gets a reply.

    404 for a destination that has no webhook; 401, without a hint, for a request that is not
    proved to be the tool's. GET and HEAD, by which vendors test a URL, change nothing (I7).
    """
    context = services()
    destination = _find_destination(name)
    source = find_webhook(destination.kind) if destination else None
    if destination is None or source is None:
        return _not_configured()
    if request.method != "POST":
        return Response(status=200)  # some accept only this as a sign that the URL works
    body = read_body()
    post = WebhookRequest(
        method=request.method,
        url=context.links.public_url + request.full_path.removesuffix("?"),
        path_secret=secret,
        headers={key.lower(): value for key, value in request.headers},
        body=body,
        remote_address=request.remote_addr or "",
    )
    try:
        post = _with_certificate(source, post, destination.settings)
        token = source.verify(post, destination.settings, context.now())
        if isinstance(source, SupportsTextMessages):
            return _handle_text(destination, source, body)
        is_new = _store(destination.id, _stored_body(source, post), token)
    except SignatureError as error:
        metrics.count_inbound(InboundKind.WEBHOOK, InboundOutcome.UNVERIFIED, destination.name)
        occurrences.note(Occurrence.WEBHOOK_UNVERIFIED, destination.name)
        log.warning("webhook_unverified", **destination.log_fields, reason=str(error))
        return Response("Unauthorized\n", 401, mimetype="text/plain")
    if is_new is None:
        return _not_configured()
    outcome = InboundOutcome.ACCEPTED if is_new else InboundOutcome.REPEATED
    metrics.count_inbound(InboundKind.WEBHOOK, outcome, destination.name)
    if is_new:
        context.queue.nudge_webhooks(destination.id)
    return Response(status=200 if source.requires_200 else 204)


def _not_configured() -> Response:
    return Response("No webhook is configured for this destination.\n", 404, mimetype="text/plain")


def _stored_body(source: WebhookVerifier, webhook_request: WebhookRequest) -> bytes:
    """The part of a verified request that is stored; an unparseable body is stored whole."""
    if not hasattr(source, "stored_body"):
        return webhook_request.body
    try:
        return cast("HeaderDated", source).stored_body(webhook_request)
    except InvalidInput:
        return webhook_request.body


def _with_certificate(
    source: WebhookVerifier, webhook_request: WebhookRequest, settings: Mapping[str, str]
) -> WebhookRequest:
    """The request with the certificate that is needed to verify it, if one is.

    Raises Unavailable if it can't be fetched now: the vendor tries again.
    """
    if not isinstance(source, NeedsCertificate):
        return webhook_request
    # Imported late, with the HTTP client: few vendors sign with a certificate.
    from preference_center.destinations.certificates import certificate_cache  # noqa: PLC0415

    url = source.certificate_url(webhook_request, settings)
    return replace(webhook_request, certificate=certificate_cache().get(url, services().now()))


def _handle_text(destination: Destination, source: SupportsTextMessages, body: bytes) -> Response:
    """Process a text message at once, and reply in the vendor's format."""
    answer, outcome = "", InboundOutcome.IGNORED
    try:
        text = source.parse_text_message(body)
        if text is not None:
            answer = answer_text(destination, text)
            outcome = InboundOutcome.ACCEPTED
    except InvalidInput as error:
        outcome = InboundOutcome.UNREADABLE
        log.warning("webhook_unreadable", **destination.log_fields, reason=str(error))
    metrics.count_inbound(InboundKind.TEXT, outcome, destination.name)
    return Response(source.format_reply(answer), mimetype=source.reply_type)


def _store(destination: int, body: bytes, token: str | None) -> bool | None:
    """Store it, like `insert_webhook`. Raises SignatureError if its token was used."""
    context = services()
    number, now = context.new_id(), context.now()

    def insert(connection: Connection) -> bool | None:
        if token is not None and not webhooks.consume_webhook_token(
            connection, context.keys, number, destination, token, now
        ):
            raise SignatureError("its token was used before")
        return webhooks.insert_webhook(connection, context.keys, number, destination, body, now)

    return run_autocommit(insert) if token is None else run_in_transaction(insert)


def _find_destination(name: str) -> Destination | None:
    """The destination, cached for a few seconds: tools send a thousand requests a second."""
    if not name.isprintable():
        return None  # PostgreSQL accepts no NUL
    context = services()
    known: dict[str, tuple[datetime, Destination]] = current_app.extensions.setdefault(
        KNOWN_DESTINATIONS_KEY, {}
    )
    now = context.now()
    looked_at, found = known.get(name, (None, None))
    if looked_at is None or not looked_at <= now < looked_at + DESTINATION_CACHE_TTL:
        known.pop(name, None)
        found = run_in_transaction(lambda connection: find_by_name(connection, context.keys, name))
        if found is not None:
            known[name] = (now, found)
    return found
