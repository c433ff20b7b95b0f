"""`/in/<destination>`: a tool tells us what people did in it (I13).

Verified first, from headers and the raw body alone; then stored, sealed, and acknowledged.
A job reads what it says. So nothing that was acknowledged is lost, and a vendor's change of
format costs a replay and no news.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

import structlog
from flask import Blueprint, Response, current_app, request

from preference_center.domain.sync.destination import Destination
from preference_center.domain.vendor_events import Certified, Dated, Post, Unverified, Webhook
from preference_center.errors import InvalidInput
from preference_center.extensions import csrf, services
from preference_center.http_body import whole_body
from preference_center.inbound import text_messages
from preference_center.inbound.certificates import certificates
from preference_center.integrations.twilio.webhook import read_text, twiml
from preference_center.integrations.webhooks import ANSWERED_200, TEXTS, WEBHOOKS
from preference_center.storage.db.database import Connection, run, run_at_once
from preference_center.storage.sync import webhook_inbox
from preference_center.storage.sync.destinations import find

log = structlog.get_logger()

REMEMBERED = timedelta(seconds=5)
"""How long changed settings may take to count."""
KNOWN = "preference_center.known_destinations"

blueprint = Blueprint("inbound", __name__)
csrf.exempt(blueprint)  # each vendor proves itself in its own way


@blueprint.route("/in/<name>", methods=["GET", "POST"], defaults={"secret": ""})
@blueprint.route("/in/<name>/<secret>", methods=["GET", "POST"])
def receive(name: str, secret: str) -> Response:
    """Keep what the tool posts: 2xx once it is committed (I1). Texts get an answer of their own.

    404 for a destination that has no webhook; 401, without a hint, for what is not proved to
    be the tool's. A GET or HEAD, with which vendors try a URL, changes nothing (I7).
    """
    context = services()
    destination = _destination(name)
    source = WEBHOOKS.get(destination.kind) if destination else None
    if destination is None or source is None:
        return Response("No tool reports here.\n", 404, mimetype="text/plain")
    if request.method != "POST":
        return Response(status=200)  # some take nothing else for a sign of life
    body = whole_body()
    post = Post(
        method=request.method,
        url=context.links.public_url + request.full_path.removesuffix("?"),
        secret=secret,
        headers={key.lower(): value for key, value in request.headers},
        body=body,
        remote=request.remote_addr or "",
    )
    try:
        post = _with_certificate(source, post, destination.settings)
        token = source.verify(post, destination.settings, context.now())
        if destination.kind in TEXTS:
            return _texted(destination, body)
        is_new = _keep(destination.id, _whole(source, post), token)
    except Unverified as error:
        log.warning("news_unverified", destination=destination.id, reason=str(error))
        return Response("No.\n", 401, mimetype="text/plain")
    if is_new:
        context.queue.nudge_news(destination.id)
    return Response(status=200 if destination.kind in ANSWERED_200 else 204)


def _whole(source: Webhook, post: Post) -> bytes:
    """What is stored of a verified request: what can't be read, as it is, for a person."""
    if not hasattr(source, "whole"):
        return post.body
    try:
        return cast("Dated", source).whole(post)
    except InvalidInput:
        return post.body


def _with_certificate(source: Webhook, post: Post, settings: Mapping[str, str]) -> Post:
    """The same with the certificate that it needs to be verified, if it does.

    Raises Unavailable if that can't be had just now: the vendor tries again.
    """
    if not isinstance(source, Certified):
        return post
    url = source.certificate(post, settings)
    return replace(post, certificate=certificates().get(url, services().now()))


def _texted(destination: Destination, body: bytes) -> Response:
    """What somebody texted is done at once, and answered in Twilio's markup."""
    answer = ""
    try:
        text = read_text(body)
        if text is not None:
            answer = text_messages.take(destination, text)
    except InvalidInput as error:
        log.warning("news_unreadable", destination=destination.id, reason=str(error))
    return Response(twiml(answer), mimetype="text/xml")


def _keep(destination: int, body: bytes, token: str | None) -> bool:
    """Store it; False if it is here already. Raises Unverified if its token was used up."""
    context = services()
    number, now = context.new_id(), context.now()

    def work(connection: Connection) -> bool:
        if token is not None and not webhook_inbox.use_up(
            connection, context.keys, number, destination, token, now
        ):
            raise Unverified("its token was used before")
        return webhook_inbox.keep(connection, context.keys, number, destination, body, now)

    return run_at_once(work) if token is None else run(work)


def _destination(name: str) -> Destination | None:
    """The destination as it is, or was a few seconds ago: tools post a thousand times a second."""
    if not name.isprintable():
        return None  # PostgreSQL takes no NUL
    context = services()
    known: dict[str, tuple[datetime, Destination]] = current_app.extensions.setdefault(KNOWN, {})
    now = context.now()
    looked_at, found = known.get(name, (None, None))
    if looked_at is None or not looked_at <= now < looked_at + REMEMBERED:
        known.pop(name, None)
        found = run(lambda connection: find(connection, context.keys, name))
        if found is not None:
            known[name] = (now, found)
    return found
